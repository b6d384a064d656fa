import type { ByteWriter } from '../util/byte-writer.ts'
import { SluiceError } from './errors.ts'

/**
 * A framing turns the bytes of a connection into frames and payloads back into bytes. Both directions live in one value,
 * so that the listener, the reply, the outgoing connection, the tcp sink and the test client agree.
 *
 * A framing is shared by all connections of an endpoint and holds no state; the state of one direction of one
 * connection is its {@link Decoder}. A framing does no I/O and reads no clock.
 */
export interface Framing {
  /** A fresh decoder for one connection. `maxLength` is the longest payload in bytes that may be accepted. */
  createDecoder(maxLength: number): Decoder
  /**
   * Appends one payload to `out`, framed. Text is UTF-8.
   * @throws SluiceError `frame_not_encodable` when no decoder could give the payload back
   */
  encode(payload: string | Buffer, out: ByteWriter): void
  /**
   * Appends many payloads that still lie where they were read. Optional: a framing offers it when it can pass runs of
   * bytes on without touching each frame. The result equals `encode` for each frame in turn.
   */
  encodeFrames?(frames: Frames, out: ByteWriter): void
}

/**
 * Finds frames in bytes. The driver (`wire/framer.ts`) owns the buffer, the end of input, the length limit and the
 * pausing; a decoder only looks.
 */
export interface Decoder {
  /**
   * The longest payload in bytes, where the framing's own options allow less than `createDecoder` was given. The driver
   * keeps to the smaller of the two.
   */
  readonly maxLength?: number
  /**
   * How many bytes a frame may have besides its payload (markers, headers, escapes): as many more than the longest
   * payload may be unread before the driver gives up. Default {@link DEFAULT_ENVELOPE}.
   */
  readonly envelope?: number
  /**
   * A byte that no payload of this decoder contains and that stands between any two frames, if there is one. It comes
   * out as {@link Frames.separator}.
   */
  readonly separator?: number
  /**
   * Milliseconds without a byte that end a frame. Where it is given the driver calls {@link end} after every silence, as
   * if the input had ended there; more bytes may follow.
   */
  readonly silence?: number
  /**
   * True when what `next` gives are the pieces of one long frame, whose last piece comes from {@link end}. The messages
   * made of all but the last then say `more`.
   */
  readonly inPieces?: boolean
  /**
   * Looks for the next frame in `bytes[from, to)`, which is never empty.
   *
   * Four things can happen. A whole frame is there: set `found.start` and `found.end` to its payload (and
   * `found.payload`, if the payload is not those very bytes) and return the index behind the frame. More bytes are
   * needed: return {@link NEED_MORE}; the next call gets the same unread bytes with more behind them, though perhaps at
   * another index. Bytes must be given up: set `found.error`, `start` and `end` and return the index from which reading
   * goes on. Bytes mean nothing, such as a line end between frames: set `found.skipped` and return the index behind
   * them.
   *
   * The decoder must not keep or change `bytes`. An index that it remembers between calls must be relative to `from`.
   * @throws SluiceError when the stream cannot be read any further; the connection is then closed
   */
  next(bytes: Buffer, from: number, to: number, found: Found): number
  /**
   * Finds many frames at one go. Optional, for a decoder that is quicker so: it fills `frames` with what `next` would give,
   * as long as that is whole frames and nothing else. No frame may begin at `until` or behind it. The last byte of
   * `bytes` is the last one read, and nothing in it is longer than `maxLength`.
   * @param most how many frames are enough
   * @returns the index behind the last frame; `from` when there was none
   */
  nextFrames?(bytes: Buffer, from: number, until: number, frames: Frames, most: number): number
  /**
   * The input has ended with `bytes[from, to)` unread. Called until it returns {@link NEED_MORE}; what then is left is
   * a truncated frame. Without this method everything unread is. `from` may equal `to` here.
   * @param reset the other side has not ended its input but broken the connection, so more may have been sent
   */
  end?(bytes: Buffer, from: number, to: number, found: Found, reset: boolean): number
  /**
   * The frame that begins at `from` is too long to be kept, and its end is not in `bytes[from, to)`, of which there are more
   * than the longest payload and the envelope. Gives what is there of its payload as `next` would, and forgets it. Behind
   * the returned index `next` looks for the end of this frame and gives the rest of it; while that is not there, this is
   * called again. Optional: a framing that offers it can let its user choose what becomes of frames that are too long.
   * @returns the index from which on the bytes are still needed; `from` when all of them are
   */
  giveUp?(bytes: Buffer, from: number, to: number, found: Found): number
}

/** What a framing may put around a payload, in bytes, when its decoder does not say. */
export const DEFAULT_ENVELOPE = 64

