/**
 * Memory for the bodies of requests, used again: that of a body of many messages would be garbage with each answer, outside
 * V8's heap, where it is not collected before its time has come.
 */
export class BodyMemory {
  readonly #free: Buffer[] = []

  /** @returns at least so many bytes; to be given back, or forgotten */
  take(length: number): Buffer {
    const at = this.#free.findIndex((memory) => memory.length >= length)
    if (at >= 0) return this.#free.splice(at, 1)[0]!
    return Buffer.allocUnsafeSlow(Math.ceil(length / STEP) * STEP)
  }

  /** Nobody uses it any more. */
  give(memory: Buffer): void {
    if (memory.length <= MOST_BYTES && this.#free.length < MOST_KEPT) this.#free.push(memory)
  }
}

/** Bytes: bodies of one kind have nearly the same length. */
const STEP = 64 * 1024

/** What is kept: so many, of at most so many bytes. */
const MOST_KEPT = 4
const MOST_BYTES = 1024 * 1024
