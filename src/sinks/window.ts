import { type SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Outcomes } from '../contracts/sink.ts'

/** How a {@link Window} sends. */
export interface WindowOptions<T> {
  /**
   * Sends one message and calls `done` when the broker has spoken: without an error when it has confirmed it.
   * @throws when the message cannot be sent at all; it has then failed, alone
   */
  send(item: T, done: (error?: SluiceError) => void): void
  /** Called when a delivery has reached its deadline; must end in {@link Window.fail} or {@link Window.abandon}. */
  onTimeout(delivery: Delivery): void
}

/** The messages of one call of {@link Window.deliver}. */
export interface Delivery {
  readonly outcomes: (SluiceError | undefined)[]
  /** How many messages have no outcome yet. */
  left: number
  readonly timer: NodeJS.Timeout
  readonly resolve: (outcomes: Outcomes) => void
}

interface Entry<T> {
  readonly item: T
  readonly of: Delivery
  readonly position: number
  settled: boolean
}

/**
 * What is under way on one connection to a broker:
 *
 * ```
 *   deliver ─▶ waiting ─── room in the window ──▶ sent ─── word of the broker ──▶ outcome
 *                 └──────────── connection lost, or deadline ─┴─────────────────▶ outcome: try again
 * ```
 * Everything is sent once, in the order of the calls. A message that has an outcome is never sent afterwards; a word of
 * the broker that comes after it changes nothing.
 */
export class Window<T> {
  readonly #options: WindowOptions<T>
  #waiting: Entry<T>[] = []
  readonly #sent = new Set<Entry<T>>()
  readonly #deliveries = new Set<Delivery>()
  /** Most messages that are sent and not confirmed. */
  #size: number
  #failed: SluiceError | undefined
  #paused = false

  /** @param size most messages that may be sent and not confirmed */
  constructor(size: number, options: WindowOptions<T>) {
    this.#size = size
    this.#options = options
  }

  /** How many deliveries are under way. */
  get deliveries(): number {
    return this.#deliveries.size
  }

  /**
   * Sends messages.
   * @param timeout milliseconds until `onTimeout`
   * @returns the outcome of each; never rejects
   */
  deliver(items: readonly T[], timeout: number): Promise<Outcomes> {
    if (this.#failed !== undefined) return Promise.resolve(items.map(() => this.#failed))
    return new Promise((resolve) => {
      const outcomes = new Array<SluiceError | undefined>(items.length).fill(undefined)
      const timer = setTimeout(() => this.#options.onTimeout(delivery), timeout)
      const delivery: Delivery = { outcomes, left: items.length, timer, resolve }
      this.#deliveries.add(delivery)
      for (const [position, item] of items.entries()) {
        this.#waiting.push({ item, of: delivery, position, settled: false })
      }
      this.#send()
    })
  }

  /** Makes it narrower, from now on. */
  limit(size: number): void {
    this.#size = Math.min(this.#size, size)
  }

  /** Sends nothing for now. */
  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.#send()
  }

  /** Ends one delivery: what has no outcome gets this one. */
  abandon(delivery: Delivery, error: SluiceError): void {
    const isOfIt = ({ of }: Entry<T>) => of === delivery
    const entries = [...this.#sent, ...this.#waiting].filter(isOfIt)
    this.#waiting = this.#waiting.filter((entry) => !isOfIt(entry))
    for (const entry of entries) this.#settle(entry, error)
  }

  /** The end of the connection: everything that has no outcome gets this one, and so does what comes later. */
  fail(error: SluiceError): void {
    if (this.#failed !== undefined) return
    this.#failed = error
    const entries = [...this.#sent, ...this.#waiting]
    this.#waiting = []
    for (const entry of entries) this.#settle(entry, error)
  }

  #send(): void {
    while (!this.#paused && this.#sent.size < this.#size) {
      const entry = this.#waiting.shift()
      if (entry === undefined) return
      this.#sent.add(entry)
      try {
        this.#options.send(entry.item, (error) => {
          this.#settle(entry, error)
          this.#send()
        })
      } catch (thrown) {
        this.#settle(entry, toSluiceError(thrown, 'sink_failed'))
      }
    }
  }

  #settle(entry: Entry<T>, error: SluiceError | undefined): void {
    this.#sent.delete(entry)
    if (entry.settled) return
    entry.settled = true
    const { of: delivery, position } = entry
    delivery.outcomes[position] = error
    if (--delivery.left > 0) return
    clearTimeout(delivery.timer)
    this.#deliveries.delete(delivery)
    delivery.resolve(delivery.outcomes)
  }
}
