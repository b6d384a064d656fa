import { SluiceError } from '../contracts/errors.ts'

/** The writes of a sink that are under way, so that its close can wait for them. */
export class OpenWrites {
  readonly #open = new Set<Promise<unknown>>()
  #closed: Promise<void> | undefined

  /** @throws SluiceError when the sink is closed, else what the write throws */
  async run<T>(write: () => Promise<T>): Promise<T> {
    if (this.#closed !== undefined) throw new SluiceError('sink_failed', 'the sink is closed')
    const running = write()
    this.#open.add(running)
    try {
      return await running
    } finally {
      this.#open.delete(running)
    }
  }

  /** Waits for what is under way, then frees what the sink has; once, however often it is called. */
  close(free: () => Promise<void>): Promise<void> {
    this.#closed ??= Promise.allSettled(this.#open).then(free)
    return this.#closed
  }
}
