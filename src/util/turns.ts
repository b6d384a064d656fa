/** The turns of the event loop, for those who must let others work between two things they do. One timer for all of them. */
export class Turns {
  #next: Promise<void> | undefined = undefined

  /** Resolves when this turn is over: what came from sockets has been handed out, and it is the next turn's. */
  next(): Promise<void> {
    this.#next ??= new Promise((resolve) => {
      setImmediate(() => {
        this.#next = undefined
        resolve()
      })
    })
    return this.#next
  }
}

/**
 * What a long piece of work may take of the event loop before it is the turn of others. It looks at the clock, for work whose
 * parts may take a microsecond or a hundred milliseconds each.
 */
export class Share {
  readonly #clock: { elapsed(): number }
  readonly #turns = new Turns()
  #since: number

  /** @param clock `elapsed` gives milliseconds */
  constructor(clock: { elapsed(): number }) {
    this.#clock = clock
    this.#since = clock.elapsed()
  }

  /** It is the turn of others. */
  get isUsed(): boolean {
    return this.#clock.elapsed() - this.#since >= SHARE_MS
  }

  /** Resolves when others have had their turn. */
  async next(): Promise<void> {
    await this.#turns.next()
    this.#since = this.#clock.elapsed()
  }
}

const SHARE_MS = 10
