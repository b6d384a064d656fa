import { isDeepStrictEqual } from 'node:util'
import type { Address } from '../contracts/client.ts'
import { noClient } from '../contracts/detached-source.ts'
import type { SluiceError } from '../contracts/errors.ts'
import type { Delivery, Receiver } from '../contracts/subscription.ts'
import { Lane } from './lane.ts'
import type { SourceSpec, SourceSurroundings } from './spec.ts'

/**
 * One entry of `subscribe:`: a subscription, and the lane that its messages go through.
 *
 * ```
 *   begin ─▶ subscribed ──lost──▶ connects again, by itself
 *   drain:  stop ─▶ what has come is finished and settled ─▶ close
 * ```
 */
export class SourceEndpoint implements Receiver {
  readonly #lane: Lane
  readonly #around: SourceSurroundings
  readonly #client: SourceClient
  /** The broker gives its messages now. */
  open = false
  #begun = false
  #draining: Promise<void> | undefined = undefined

  constructor(spec: SourceSpec, around: SourceSurroundings) {
    this.#around = around
    this.#client = noClient(spec.name, around.clock.now())
    this.#lane = new Lane(spec, this.#client, around)
  }

  get spec(): SourceSpec {
    return this.#lane.spec
  }

  /** Begins to give messages, once. */
  begin(): void {
    if (this.#begun) return
    this.#begun = true
    this.spec.subscription.start(this)
  }

  /** Whether the subscription of another spec is the one that works already. */
  canTake({ identity }: SourceSpec): boolean {
    return isDeepStrictEqual(identity, this.spec.identity)
  }

  /**
   * Goes on with the dataflows of another spec. The subscription stays, and the other one has never been started.
   * @returns resolves when the last run in the old dataflows has ended
   */
  replace(spec: SourceSpec): Promise<void> {
    return this.#lane.replace({ ...spec, subscription: this.spec.subscription })
  }

  /** Takes no more messages, finishes and settles those that have come, and ends the connection. */
  drain(): Promise<void> {
    this.#draining ??= this.#drain()
    return this.#draining
  }

  opened(address: Address): void {
    const { name, counters } = this.spec
    Object.assign(this.#client, address)
    this.open = true
    counters.opened++
    this.#around.events.emit('subscription.opened', { endpoint: name, address })
  }

  failed(error: SluiceError, retryIn: number): void {
    this.open = false
    this.#around.events.emit('subscription.failed', { endpoint: this.spec.name, error, retryIn })
  }

  take(deliveries: readonly Delivery[]): void {
    this.#lane.take(deliveries)
  }

  async #drain(): Promise<void> {
    const { subscription } = this.spec
    try {
      await subscription.stop()
      await this.#lane.idle()
    } finally {
      await subscription.close()
      this.open = false
    }
  }
}

/** What is known of a broker changes when it is connected to. */
type SourceClient = ReturnType<typeof noClient>
