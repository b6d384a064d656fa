import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import { DEFAULT_ENVELOPE, type Decoder, Found, Frames, NEED_MORE, tooLong } from '../contracts/framing.ts'
import { Quiet, type QuietListener } from '../util/quiet.ts'

/**
 * Drives a decoder: bytes of a connection in, frames out. It owns everything that a decoder must not have to think
 * about: keeping an unfinished frame, the length limit, silence, the end of input, and the order of frames and errors.
 *
 * ```
 *              push(chunk)                        a whole read becomes one Frames
 *   ┌────────┐ ──────────▶ unread + chunk ──▶ decoder.next ─┬─ frame ──────▶ entry
 *   │ reading│                                              ├─ found.error ▶ entry with an error, reading goes on
 *   └────────┘                                              ├─ found.skipped  nothing, reading goes on
 *     │   │                                                 ├─ NEED_MORE ──▶ keep the rest
 *     │   │ end() ▶ decoder.end … rest ▶ frame_truncated    └─ throws ─────▶ entry with the error, `broken` is set
 *     ▼   ▼
 *   broken: nothing after the error can be trusted; further bytes are ignored
 * ```
 */
export class Framer {
  /** Set when the stream cannot be read any further. */
  broken: SluiceError | undefined = undefined
  /** How many bytes the last `push` has taken. */
  taken = 0
  /** Bytes of a frame that has begun and not ended; `#rest` begins with them. Written here alone. */
  unread = 0
  readonly #decoder: Decoder
  readonly #maxLength: number
  /** So many bytes may be unread without being a frame: the longest payload and what the framing puts around it. */
  readonly #maxUnread: number
  readonly #found = new Found()
  /** Watches for the silence that ends a frame, where the decoder wants that. */
  readonly quiet: Quiet | undefined
  /** The unfinished frame, and room behind it so that small reads need not copy it all. */
  #rest: Buffer | undefined = undefined

  /** @param maxLength longest payload in bytes; the decoder may allow less */
  constructor(decoder: Decoder, maxLength: number) {
    this.#decoder = decoder
    this.#maxLength = Math.min(maxLength, decoder.maxLength ?? maxLength)
    this.#maxUnread = this.#maxLength + (decoder.envelope ?? DEFAULT_ENVELOPE)
    this.quiet = decoder.silence === undefined ? undefined : new Quiet(decoder.silence)
  }

  /** Takes all of a chunk and gives its frames portion by portion, until the stream is broken. */
  feed(chunk: Buffer, receiver: FrameReceiver): void {
    for (let at = 0; at < chunk.length && this.broken === undefined; at += this.taken) {
      receiver.takeFrames(this.push(at === 0 ? chunk : chunk.subarray(at)))
    }
    this.quiet?.restart(receiver)
  }

  /**
   * Takes bytes that were read and gives the frames that they completed. They must not be changed afterwards. It may take
   * only the first part, as `taken` tells; push the others again. So a large chunk behind an unfinished frame need not be
   * copied, and a chunk of very many tiny frames comes in portions.
   */
  push(chunk: Buffer): Frames {
    const head = this.unread > 0 && chunk.length >= 8 * HEAD ? chunk.subarray(0, HEAD) : chunk
    this.taken = head.length
    if (this.broken !== undefined) return new Frames(NOTHING)
    const bytes = this.#append(head)
    return this.#decode(bytes, head === chunk ? bytes.length : bytes.length - HEAD, false)
  }

