/**
 * A set of whole numbers that are mostly consecutive. It costs memory for its gaps, not for its members, so a million
 * acknowledged messages of which none is missing are one pair of numbers.
 */
export class NumberRanges {
  /** First and last number of each range, ascending, with a gap between neighbours. */
  readonly #ranges: { first: number; last: number }[] = []
  #size = 0

  /** How many numbers are in the set. */
  get size(): number {
    return this.#size
  }

  /** @returns false when the number was there already */
  add(number: number): boolean {
    const i = this.#indexAfter(number)
    const before = this.#ranges[i - 1]
    if (before !== undefined && number <= before.last) return false
    const after = this.#ranges[i]
    const joinsBefore = before?.last === number - 1
    const joinsAfter = after?.first === number + 1
    if (joinsBefore && joinsAfter) {
      before.last = after.last
      this.#ranges.splice(i, 1)
    } else if (joinsBefore) before.last = number
    else if (joinsAfter) after.first = number
    else this.#ranges.splice(i, 0, { first: number, last: number })
    this.#size++
    return true
  }

  has(number: number): boolean {
    const before = this.#ranges[this.#indexAfter(number) - 1]
    return before !== undefined && number <= before.last
  }

  /** The numbers of this set that another one lacks, ascending. */
  *without(other: NumberRanges): Generator<number> {
    for (const { first, last } of this.#ranges) {
      for (let number = first; number <= last; number++) {
        if (!other.has(number)) yield number
      }
    }
  }

  /** Where the first range begins that lies wholly behind a number. Nearly always that is the end. */
  #indexAfter(number: number): number {
    let low = 0
    let high = this.#ranges.length
    if (high > 0 && this.#ranges[high - 1]!.first <= number) return high
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#ranges[middle]!.first <= number) low = middle + 1
      else high = middle
    }
    return low
  }
}
