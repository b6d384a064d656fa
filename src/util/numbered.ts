/**
 * Things that stay for a short while, each under a number of its own: who waits, what is under way. The number of one that
 * has gone is given again.
 *
 * A `Map` or a `Set` would do, but not where members come and go for every message: V8 makes a new table for every few of
 * them, and a table knows the one after it. When one of them has become old, all later ones are kept with it, and with them
 * the members they had at the time, until the next full collection: docs/decisions/0026-old-tables.md.
 */
export class Numbered<T> {
  readonly #values: (T | undefined)[] = []
  readonly #free: number[] = []

  get size(): number {
    return this.#values.length - this.#free.length
  }

  /** @returns its number, from 0 on */
  add(value: T): number {
    const number = this.#free.pop() ?? this.#values.length
    this.#values[number] = value
    return number
  }

  /** @returns undefined when there is none of that number */
  take(number: number): T | undefined {
    const value = this.#values[number]
    if (value === undefined) return undefined
    this.#values[number] = undefined
    this.#free.push(number)
    return value
  }

  /** Takes all, one by one, so that what is done to one of them may take others. */
  drain(act: (value: T) => void): void {
    for (let number = 0; number < this.#values.length; number++) {
      const value = this.take(number)
      if (value !== undefined) act(value)
    }
  }
}
