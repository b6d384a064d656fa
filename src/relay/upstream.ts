import { type SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { DialOptions, Socket, TlsLayer, Transport } from '../contracts/transport.ts'
import { type Backoff, createBackoff } from '../util/backoff.ts'
import { whenAborted } from '../util/signals.ts'
import { type ProxiedClient, type ProxyVersion, proxyHeader } from '../wire/proxy-header.ts'

export interface UpstreamTarget {
  readonly dial: DialOptions
  readonly tls: TlsLayer | undefined
}

export interface UpstreamOptions {
  readonly health: {
    /** Milliseconds for which a server is left out after its first failure, and at most; it doubles each time. */
    readonly first: number
    readonly max: number
    /** Milliseconds between two looks at whether it takes connections; 0 where only clients find that out. */
    readonly every: number
  }
  readonly transport: Transport
  /** Undefined where servers are not told who their clients are. */
  readonly sendProxy: ProxyVersion | undefined
  /** Milliseconds, from a clock that never goes back. */
  readonly now: () => number
  /** @param error why the server is down; undefined when it is up again */
  readonly onChange: (target: string, error: SluiceError | undefined) => void
}

/**
 * One server behind a relay: the way to it, and whether it is well. It is shared by the relays before and after a reload, so
 * that nobody meets a server again that is known to be down.
 */
export class Upstream {
  /** Its address. */
  readonly name: string
  /** Connections to it that count for `leastConnections`. */
  connections = 0
  /** False from a failure to the next success. */
  up = true
  /** Until when it is left out where another can be reached. */
  outUntil = 0
  readonly #target: UpstreamTarget
  readonly #options: UpstreamOptions
  readonly #backoff: Backoff
  readonly #closed = new AbortController()
  #isWatched = false
  #timer: NodeJS.Timeout | undefined = undefined

  constructor(target: UpstreamTarget, options: UpstreamOptions) {
    this.#target = target
    this.#options = options
    this.name = target.dial.path ?? `${target.dial.host}:${target.dial.port}`
    this.#backoff = createBackoff(options.health)
  }

  /**
   * @param client for whom; undefined for ourselves
   * @throws SluiceError why it cannot be reached; the signal's reason when it is aborted
   */
  async connect(client: ProxiedClient | undefined, signal: AbortSignal): Promise<Socket> {
    const { dial, tls } = this.#target
    const { transport, sendProxy } = this.#options
    const raw = await transport.dial({ ...dial, signal })
    if (sendProxy !== undefined) raw.write(proxyHeader(sendProxy, client))
    if (tls === undefined) return raw
    const forget = whenAborted(signal, () => raw.destroy())
    try {
      return await tls.secure(raw)
    } finally {
      forget()
    }
  }

  succeed(): void {
    this.outUntil = 0
    this.#backoff.reset()
    if (this.up) return
    this.up = true
    this.#options.onChange(this.name, undefined)
  }

  /** @returns milliseconds until it is tried again */
  fail(error: SluiceError): number {
    const { health, now, onChange } = this.#options
    // Where somebody looks after it, it is out until it is seen to be well.
    const wait = health.every > 0 ? health.every : this.#backoff.next()
    this.outUntil = health.every > 0 ? Number.POSITIVE_INFINITY : now() + wait
    if (this.up) {
      this.up = false
      onChange(this.name, error)
    }
    return wait
  }

  /**
   * Begins to look whether it is well, at once and then again and again; nothing where that is not asked for, or has begun
   * before.
   */
  watch(): void {
    if (this.#options.health.every === 0 || this.#isWatched) return
    this.#isWatched = true
    void this.#check()
  }

  /** Looks no more. Connections are left alone. */
  close(): void {
    this.#closed.abort()
    clearTimeout(this.#timer)
  }

  async #check(): Promise<void> {
    const { signal } = this.#closed
    try {
      const socket = await this.connect(undefined, signal)
      socket.destroy()
      if (!signal.aborted) this.succeed()
    } catch (thrown) {
      if (!signal.aborted) this.fail(toSluiceError(thrown, 'connection_refused'))
    }
    if (!signal.aborted) this.#timer = setTimeout(() => this.#check(), this.#options.health.every).unref()
  }
}
