/** Each bucket is so much wider than the one before it; that is how exact a percentile is. */
const STEP = 1.02
const BUCKETS = 1200

/** How long answers took. Of a fixed size, however many there are. */
export class Latencies {
  readonly #buckets = new Uint32Array(BUCKETS)
  #count = 0

  add(milliseconds: number): void {
    const microseconds = Math.max(1, milliseconds * 1000)
    const bucket = Math.min(BUCKETS - 1, Math.floor(Math.log(microseconds) / Math.log(STEP)))
    this.#buckets[bucket]!++
    this.#count++
  }

  /**
   * @param share 0.99 for the time within which 99 of 100 answers came
   * @returns milliseconds, exact to 2 %; 0 when there was no answer
   */
  percentile(share: number): number {
    let left = Math.ceil(this.#count * share)
    if (left === 0) return 0
    let bucket = 0
    while (bucket < BUCKETS - 1) {
      left -= this.#buckets[bucket]!
      if (left <= 0) break
      bucket++
    }
    return STEP ** (bucket + 1) / 1000
  }
}
