/**
 * Collects bytes and text for one write. Neighbouring text is joined before it is encoded, and a buffer that is alone is
 * given out as it is, so the usual cases cost one allocation or none.
 *
 * Buffers that are written belong to the writer until `take` and must not change before the bytes have been sent.
 */
export class ByteWriter {
  /** The first buffer, apart from those behind it: usually it is the only one. */
  #first: Buffer | undefined = undefined
  #others: Buffer[] | undefined = undefined
  /** Text not yet encoded; it stands behind the buffers. */
  #text = ''
  #length = 0

  /** True when nothing was written since the last `take`. */
  get empty(): boolean {
    return this.#first === undefined && this.#text === ''
  }

  write(content: string | Buffer): void {
    if (typeof content === 'string') {
      this.#text += content
      return
    }
    if (this.#text !== '') this.#flushText()
    this.#add(content)
  }

  /** Everything written so far, in one buffer; the writer is empty afterwards. */
  take(): Buffer {
    if (this.#text !== '') this.#flushText()
    const length = this.#length
    const parts = this.#takeAll()
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts, length)
  }

  /**
   * Like `take`, but what must be joined is joined where the caller says.
   * @param room gives memory of at least so many bytes
   */
  takeInto(room: (length: number) => Buffer): Buffer {
    if (this.#text !== '') this.#flushText()
    const length = this.#length
    const parts = this.#takeAll()
    if (parts.length < 2) return parts[0] ?? Buffer.alloc(0)
    const memory = room(length)
    let at = 0
    for (const part of parts) at += part.copy(memory, at)
    return memory.subarray(0, length)
  }

  /** Like `take`, but in several buffers where they are so large that joining them would cost more than it saves. */
  takeParts(): readonly Buffer[] {
    if (this.#text !== '') this.#flushText()
    const length = this.#length
    const parts = this.#takeAll()
    return parts.length > 1 && length < LARGE_PART * parts.length ? [Buffer.concat(parts, length)] : parts
  }

  /** Like `take`, but text stays text: cheaper when it will be joined with more text later. */
  takePiece(): string | Buffer {
    if (this.#first !== undefined) return this.take()
    const text = this.#text
    this.#text = ''
    return text
  }

  #flushText(): void {
    const text = this.#text
    this.#text = ''
    this.#add(Buffer.from(text, 'utf8'))
  }

  #add(bytes: Buffer): void {
    this.#length += bytes.length
    if (this.#first === undefined) this.#first = bytes
    else if (this.#others === undefined) this.#others = [bytes]
    else this.#others.push(bytes)
  }

  #takeAll(): readonly Buffer[] {
    const first = this.#first
    const others = this.#others
    this.#first = undefined
    this.#others = undefined
    this.#length = 0
    if (first === undefined) return []
    return others === undefined ? [first] : [first, ...others]
  }
}

/** Bytes on average. */
const LARGE_PART = 8192
