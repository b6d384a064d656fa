/**
 * One timer for the many times at which something is overdue. Setting and clearing a timer for each request would cost more
 * than the request itself; most are answered long before.
 */
export class Alarm {
  readonly #ring: (now: number) => number
  #timer: NodeJS.Timeout | undefined = undefined
  /** When the timer ends. */
  #next = Number.POSITIVE_INFINITY

  /**
   * @param ring does what is due and gives the next time at which something is, `Infinity` for never. All times are those of
   * `performance.now()`
   */
  constructor(ring: (now: number) => number) {
    this.#ring = ring
  }

  /** Something is due at a time. That it is no longer due need not be told. */
  at(time: number): void {
    if (time >= this.#next) return
    this.#set(time)
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#next = Number.POSITIVE_INFINITY
  }

  #set(time: number): void {
    clearTimeout(this.#timer)
    this.#next = time
    if (time === Number.POSITIVE_INFINITY) return
    // A timer ends up to a millisecond early, seen from a finer clock.
    const wait = Math.max(1, Math.ceil(time - performance.now()))
    this.#timer = setTimeout(() => {
      this.#next = Number.POSITIVE_INFINITY
      const next = this.#ring(performance.now())
      // It may have been set while it rang.
      this.at(next)
    }, wait)
  }
}
