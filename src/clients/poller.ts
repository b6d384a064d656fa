import type { Client } from '../contracts/client.ts'
import type { Events } from '../contracts/events.ts'

/** What is asked at intervals, and how. */
export interface PollSpec {
  /** Milliseconds from one poll to the next. */
  readonly every: number
  /** Milliseconds until an unanswered poll no longer holds back the next. */
  readonly timeout: number
  /** Sent as it is: already framed. */
  readonly bytes: Buffer
}

/** What a poller does with a connection. */
export interface Pollable {
  readonly client: Client
  /** How many frames have arrived. */
  readonly received: number
  /** @returns false when the connection is ending or too much waits for it already */
  send(bytes: Buffer): boolean
}

/** Asks a device at intervals. A poll is open until a message has arrived or its time is over; there is never a second one. */
export class Poller {
  readonly #connection: Pollable
  readonly #poll: PollSpec
  readonly #events: Events
  readonly #interval: NodeJS.Timeout
  /** How many frames had arrived when the open poll was sent; undefined when none is open. */
  #askedAt: { readonly frames: number; readonly time: number } | undefined = undefined

  /** Asks for the first time at once. */
  constructor(connection: Pollable, poll: PollSpec, events: Events) {
    this.#connection = connection
    this.#poll = poll
    this.#events = events
    this.#interval = setInterval(() => this.#ask(), poll.every)
    this.#ask()
  }

  stop(): void {
    clearInterval(this.#interval)
  }

  #ask(): void {
    const { client } = this.#connection
    const asked = this.#askedAt
    if (asked !== undefined && this.#connection.received === asked.frames) {
      if (performance.now() - asked.time < this.#poll.timeout) return
      this.#events.emit('poll.timedOut', { client })
    }
    const sent = this.#connection.send(this.#poll.bytes)
    this.#askedAt = sent ? { frames: this.#connection.received, time: performance.now() } : undefined
  }
}