/** The error for a payload of more than `maxLength` bytes. */
export function tooLong(maxLength: number): SluiceError {
  return new SluiceError('frame_too_long', `a frame is longer than ${maxLength} bytes`, {
    hint: 'Raise limits.maxFrameLength, or check that the framing fits what the device sends.',
  })
}

/** What {@link Decoder.next} returns when it cannot tell yet. */
export const NEED_MORE = -1

/** The place where a decoder writes what it found. One object is used again for every frame. */
export class Found {
  /** Index of the first byte of the payload (or of the bytes given up). */
  start = 0
  /** Index behind the last byte. */
  end = 0
  /** The payload, when it had to be built (unescaped, say) and so is not `bytes[start, end)`. Owned by the message. */
  payload: Buffer | undefined = undefined
  /** Set when `bytes[start, end)` is no frame and is skipped, or to tell of a frame that had to be cut (`notices`). */
  error: SluiceError | undefined = undefined
  /** Set when the bytes up to the returned index are passed over and leave no trace. */
  skipped = false
}

/**
 * Frames that lie in one buffer as they were read, or a part of a read: the unit in which bytes travel from a socket to
 * the first stage that needs messages. Nobody may change `bytes`. Holding a Frames keeps the whole read in memory.
 */
export class Frames {
  readonly bytes: Buffer
  #starts: number[] = []
  #ends: number[] = []
  /**
   * Entries that are no frames but bytes given up, in their place among the frames, and frames that were cut
   * (`frame_cut`); undefined when there are none.
   */
  errors: Map<number, SluiceError> | undefined = undefined
  /** A byte that no frame here contains and that stands between any two, where the decoder promises one. */
  readonly separator: number | undefined
  /**
   * Set by the decoder when behind each frame there is its separator, then at once the next frame, and no frame ends with
   * a byte that a reader could take for a part of the separator (the CR of CR LF): all of it may be passed on as it is.
   */
  seamless = false
  /** These are pieces of one frame, and more of it follows. */
  more = false
  /** Bytes of the stream that these frames and what stood around them took; none of them can be freed before. */
  size = 0
  /** When the last byte was read; milliseconds since 1970. Set by the connection. */
  time = 0
  /** Position of the first frame among those of its connection, from 1. Set by the connection. */
  sequence = 0

  constructor(bytes: Buffer, separator?: number) {
    this.bytes = bytes
    this.separator = separator
  }

  get count(): number {
    return this.#starts.length
  }

  /** `starts[i]` is the index of the first byte of frame i. */
  get starts(): readonly number[] {
    return this.#starts
  }

  /** `ends[i]` is the index behind its last byte. */
  get ends(): readonly number[] {
    return this.#ends
  }

  /** Adds a frame. */
  push(start: number, end: number): void {
    this.#starts.push(start)
    this.#ends.push(end)
  }

  /** Makes these the frames. The numbers are copied: a typed array for each read would keep the collector busy. */
  fill(starts: Int32Array, ends: Int32Array, count: number): void {
    this.#starts = new Array<number>(count)
    this.#ends = new Array<number>(count)
    for (let i = 0; i < count; i++) {
      this.#starts[i] = starts[i]!
      this.#ends[i] = ends[i]!
    }
  }

  /** Each frame as one of its own, over the same bytes. */
  split(): Frames[] {
    return this.starts.map((_, i) => {
      const one = this.slice(i, i + 1)
      // All of them keep the same read in memory; it is counted once.
      if (i === 0) one.size = this.size
      return one
    })
  }

  /** The frames from one index to before another, with their numbers, over the same bytes. Their `size` is 0. */
  slice(from: number, to: number): Frames {
    const part = new Frames(this.bytes, this.separator)
    part.time = this.time
    part.sequence = this.sequence + from
    part.more = this.more
    for (let i = from; i < to; i++) {
      const error = this.errors?.get(i)
      if (error !== undefined) part.errors = (part.errors ?? new Map()).set(i - from, error)
      part.push(this.#starts[i]!, this.#ends[i]!)
    }
    return part
  }

  /** A view of frame i; no bytes are copied. */
  at(i: number): Buffer {
    return this.bytes.subarray(this.starts[i], this.ends[i])
  }

  /** The same frames in one new buffer, some with another payload. @param payloads by the index of their frame */
  with(payloads: ReadonlyMap<number, Buffer>): Frames {
    const all = this.starts.map((_, i) => payloads.get(i) ?? this.at(i))
    const result = new Frames(Buffer.concat(all))
    result.errors = this.errors
    result.more = this.more
    result.size = this.size
    let at = 0
    for (const payload of all) {
      result.push(at, at + payload.length)
      at += payload.length
    }
    return result
  }
}
