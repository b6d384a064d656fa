/** Who is told that nothing has happened for a while. */
export interface QuietListener {
  /** @returns true when it is not to count, because the listener did not listen: it is then told again after the same time */
  onQuiet(): boolean
}

/**
 * Tells when nothing has happened for a given time. It has one timer, which is moved and not made anew when something
 * happens, and which keeps no process running.
 */
export class Quiet {
  readonly #milliseconds: number
  #listener: QuietListener | undefined = undefined
  #timer: NodeJS.Timeout | undefined = undefined
  /** Grows with everything that happens. */
  #count = 0

  constructor(milliseconds: number) {
    this.#milliseconds = milliseconds
  }

  /** Something has happened: the time begins anew. The listener is told once, when it has passed. */
  restart(listener: QuietListener): void {
    this.#count++
    this.#listener = listener
    if (this.#timer === undefined) this.#timer = setTimeout(() => this.#check(), this.#milliseconds).unref()
    else this.#timer.refresh()
  }

  /**
   * Timers run before input is read. After a turn that took long, what has arrived meanwhile must not count as silence, so
   * it is read first.
   */
  #check(): void {
    const count = this.#count
    setImmediate(() => {
      if (count === this.#count && this.#listener?.onQuiet()) this.#timer?.refresh()
    })
  }
}
