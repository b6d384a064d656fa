/**
 * Lets the first few of many equal lines pass and counts the rest, so that a flood of bad frames does not become a
 * flood of log lines.
 */
export class Repeats {
  readonly #limit: number
  readonly #interval: number
  readonly #summarise: (kind: string, suppressed: number) => void
  /** How often each kind came within the interval that runs. Its kinds are bounded by the configuration. */
  readonly #counts = new Map<string, number>()
  #timer: NodeJS.Timeout | undefined = undefined

  /**
   * @param limit lines of a kind that pass in an interval
   * @param interval milliseconds
   * @param summarise told at the end of an interval how many of a kind did not pass
   */
  constructor(limit: number, interval: number, summarise: (kind: string, suppressed: number) => void) {
    this.#limit = limit
    this.#interval = interval
    this.#summarise = summarise
  }

  /** @returns true when the line may be written */
  admit(kind: string): boolean {
    const count = (this.#counts.get(kind) ?? 0) + 1
    this.#counts.set(kind, count)
    this.#timer ??= setTimeout(() => this.flush(), this.#interval).unref()
    return count <= this.#limit
  }

  /** Ends the interval now. */
  flush(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const counts = [...this.#counts]
    this.#counts.clear()
    for (const [kind, count] of counts) {
      if (count > this.#limit) this.#summarise(kind, count - this.#limit)
    }
  }
}
