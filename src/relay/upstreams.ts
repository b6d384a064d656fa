import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Socket } from '../contracts/transport.ts'
import type { ProxiedClient } from '../wire/proxy-header.ts'
import type { Upstream } from './upstream.ts'

export interface UpstreamsOptions {
  readonly balance: 'roundRobin' | 'leastConnections'
  /** Milliseconds, from a clock that never goes back; the one that the servers have. */
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
 * The servers behind a relay. A server that cannot be reached is left out for a while, longer each time, or until it is
 * seen to be well; those that are left out are still tried, last, when no other can be reached, so that a client is never
 * refused untried.
 */
export class Upstreams {
  /** In the order of the configuration. */
  readonly all: readonly Upstream[]
  readonly #options: UpstreamsOptions
  #next = 0

  /** @param all what is known of them may be older than this relay: a reload leaves it as it is */
  constructor(all: readonly Upstream[], options: UpstreamsOptions) {
    this.all = all
    this.#options = options
  }

  /** Whether there is one that is not left out. */
  get available(): boolean {
    const time = this.#options.now()
    return this.all.some(({ outUntil }) => outUntil <= time)
  }

  /**
   * Connects to the first server in turn that takes the connection.
   * @param client for whom
   * @throws SluiceError that of the last server, with all of them named; the signal's reason when it is aborted
   */
  async reach(client: ProxiedClient, signal: AbortSignal): Promise<Reached> {
    let last: SluiceError | undefined
    for (const upstream of this.#inTurn()) {
      upstream.connections++
      try {
        const socket = await upstream.connect(client, signal)
        upstream.succeed()
        return { socket, target: upstream.name, release: () => void upstream.connections-- }
      } catch (thrown) {
        upstream.connections--
        if (signal.aborted) throw signal.reason
        last = toSluiceError(thrown, 'connection_refused')
        this.#options.onFailure(upstream.name, last, upstream.fail(last))
      }
    }
    const names = this.all.map(({ name }) => name).join(', ')
    const { code, message } = last!
    throw new SluiceError(
      code,
      this.all.length === 1 ? message : `none of ${names} can be reached; the last: ${message}`,
    )
  }

  /** Begins to look whether the servers are well, where that is asked for. */
  watch(): void {
    for (const upstream of this.all) upstream.watch()
  }

  #inTurn(): readonly Upstream[] {
    const { balance, now } = this.#options
    const start = this.#next++ % this.all.length
    const turn = [...this.all.slice(start), ...this.all.slice(0, start)]
    const time = now()
    // Sorts are stable: among equals the turn decides.
    const soonest = (a: Upstream, b: Upstream) => (a.outUntil === b.outUntil ? 0 : a.outUntil - b.outUntil)
    const out = turn.filter(({ outUntil }) => outUntil > time).sort(soonest)
    const up = turn.filter(({ outUntil }) => outUntil <= time)
    if (balance === 'leastConnections') up.sort((a, b) => a.connections - b.connections)
    return [...up, ...out]
  }
}
