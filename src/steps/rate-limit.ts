import { ownText } from '../util/kept-value.ts'

/** How often something may happen. */
export interface Rate {
  /** So many times … */
  readonly max: number
  /** … in so many milliseconds. */
  readonly every: number
  /** So many times at once, after a pause. */
  readonly burst: number
}

/**
 * A token bucket for each key, kept as one number: the time at which the bucket will be full again (the generic cell rate
 * algorithm, ITU-T I.371, annex A). Times are milliseconds of a clock that never goes back.
 */
export class RateLimit {
  /** Milliseconds in which one more is allowed. */
  readonly #interval: number
  /** Milliseconds by which a key may be ahead. */
  readonly #tolerance: number
  readonly #maxKeys: number
  /** When the bucket of a key is full again; one that is full is worth nothing and may be forgotten. */
  readonly #fullAt = new Map<string, number>()
  /** Before this time it makes no sense to look for buckets that are full. */
  #sweepAt = 0

  constructor({ max, every, burst }: Rate, maxKeys: number) {
    this.#interval = every / max
    this.#tolerance = (burst - 1) * this.#interval
    this.#maxKeys = maxKeys
  }

  /**
   * Takes the next place, whenever that is.
   * @returns milliseconds until then, 0 for at once; undefined when there are too many keys
   */
  reserve(key: string, now: number): number | undefined {
    if (!this.#knows(key, now)) return undefined
    const known = this.#fullAt.get(key)
    const fullAt = Math.max(known ?? now, now)
    this.#fullAt.set(known === undefined ? ownText(key) : key, fullAt + this.#interval)
    return Math.max(0, fullAt - this.#tolerance - now)
  }

  /** Takes a place if there is one at once. @returns undefined when there are too many keys */
  take(key: string, now: number): boolean | undefined {
    if (!this.#knows(key, now)) return undefined
    // Sums of fractions are not exact: a microsecond is nothing.
    if ((this.#fullAt.get(key) ?? now) - this.#tolerance - now > 0.001) return false
    this.reserve(key, now)
    return true
  }

  close(): void {
    this.#fullAt.clear()
  }

  /** Whether there is a bucket for a key, or room for one. */
  #knows(key: string, now: number): boolean {
    if (this.#fullAt.has(key) || this.#fullAt.size < this.#maxKeys) return true
    if (now < this.#sweepAt) return false
    let next = Number.POSITIVE_INFINITY
    for (const [each, fullAt] of this.#fullAt) {
      if (fullAt <= now) this.#fullAt.delete(each)
      else next = Math.min(next, fullAt)
    }
    // A bucket empties further and never fills sooner; and not more often, because a look at all of them takes time.
    this.#sweepAt = Math.max(next, now + SWEEP_MS)
    return this.#fullAt.size < this.#maxKeys
  }
}

const SWEEP_MS = 100
