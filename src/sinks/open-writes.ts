import { SluiceError } from '../contracts/errors.ts'

/** Counts the writes of a sink that are under way, so that its close can wait for them. */
export class OpenWrites {
  #open = 0
  #closed: Promise<void> | undefined
  /** Called by the last write that ends; set while a close waits. */
  #onIdle: (() => void) | undefined = undefined

  /** @throws SluiceError when the sink is closed, else what the write throws */
  async run<T>(write: () => Promise<T>): Promise<T> {
    if (this.#closed !== undefined) throw new SluiceError('sink_failed', 'the sink is closed')
    this.#open++
    try {
      return await write()
    } finally {
      this.#open--
      if (this.#open === 0) this.#onIdle?.()
    }
  }

  /** Waits for what is under way, then frees what the sink has; once, however often it is called. */
  close(free: () => Promise<void>): Promise<void> {
    this.#closed ??= this.#idle().then(free)
    return this.#closed
  }

  #idle(): Promise<void> {
    if (this.#open === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#onIdle = resolve
    })
  }
}
