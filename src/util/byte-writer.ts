/**
 * Collects bytes and text for one write. Neighbouring text is joined before it is encoded, and a buffer that is alone is
 * given out as it is, so the usual cases cost one allocation or none.
 *
 * Buffers that are written belong to the writer until `take` and must not change before the bytes have been sent.
 */
export class ByteWriter {
  #parts: Buffer[] = []
  /** Text not yet encoded; it stands behind `#parts`. */
  #text = ''
  #length = 0

  /** True when nothing was written since the last `take`. */
  get empty(): boolean {
    return this.#parts.length === 0 && this.#text === ''
  }

  write(content: string | Buffer): void {
    if (typeof content === 'string') {
      this.#text += content
      return
    }
    if (this.#text !== '') this.#flushText()
    this.#parts.push(content)
    this.#length += content.length
  }

  /** Everything written so far, in one buffer; the writer is empty afterwards. */
  take(): Buffer {
    if (this.#text !== '') this.#flushText()
    const parts = this.#parts
    const length = this.#length
    this.#parts = []
    this.#length = 0
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts, length)
  }

  /** Like `take`, but in several buffers where they are so large that joining them would cost more than it saves. */
  takeParts(): readonly Buffer[] {
    if (this.#text !== '') this.#flushText()
    const parts = this.#parts
    if (this.#length < LARGE_PART * parts.length) return [this.take()]
    this.#parts = []
    this.#length = 0
    return parts
  }

  /** Like `take`, but text stays text: cheaper when it will be joined with more text later. */
  takePiece(): string | Buffer {
    if (this.#parts.length > 0) return this.take()
    const text = this.#text
    this.#text = ''
    return text
  }

  #flushText(): void {
    const bytes = Buffer.from(this.#text, 'utf8')
    this.#text = ''
    this.#parts.push(bytes)
    this.#length += bytes.length
  }
}

/** Bytes on average. */
const LARGE_PART = 8192
