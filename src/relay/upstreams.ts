import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { DialOptions, Socket, TlsLayer, Transport } from '../contracts/transport.ts'
import { type Backoff, createBackoff } from '../util/backoff.ts'

export interface UpstreamTarget {
  readonly dial: DialOptions
  readonly tls: TlsLayer | undefined
}

export interface UpstreamOptions {
  readonly targets: readonly UpstreamTarget[]
  readonly balance: 'roundRobin' | 'leastConnections'
  /** Milliseconds for which a server is left out after its first failure, and at most; it doubles each time. */
  readonly health: { readonly first: number; readonly max: number }
  readonly transport: Transport
  /** Milliseconds, from a clock that never goes back. */
  readonly now: () => number
  /** @param retryIn milliseconds for which the server is left out where another can be reached */
  readonly onFailure: (target: string, error: SluiceError, retryIn: number) => void
}

/** A connection to one of the servers, and who it is. */
export interface Reached {
  readonly socket: Socket
  readonly target: string
  /** To be called once, when the connection has ended: it no longer counts for `leastConnections`. */
  release(): void
}

/**
 * The servers behind a relay. A server that cannot be reached is left out for a while, longer each time; those that
 * are left out are still tried, last, when no other can be reached, so that a client is never refused untried.
 */
export class Upstreams {
  readonly #options: UpstreamOptions
  readonly #all: readonly Upstream[]
  #next = 0

  constructor(options: UpstreamOptions) {
    this.#options = options
    this.#all = options.targets.map((target) => new Upstream(target, createBackoff(options.health)))
  }

  /**
   * Connects to the first server in turn that takes the connection.
   * @throws SluiceError that of the last server, with all of them named; the signal's reason when it is aborted
   */
  async reach(signal: AbortSignal): Promise<Reached> {
    let last: SluiceError | undefined
    for (const upstream of this.#inTurn()) {
      upstream.connections++
      try {
        const socket = await this.#connect(upstream.target, signal)
        upstream.succeed()
        return { socket, target: upstream.name, release: () => void upstream.connections-- }
      } catch (thrown) {
        upstream.connections--
        if (signal.aborted) throw signal.reason
        last = toSluiceError(thrown, 'connection_refused')
        this.#options.onFailure(upstream.name, last, upstream.fail(this.#options.now()))
      }
    }
    const names = this.#all.map(({ name }) => name).join(', ')
    const { code, message } = last!
    throw new SluiceError(
      code,
      this.#all.length === 1 ? message : `none of ${names} can be reached; the last: ${message}`,
    )
  }

  async #connect({ dial, tls }: UpstreamTarget, signal: AbortSignal): Promise<Socket> {
    const raw = await this.#options.transport.dial({ ...dial, signal })
    if (tls === undefined) return raw
    const abort = () => raw.destroy()
    signal.addEventListener('abort', abort)
    try {
      return await tls.secure(raw)
    } finally {
      signal.removeEventListener('abort', abort)
    }
  }

  #inTurn(): readonly Upstream[] {
    const { balance, now } = this.#options
    const start = this.#next++ % this.#all.length
    const turn = [...this.#all.slice(start), ...this.#all.slice(0, start)]
    const time = now()
    const out = turn.filter(({ outUntil }) => outUntil > time).sort((a, b) => a.outUntil - b.outUntil)
    const up = turn.filter(({ outUntil }) => outUntil <= time)
    // The sort is stable: among those with as many connections the turn decides.
    if (balance === 'leastConnections') up.sort((a, b) => a.connections - b.connections)
    return [...up, ...out]
  }
}

class Upstream {
  readonly target: UpstreamTarget
  readonly name: string
  readonly #backoff: Backoff
  connections = 0
  outUntil = 0

  constructor(target: UpstreamTarget, backoff: Backoff) {
    this.target = target
    this.name = target.dial.path ?? `${target.dial.host}:${target.dial.port}`
    this.#backoff = backoff
  }

  succeed(): void {
    this.outUntil = 0
    this.#backoff.reset()
  }

  /** @returns milliseconds for which it is left out */
  fail(now: number): number {
    const wait = this.#backoff.next()
    this.outUntil = now + wait
    return wait
  }
}
