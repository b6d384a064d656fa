import { isDeepStrictEqual } from 'node:util'
import { Poller } from '../clients/poller.ts'
import type { Conversation } from '../contracts/conversation.ts'
import { type Device, isSameDevice } from '../contracts/device.ts'
import { toSluiceError } from '../contracts/errors.ts'
import type { Socket } from '../contracts/transport.ts'
import { type Backoff, createBackoff } from '../util/backoff.ts'
import type { Endpoint } from './endpoint.ts'
import type { ConnectSpec } from './spec.ts'

/** Keeps all devices of a `connect:` endpoint connected. A reload may bring others, and leaves those alone that stay. */
export class Dialers {
  readonly #dialers = new Map<string | undefined, Dialer>()

  replace(endpoint: Endpoint, spec: ConnectSpec): void {
    const gone = new Map(this.#dialers)
    for (const device of spec.devices) {
      const dialer = this.#dialers.get(device.id)
      gone.delete(device.id)
      if (dialer === undefined) this.#dialers.set(device.id, new Dialer(endpoint, spec, device))
      else dialer.replace(spec, device)
    }
    for (const [id, dialer] of gone) {
      this.#dialers.delete(id)
      dialer.leave()
    }
  }

  stop(): void {
    for (const dialer of this.#dialers.values()) dialer.stop()
  }
}

/**
 * Keeps one device connected, for ever:
 *
 * ```
 *   dial ──ok──▶ connected ──closed──▶ wait (backoff with jitter) ──▶ dial
 *     └──failed──▶ wait ──▶ dial
 * ```
 *
 * The host name is resolved at every attempt, because a device that moved is the usual reason for a lost connection.
 */
class Dialer {
  readonly #endpoint: Endpoint
  #spec: ConnectSpec
  #device: Device
  readonly #backoff: Backoff
  readonly #stopped = new AbortController()
  #connection: Conversation | undefined = undefined
  #timer: NodeJS.Timeout | undefined = undefined
  #poller: Poller | undefined = undefined

  /** Begins by itself and never waits: a device that is switched off must not hold the server up. */
  constructor(endpoint: Endpoint, spec: ConnectSpec, device: Device) {
    this.#endpoint = endpoint
    this.#spec = spec
    this.#device = device
    this.#backoff = createBackoff(spec.reconnect)
    const { events } = endpoint.surroundings
    const forget = events.on('connection.closed', ({ client }) => {
      if (client === this.#connection?.client) this.#again()
    })
    this.#stopped.signal.addEventListener('abort', forget, { once: true })
    this.#timer = setTimeout(() => void this.#dial(), device.delay)
  }

  /**
   * Goes on with another spec. The connection stays, unless it leads where the device no longer is, or would send polls in
   * a framing that is not its own.
   */
  replace(spec: ConnectSpec, device: Device): void {
    const before = this.#spec
    const wasAt = this.#device
    this.#spec = spec
    this.#device = device
    if (isSameDevice(wasAt, device) && isDeepStrictEqual(before.poll?.bytes, spec.poll?.bytes)) {
      if (this.#connection && !isDeepStrictEqual(before.poll, spec.poll)) this.#poll(this.#connection)
    } else if (this.#timer === undefined) {
      this.#connection?.finish('drained', MOVED)
    } else {
      clearTimeout(this.#timer)
      this.#backoff.reset()
      void this.#dial()
    }
  }

  /** Ends the connection once what has arrived is finished, and makes no other. */
  leave(): void {
    this.stop()
    this.#connection?.finish('drained', GONE)
  }

  stop(): void {
    this.#stopped.abort()
    clearTimeout(this.#timer)
    this.#poller?.stop()
  }

  async #dial(): Promise<void> {
    const { signal } = this.#stopped
    this.#timer = undefined
    const { transport, name } = this.#spec
    const device = this.#device
    let socket: Socket
    try {
      socket = await transport.dial({ ...device.dial, signal })
    } catch (thrown) {
      if (signal.aborted) return
      const retryIn = this.#retryLater()
      const { id: client, dial } = device
      const target = dial.path ?? `${dial.host}:${dial.port}`
      const error = toSluiceError(thrown, 'connection_refused')
      this.#endpoint.surroundings.events.emit('dial.failed', { endpoint: name, client, target, error, retryIn })
      return
    }
    if (signal.aborted) return socket.destroy()
    const connection = await this.#endpoint.accept(socket, device)
    if (connection === undefined) return this.#again()
    this.#backoff.reset()
    if (connection.client.state === 'closed') return this.#again()
    this.#connection = connection
    if (signal.aborted || !isSameDevice(device, this.#device)) return connection.finish('drained', MOVED)
    this.#poll(connection)
  }

  #poll(connection: Conversation): void {
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

const GONE = 'the device is no longer configured'
