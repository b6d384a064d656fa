import type { Client } from '../contracts/client.ts'
import type { Events } from '../contracts/events.ts'
import type { Message } from '../contracts/message.ts'
import type { Wait } from '../contracts/wait.ts'
import { withEither } from '../util/signals.ts'
import type { Directory, Polls } from './directory.ts'

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
  wait(wait: Wait<Message>): Promise<Message>
}

/** What a poller needs of the endpoint of its connection. */
export interface PollerHost {
  readonly directory: Directory
  readonly surroundings: { readonly events: Events }
}

/**
 * Asks a device at intervals. A poll is open until a message has arrived or its time is over; there is never a second one,
 * and none while a request waits for the next message of the device: nothing would tell the two answers apart.
 */
export class Poller implements Polls {
  readonly #connection: Pollable
  readonly #poll: PollSpec
  readonly #directory: Directory
  readonly #events: Events
  readonly #interval: NodeJS.Timeout
  /** How many frames had arrived when the open poll was sent; undefined when none is open. */
  #askedAt: { readonly frames: number; readonly time: number } | undefined = undefined

  /** Asks for the first time at once. */
  constructor(connection: Pollable, poll: PollSpec, { directory, surroundings }: PollerHost) {
    this.#connection = connection
    this.#poll = poll
    this.#directory = directory
    this.#events = surroundings.events
    directory.setPolls(connection.client, this)
    this.#interval = setInterval(() => this.#ask(), poll.every)
    this.#ask()
  }

  stop(): void {
    clearInterval(this.#interval)
  }

  async over(signal: AbortSignal | undefined): Promise<void> {
    const asked = this.#askedAt
    const left = this.#left
    if (asked !== undefined && left > 0) {
      const answered = new AbortController()
      const matches = ({ sequence }: Message) => {
        // The message goes its way; what is waited for is only that it has come.
        if (sequence > asked.frames) queueMicrotask(() => answered.abort())
        return false
      }
      const waited = withEither(answered.signal, signal, (ended) =>
        this.#connection.wait({ timeout: left, signal: ended, matches }),
      )
      await waited.catch(() => {})
    }
  }

  /** Milliseconds that the open poll has left; 0 when none is open. */
  get #left(): number {
    const asked = this.#askedAt
    if (asked === undefined || this.#connection.received > asked.frames) return 0
    return Math.max(0, this.#poll.timeout - (performance.now() - asked.time))
  }

  #ask(): void {
    const { client } = this.#connection
    if (this.#left > 0) return
    const isUnanswered = this.#askedAt?.frames === this.#connection.received
    this.#askedAt = undefined
    if (isUnanswered) this.#events.emit('poll.timedOut', { client })
    if (this.#directory.isAsked(client)) return
    const frames = this.#connection.received
    if (this.#connection.send(this.#poll.bytes)) this.#askedAt = { frames, time: performance.now() }
  }
}
