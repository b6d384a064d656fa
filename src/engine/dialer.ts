import { isDeepStrictEqual } from 'node:util'
import { toSluiceError } from '../contracts/errors.ts'
import type { Socket } from '../contracts/transport.ts'
import { type Backoff, createBackoff } from '../util/backoff.ts'
import type { Connection } from './connection.ts'
import type { Endpoint } from './endpoint.ts'
import type { ConnectSpec, PollSpec } from './spec.ts'

/**
 * Keeps one `connect:` endpoint connected, for ever:
 *
 * ```
 *   dial ──ok──▶ connected ──closed──▶ wait (backoff with jitter) ──▶ dial
 *     └──failed──▶ wait ──▶ dial
 * ```
 *
 * The host name is resolved at every attempt, because a device that moved is the usual reason for a lost connection.
 */
export class Dialer {
  readonly #endpoint: Endpoint
  #spec: ConnectSpec
  readonly #backoff: Backoff
  readonly #stopped = new AbortController()
  #connection: Connection | undefined = undefined
  #timer: NodeJS.Timeout | undefined = undefined
  #poller: Poller | undefined = undefined

  /** Begins the first attempt and returns at once: a device that is switched off must not hold the server up. */
  static start(endpoint: Endpoint, spec: ConnectSpec): Dialer {
    const dialer = new Dialer(endpoint, spec)
    void dialer.#dial()
    return dialer
  }

  private constructor(endpoint: Endpoint, spec: ConnectSpec) {
    this.#endpoint = endpoint
    this.#spec = spec
    this.#backoff = createBackoff(spec.reconnect)
    const { events } = endpoint.surroundings
    const forget = events.on('connection.closed', ({ client }) => {
      if (client.endpoint === spec.name) this.#again()
    })
    this.#stopped.signal.addEventListener('abort', forget, { once: true })
  }

  /**
   * Goes on with another spec. The connection stays, unless it leads where the device no longer is, or would send polls in
   * a framing that is not its own.
   */
  replace(spec: ConnectSpec): void {
    const before = this.#spec
    this.#spec = spec
    if (isDeepStrictEqual([before.dial, before.poll?.bytes], [spec.dial, spec.poll?.bytes])) {
      if (this.#connection && !isDeepStrictEqual(before.poll, spec.poll)) this.#poll(this.#connection)
    } else if (this.#timer === undefined) {
      this.#connection?.finish('drained', MOVED)
    } else {
      clearTimeout(this.#timer)
      this.#backoff.reset()
      void this.#dial()
    }
  }

  stop(): void {
    this.#stopped.abort()
    clearTimeout(this.#timer)
    this.#poller?.stop()
  }

  async #dial(): Promise<void> {
    const { signal } = this.#stopped
    this.#timer = undefined
    const { dial, transport, name } = this.#spec
    let socket: Socket
    try {
      socket = await transport.dial({ ...dial, signal })
    } catch (thrown) {
      if (signal.aborted) return
      const retryIn = this.#retryLater()
      const target = dial.path ?? `${dial.host}:${dial.port}`
      const error = toSluiceError(thrown, 'connection_refused')
      this.#endpoint.surroundings.events.emit('dial.failed', { endpoint: name, target, error, retryIn })
      return
    }
    if (signal.aborted) return socket.destroy()
    const connection = await this.#endpoint.accept(socket)
    if (connection === undefined) return this.#again()
    this.#backoff.reset()
    if (connection.client.state === 'closed') return
    this.#connection = connection
    if (!isDeepStrictEqual(dial, this.#spec.dial)) return connection.finish('drained', MOVED)
    this.#poll(connection)
  }

  #poll(connection: Connection): void {
    const { poll } = this.#spec
    this.#poller?.stop()
    this.#poller = poll && new Poller(connection, poll, this.#endpoint)
  }

  #again(): void {
    this.#connection = undefined
    this.#poller?.stop()
    this.#poller = undefined
    if (!this.#stopped.signal.aborted) this.#retryLater()
  }

  #retryLater(): number {
    const retryIn = this.#backoff.next()
    this.#timer = setTimeout(() => void this.#dial(), retryIn)
    return retryIn
  }
}

const MOVED = 'the endpoint has another address or another poll now'

/** Asks a device at intervals. A poll is open until a message has arrived or its time is over; there is never a second one. */
class Poller {
  readonly #connection: Connection
  readonly #poll: PollSpec
  readonly #endpoint: Endpoint
  readonly #interval: NodeJS.Timeout
  /** How many frames had arrived when the open poll was sent; undefined when none is open. */
  #askedAt: { readonly frames: number; readonly time: number } | undefined = undefined

  constructor(connection: Connection, poll: PollSpec, endpoint: Endpoint) {
    this.#connection = connection
    this.#poll = poll
    this.#endpoint = endpoint
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
      this.#endpoint.surroundings.events.emit('poll.timedOut', { client })
    }
    const sent = this.#connection.send(this.#poll.bytes)
    this.#askedAt = sent ? { frames: this.#connection.received, time: performance.now() } : undefined
  }
}
