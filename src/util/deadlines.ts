/** Milliseconds between two looks; deadlines are exact to this. */
export const TICK_MS = 100

/** Something with deadlines that it can check itself. */
export interface Timed {
  /**
   * Acts on what is overdue.
   * @param tick the present, in ticks of {@link TICK_MS}
   * @returns false when nothing is timed any more; it is then not asked again until it is watched again
   */
  checkDeadlines(tick: number): boolean
}

/**
 * One timer for the deadlines of all connections, so that an idle connection costs no timer of its own. It counts ticks,
 * which no change of the wall clock can move, and stands still while nobody is watched.
 */
export class Deadlines {
  /** The present. Starts at 1, so that 0 can mean "not timed". */
  tick = 1
  readonly #watched = new Set<Timed>()
  #timer: NodeJS.Timeout | undefined = undefined

  watch(timed: Timed): void {
    this.#watched.add(timed)
    this.#timer ??= setInterval(() => this.#sweep(), TICK_MS).unref()
  }

  forget(timed: Timed): void {
    this.#watched.delete(timed)
  }

  #sweep(): void {
    this.tick++
    for (const timed of this.#watched) if (!timed.checkDeadlines(this.tick)) this.#watched.delete(timed)
    if (this.#watched.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}

/** How many ticks a time is: never shorter, at most one tick longer. */
export function toTicks(milliseconds: number): number {
  return milliseconds === 0 ? 0 : Math.ceil(milliseconds / TICK_MS) + 1
}
