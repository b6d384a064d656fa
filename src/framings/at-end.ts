import { type Decoder, type Found, type Framing, NEED_MORE } from '../contracts/framing.ts'

interface AtEnd {
  /** Milliseconds without a byte that end a frame as well. */
  readonly silence?: number
  /** A frame above this many bytes is given in pieces of this size. */
  readonly pieceLength?: number | undefined
  /** Take what has arrived before the connection broke for whole. */
  readonly trustsReset?: boolean
}

/** Frames that hold nothing which tells where they end: something outside of the bytes does. */
export function createAtEnd({ silence, pieceLength, trustsReset = true }: AtEnd): Framing {
  return {
    createDecoder: (maxLength) =>
      pieceLength === undefined
        ? new AtEndDecoder(silence, trustsReset)
        : new PieceDecoder(trustsReset, Math.min(pieceLength, maxLength)),
    encode: (payload, out) => out.write(payload),
  }
}

class AtEndDecoder implements Decoder {
  readonly envelope: number = 0
  readonly silence?: number
  readonly #trustsReset: boolean

  constructor(silence: number | undefined, trustsReset: boolean) {
    if (silence !== undefined) this.silence = silence
    this.#trustsReset = trustsReset
  }

  next(_bytes: Buffer, _from: number, _to: number, _found: Found): number {
    return NEED_MORE
  }

  end(_bytes: Buffer, from: number, to: number, found: Found, reset: boolean): number {
    if (from === to || (reset && !this.#trustsReset)) return NEED_MORE
    found.start = from
    found.end = to
    return to
  }

  /** The last byte stays unread, so that there is something to end. */
  giveUp(_bytes: Buffer, from: number, to: number, found: Found): number {
    found.start = from
    found.end = to - 1
    return found.end
  }
}

/** Gives a piece only when another byte follows, so that the last one is never empty. */
class PieceDecoder extends AtEndDecoder {
  readonly inPieces = true
  override readonly envelope = 1
  readonly #length: number

  constructor(trustsReset: boolean, length: number) {
    super(undefined, trustsReset)
    this.#length = length
  }

  override next(_bytes: Buffer, from: number, to: number, found: Found): number {
    if (to - from <= this.#length) return NEED_MORE
    found.start = from
    found.end = from + this.#length
    return found.end
  }
}
