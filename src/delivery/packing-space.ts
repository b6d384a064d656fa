/** Memory that is written into from front to back, grows as it must, and is used again. */
export class PackingSpace {
  /** Index behind what is written. */
  length = 0
  #bytes: Buffer<ArrayBuffer> = NOTHING

  /**
   * Takes so many bytes behind what is there; whoever asks for them writes all of them.
   * @returns the memory, which is valid until the next call, and the index at which they begin
   */
  reserve(size: number): { readonly bytes: Buffer; readonly at: number } {
    const at = this.length
    this.length += size
    if (this.length > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(this.length, 2 * this.#bytes.length))
      this.#bytes.copy(larger, 0, 0, at)
      this.#bytes = larger
    }
    return { bytes: this.#bytes, at }
  }

  /** What is written; a view, valid until the next call. */
  get written(): Buffer<ArrayBuffer> {
    return this.#bytes.subarray(0, this.length)
  }

  /** Begins anew. One long message must not hold its memory for ever. */
  clear(): void {
    this.length = 0
    if (this.#bytes.length > MOST_KEPT) this.#bytes = NOTHING
  }
}

/** The same bytes in memory of their own: a small buffer would share it with others, and keep all of that. */
export function copyOf(bytes: Buffer): Buffer<ArrayBuffer> {
  const copy = Buffer.allocUnsafeSlow(bytes.length)
  bytes.copy(copy)
  return copy
}

/** Bytes. */
const MOST_KEPT = 512 * 1024

const NOTHING = Buffer.allocUnsafeSlow(0)
