import { toSluiceError } from '../contracts/errors.ts'

/** What can be done with something that a build has opened. */
export interface OpenPart {
  /** Begins its work. */
  activate?(): void
  /** Sends on what it holds. */
  flush?(): void | Promise<void>
  close?(): void | Promise<void>
}

/** All that a build has opened: it begins its work together, and is closed together. */
export class Opened {
  readonly #parts: OpenPart[] = []
  #closing: Promise<void> | undefined = undefined

  add(part: OpenPart): void {
    this.#parts.push(part)
  }

  activate(): void {
    for (const part of this.#parts) part.activate?.()
  }

  /**
   * Sends on what is still held, in the order of the dataflows. Then closes everything, last created first, also what is
   * behind one that cannot be closed. Once, however often it is called.
   * @throws AggregateError what they threw, once all have been closed
   */
  close(): Promise<void> {
    this.#closing ??= this.#closeAll()
    return this.#closing
  }

  async #closeAll(): Promise<void> {
    const errors: unknown[] = []
    const attempt = async (work: () => void | Promise<void>) => {
      try {
        await work()
      } catch (thrown) {
        errors.push(thrown)
      }
    }
    for (const part of this.#parts) await attempt(() => part.flush?.())
    for (const part of this.#parts.toReversed()) await attempt(() => part.close?.())
    if (errors.length === 0) return
    const texts = errors.map((error) => toSluiceError(error).message)
    throw new AggregateError(errors, `not everything could be closed: ${texts.join('; ')}`)
  }
}
