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