  /**
   * The input has ended, or there was the silence that the decoder waits for: the frames that end with it, then what is
   * left as an error.
   * @param reset the connection broke
   */
  end(reset = false): Frames {
    if (this.broken !== undefined || this.#rest === undefined) return new Frames(NOTHING)
    return this.#decode(this.#rest.subarray(0, this.unread), this.unread, true, reset)
  }

  /** Gives up the unfinished frame, for a deadline say. The stream is broken afterwards. */
  abandon(error: SluiceError): Frames {
    if (this.broken !== undefined) return new Frames(NOTHING)
    const frames = new Frames(this.#rest ?? NOTHING)
    this.#giveUp(frames, 0, this.unread, error)
    return frames
  }

  /**
   * `bytes` ends with the last byte read, so that a decoder's native search cannot run on into unused room.
   * @param until behind this no frame is begun
   */
  #decode(bytes: Buffer, until: number, ended: boolean, reset = false): Frames {
    const decoder = this.#decoder
    const maxLength = this.#maxLength
    const frames = new Frames(bytes, decoder.separator)
    frames.more = !ended && decoder.inPieces === true
    const found = this.#found
    let to = bytes.length
    let built: Map<number, Buffer> | undefined
    let from = 0
    if (!ended && to <= maxLength) from = decoder.nextFrames?.(bytes, 0, until, frames, MAX_FRAMES) ?? 0
    try {
      while (ended || (from < until && frames.count < MAX_FRAMES)) {
        const next = ended
          ? (decoder.end?.(bytes, from, to, found, reset) ?? NEED_MORE)
          : decoder.next(bytes, from, to, found)
        if (next <= from) {
          if (next === NEED_MORE) break
          throw new SluiceError('internal', 'the framing gave a frame without reading on')
        }
        if (found.error !== undefined) {
          frames.errors = (frames.errors ?? new Map()).set(frames.count, found.error)
          found.error = undefined
        } else if (found.skipped) {
          found.skipped = false
          from = next
          continue
        } else if ((found.payload?.length ?? found.end - found.start) > maxLength) {
          throw tooLong(maxLength)
        }
        if (found.payload !== undefined) {
          built = (built ?? new Map()).set(frames.count, found.payload)
          found.payload = undefined
        }
        frames.seamless = false
        frames.push(found.start, found.end)
        from = next
      }
    } catch (thrown) {
      this.#giveUp(frames, from, Math.min(to, from + maxLength), toSluiceError(thrown, 'frame_invalid'))
      return built === undefined ? frames : frames.with(built)
    }
    frames.size = from
    if (from >= until || frames.count === MAX_FRAMES) to = from
    this.taken -= bytes.length - to
    this.#keep(bytes, from, to)
    if (this.unread > this.#maxUnread) {
      this.#giveUp(frames, from, from + maxLength, tooLong(maxLength))
    } else if (ended && this.unread > 0) {
      this.#giveUp(frames, from, to, new SluiceError('frame_truncated', 'the connection ended in mid-frame'))
    }
    return built === undefined ? frames : frames.with(built)
  }

  /** Joins the chunk to the unread bytes. A read that finds nothing unread is used where it is. */
  #append(chunk: Buffer): Buffer {
    const rest = this.#rest
    if (rest === undefined) return chunk
    const length = this.unread + chunk.length
    let joined = rest
    if (length > rest.length) {
      joined = Buffer.allocUnsafe(Math.max(length, Math.min(rest.length * 2, this.#maxUnread)))
      rest.copy(joined, 0, 0, this.unread)
    }
    chunk.copy(joined, this.unread)
    this.#rest = joined
    this.unread = length
    return length === joined.length ? joined : joined.subarray(0, length)
  }

  /** Keeps `bytes[from, to)` for the next read, away from frames that were given out and may live long. */
  #keep(bytes: Buffer, from: number, to: number): void {
    this.unread = to - from
    if (from === to) this.#rest = undefined
    else if (from > 0 || this.#rest === undefined) this.#rest = Buffer.from(bytes.subarray(from, to))
  }

  #giveUp(frames: Frames, start: number, end: number, error: SluiceError): void {
    frames.size = end
    frames.errors = (frames.errors ?? new Map()).set(frames.count, error)
    frames.push(start, end)
    this.broken = error
    this.#rest = undefined
    this.unread = 0
  }
}

/** Who takes what a framer finds, and calls `end` when it was quiet. */
export interface FrameReceiver extends QuietListener {
  takeFrames(frames: Frames): void
}

/** So many frames are enough at once: work on them must not hold up other connections. */
export const MAX_FRAMES = 1024

/** So much of a large chunk is copied for the sake of the frame that it ends. */
const HEAD = 2048

const NOTHING = Buffer.alloc(0)
