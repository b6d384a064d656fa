import { type Decoder, type Found, type Frames, NEED_MORE } from '../contracts/framing.ts'
import { MAX_SPLIT_COUNT, MAX_SPLIT_LENGTH, type Splitter } from '../util/split.ts'

/** In the place of a byte that is dropped: none is. */
export const NO_BYTE = 256

/** Finds frames that end at one byte. */
export class SeparatorDecoder implements Decoder {
  readonly envelope = 2
  readonly separator: number
  readonly #dropped: number
  readonly #splitter: Splitter | undefined
  /** How many of the unread bytes are known to hold no separator. */
  #scanned = 0

  /**
   * @param dropped a byte that is no part of a frame where it stands before the separator; {@link NO_BYTE} for none
   * @param splitter used by several decoders, one after the other; without it frames are found one by one
   */
  constructor(separator: number, dropped: number, splitter?: Splitter) {
    this.separator = separator
    this.#dropped = dropped
    this.#splitter = splitter
  }

  next(bytes: Buffer, from: number, to: number, found: Found): number {
    const at = bytes.indexOf(this.separator, from + this.#scanned)
    if (at === -1 || at >= to) {
      this.#scanned = to - from
      return NEED_MORE
    }
    this.#scanned = 0
    found.start = from
    found.end = at > from && bytes[at - 1] === this.#dropped ? at - 1 : at
    return at + 1
  }

  giveUp(_bytes: Buffer, from: number, to: number, found: Found): number {
    this.#scanned = 0
    found.start = from
    found.end = to
    return to
  }

  nextFrames(bytes: Buffer, from: number, until: number, frames: Frames, most: number): number {
    const splitter = this.#splitter
    if (splitter === undefined || bytes.length - from - this.#scanned > MAX_SPLIT_LENGTH) return from
    const { starts, ends } = splitter
    const enough = Math.min(most, MAX_SPLIT_COUNT)
    let count = splitter.split(bytes, from, this.#scanned, this.separator, this.#dropped, enough)
    const drops = ends[count]!
    while (count > 0 && starts[count - 1]! >= until) count--
    const behind = starts[count]!
    // Behind the last frame all has been searched, unless there were enough of them.
    this.#scanned = count === enough || behind >= until ? 0 : bytes.length - behind
    if (count === 0) return from
    frames.fill(starts, ends, count)
    // Where nothing is dropped a frame may end with what another framing would drop.
    frames.seamless = this.#dropped !== NO_BYTE && drops === 0
    return behind
  }
}
