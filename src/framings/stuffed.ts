import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import { type Decoder, type Found, type Framing, NEED_MORE } from '../contracts/framing.ts'

/** A way to write bytes so that one of them, which then ends a frame, does not appear. */
export interface Stuffing {
  /** The byte that ends a frame and is nowhere in one. */
  readonly separator: number
  /** Most bytes that a payload of `maxLength` bytes may grow by, with what stands around it. */
  envelope(maxLength: number): number
  /**
   * @param stuffed a view of what stands between two separators; not to be kept or changed
   * @param part it is only the beginning of a frame: what can be read of it
   * @returns the payload; the very same view when nothing has to be changed
   * @throws SluiceError `frame_invalid`
   */
  unstuff(stuffed: Buffer, part: boolean): Buffer
  /** The frame for a payload, with all its separators. @throws SluiceError `frame_not_encodable` */
  stuff(payload: Buffer): Buffer
}

/** A framing of frames whose bytes are stuffed. Where nothing stands between two separators there is no frame. */
export function createStuffed(stuffing: Stuffing): Framing {
  return {
    createDecoder: (maxLength) => new StuffedDecoder(stuffing, maxLength),
    encode: (payload, out) => out.write(stuffing.stuff(typeof payload === 'string' ? Buffer.from(payload) : payload)),
  }
}

class StuffedDecoder implements Decoder {
  readonly envelope: number
  readonly #stuffing: Stuffing
  readonly #maxLength: number
  /** How many of the unread bytes are known to hold no separator. */
  #scanned = 0
  /** The first bytes of the frame were given up, so that the rest means nothing by itself. */
  #headless = false

  constructor(stuffing: Stuffing, maxLength: number) {
    this.#stuffing = stuffing
    this.#maxLength = maxLength
    this.envelope = stuffing.envelope(maxLength)
  }

  next(bytes: Buffer, from: number, to: number, found: Found): number {
    const at = bytes.indexOf(this.#stuffing.separator, from + this.#scanned)
    if (at === -1 || at >= to) {
      this.#scanned = to - from
      return NEED_MORE
    }
    this.#scanned = 0
    found.start = from
    found.end = at
    if (at === from && !this.#headless) found.skipped = true
    else if (!this.#headless) this.#unstuff(bytes, from, at, found)
    this.#headless = false
    return at + 1
  }

  giveUp(bytes: Buffer, from: number, to: number, found: Found): number {
    found.start = from
    found.end = to
    if (!this.#headless) this.#unstuff(bytes, from, to, found)
    this.#headless = true
    this.#scanned = 0
    return to
  }

  /** What is too long is told as that, whether it is damaged or not: else it would depend on how much has been read. */
  #unstuff(bytes: Buffer, from: number, end: number, found: Found): void {
    const longest = this.#maxLength + this.envelope
    const isTooLong = end - from > longest
    const stuffed = bytes.subarray(from, isTooLong ? from + longest : end)
    try {
      const payload = this.#stuffing.unstuff(stuffed, isTooLong)
      if (payload !== stuffed && (!isTooLong || payload.length > this.#maxLength)) found.payload = payload
    } catch (thrown) {
      if (!isTooLong) found.error = toSluiceError(thrown, 'frame_invalid')
    }
  }
}

/** The error for a frame that is damaged; reading goes on behind it. */
export function damaged(message: string): SluiceError {
  return new SluiceError('frame_invalid', message, {
    hint: 'Bytes were lost or changed on the way, or the framing differs.',
  })
}
