import { type Decoder, type Found, NEED_MORE } from '../contracts/framing.ts'
import { refuseLength, type WhenTooLong } from './limits.ts'

/** What the header of a frame says. One object is used again for every frame. */
export class Header {
  /** Where the payload begins, in bytes behind the first byte of the frame. */
  start = 0
  /** Bytes of the payload. */
  length = 0
  /** Bytes of the frame behind the payload. */
  trailer = 0
}

/** How frames that say in front how long they are are read. */
export interface Counted {
  /** Most bytes that stand around a payload. */
  readonly envelope: number
  /** What to check when a declared length is above the limit: one sentence. */
  readonly hint: string
  readonly whenTooLong: WhenTooLong
  /**
   * Reads the header at `from`.
   * @returns false when it is not whole yet
   * @throws SluiceError `frame_invalid` when it is none; the stream cannot be read any further then
   */
  read(bytes: Buffer, from: number, to: number, header: Header): boolean
  /** Looks at the end of a whole frame that is not too long. @throws SluiceError `frame_invalid` */
  check?(bytes: Buffer, end: number): void
}

/** Finds frames by the length that they declare. It waits for nothing and keeps nothing that is above the limit. */
export class CountedDecoder implements Decoder {
  readonly envelope: number
  readonly #layout: Counted
  readonly #maxLength: number
  readonly #header = new Header()
  /** Bytes that are still to come of a frame that was given up. */
  #left = 0

  constructor(layout: Counted, maxLength: number) {
    this.#layout = layout
    this.#maxLength = maxLength
    this.envelope = layout.envelope
  }

  next(bytes: Buffer, from: number, to: number, found: Found): number {
    if (this.#left > 0) return this.#rest(from, to, found)
    const header = this.#header
    const layout = this.#layout
    if (!layout.read(bytes, from, to, header)) return NEED_MORE
    if (header.length > this.#maxLength && layout.whenTooLong === 'close') {
      refuseLength(header.length, this.#maxLength, layout.hint)
    }
    const end = from + header.start + header.length + header.trailer
    if (end > to) return NEED_MORE
    if (header.length <= this.#maxLength) layout.check?.(bytes, end)
    found.start = from + header.start
    found.end = found.start + header.length
    return end
  }

  giveUp(_bytes: Buffer, from: number, to: number, found: Found): number {
    const { start, length, trailer } = this.#header
    found.start = Math.min(from + (this.#left > 0 ? 0 : start), to)
    found.end = to
    this.#left = (this.#left > 0 ? this.#left : start + length + trailer) - (to - from)
    return to
  }

  /** The rest of a frame that was given up. */
  #rest(from: number, to: number, found: Found): number {
    const end = from + this.#left
    if (end > to) return NEED_MORE
    this.#left = 0
    found.start = from
    found.end = end
    return end
  }
}
