import { countReason, type EndpointCounters } from '../contracts/counters.ts'
import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Events } from '../contracts/events.ts'
import type { Format } from '../contracts/format.ts'
import { DEFAULT_ENVELOPE, type Decoder, Found, Frames, NEED_MORE, tooLong } from '../contracts/framing.ts'
import { Message, type Source } from '../contracts/message.ts'
import type { Wait } from '../contracts/wait.ts'
import { Gathering } from '../util/gathering.ts'
import { whenAborted } from '../util/signals.ts'

/** What the waits of a connection need of its endpoint. */
export interface WaitsHost {
  readonly spec: {
    readonly format: Format
    /** In bytes. */
    readonly limits: { readonly maxFrameLength: number }
    readonly counters: EndpointCounters
  }
  readonly surroundings: { readonly events: Events }
}

/**
 * The open waits of one connection. What arrives is offered to them first, the oldest before the others: what matches is
 * theirs, everything else goes its way.
 *
 * ```
 *   bytes ─▶ read ─┬─▶ a wait with a framing of its own
 *                  ├─▶ held, while onConnect runs and nobody waits
 *                  └─▶ framer ─▶ frames ─▶ offer ─┬─▶ a wait that matches
 *                                                 └─▶ lane
 * ```
 */
export class Waits {
  /** Those that look at the frames of the endpoint. */
  readonly #framed: Open[] = []
  /** Those that read with a framing of their own; the first of them has the bytes. */
  readonly #own: Open[] = []
  /** Bytes of the frame that the first of `#own` is reading. */
  readonly #unread = new Gathering()
  /** Bytes that are held; undefined while none are to be. */
  #held: Gathering | undefined = undefined
  /** The input has ended while bytes were held. */
  ended = false
  /** Messages that were waited for and have come. */
  #given = 0
  readonly #source: Source
  readonly #format: Format
  readonly #maxLength: number
  readonly #counters: EndpointCounters
  readonly #events: Events

  constructor(source: Source, { spec, surroundings }: WaitsHost) {
    this.#source = source
    this.#format = spec.format
    this.#maxLength = spec.limits.maxFrameLength
    this.#counters = spec.counters
    this.#events = surroundings.events
  }

  /** Bytes that are held. */
  get size(): number {
    return this.#held?.length ?? 0
  }

  /** The other side has sent what was waited for, or what is held. */
  get heard(): boolean {
    return this.#given > 0 || this.size > 0
  }

  /** From now on bytes are held until somebody waits, so that a wait can read them with a framing of its own. */
  hold(): void {
    this.#held = new Gathering()
  }

  /** Gives what is held. @param ended nothing is held from now on */
  release(ended: boolean): Buffer {
    const held = this.#held?.take() ?? NOTHING
    this.#counters.queuedBytes -= held.length
    if (ended) this.#held = undefined
    return held
  }

  /** The input has ended. Where bytes are held they may still be waited for. @returns false when none are to be */
  endHeld(): boolean {
    this.ended = this.#held !== undefined
    return this.ended
  }

  /** @returns resolves to the message; rejects with SluiceError `wait_failed`, or with the reason of its signal */
  open(wait: Wait<Message>): Promise<Message> {
    const { promise, resolve, reject } = Promise.withResolvers<Message>()
    const { timeout, signal, codec } = wait
    const list = codec === undefined ? this.#framed : this.#own
    let forget: (() => void) | undefined
    const settle = (result: Message | SluiceError) => {
      const at = list.indexOf(open)
      if (at === -1) return
      list.splice(at, 1)
      clearTimeout(timer)
      forget?.()
      if (result instanceof SluiceError) reject(result)
      else resolve(result)
    }
    const open: Open = { wait, decoder: codec?.framing.createDecoder(this.#maxLength), trouble: undefined, settle }
    const abort = () => settle(toSluiceError(signal!.reason, 'wait_failed'))
    const timer = setTimeout(() => settle(notArrived(timeout, open.trouble)), timeout)
    list.push(open)
    forget = signal && whenAborted(signal, abort)
    return promise
  }

  /** Takes bytes that have arrived. @returns those that go to the framing of the endpoint */
  read(chunk: Buffer, time: number): Buffer {
    let bytes = this.#unread.add(chunk)
    for (let open = this.#own[0]; open !== undefined && bytes.length > 0; open = this.#own[0]) {
      try {
        const { frames, end } = readFrame(open.decoder!, bytes, this.#maxLength)
        bytes = bytes.subarray(end)
        if (frames === undefined) {
          if (bytes.length < this.#unread.length) {
            this.#unread.take()
            this.#unread.add(bytes)
          }
          return NOTHING
        }
        frames.time = time
        this.#takeOwn(open, frames)
      } catch (thrown) {
        open.settle(toSluiceError(thrown, 'frame_invalid'))
      }
    }
    this.#unread.take()
    if (this.#held === undefined || this.#framed.length > 0) return bytes
    this.#counters.queuedBytes += bytes.length
    this.#held.add(bytes)
    return NOTHING
  }

  /** Offers frames. @returns those that nobody has waited for, with their numbers */
  offer(frames: Frames): readonly Frames[] {
    if (this.#framed.length === 0) return [frames]
    const left: Frames[] = []
    let from = 0
    for (let i = 0; i < frames.count; i++) {
      const error = frames.errors?.get(i)
      // What was cut on purpose is a message like any other.
      if ((error !== undefined && error.code !== 'frame_cut') || !this.#take(frames, i, error)) continue
      if (i > from) left.push(frames.slice(from, i))
      from = i + 1
    }
    if (from === 0) return [frames]
    if (from < frames.count) left.push(frames.slice(from, frames.count))
    // All of them keep the same read in memory; it is counted once.
    if (left.length > 0) left[0]!.size = frames.size
    return left
  }

  /** Nothing more can arrive for any of them. @param ended not because of what has arrived already */
  fail(ended: boolean): void {
    const full = 'too much else arrived, more than limits.maxQueued'
    const error = new SluiceError('wait_failed', ended ? 'the connection has ended, or reads no more' : full)
    for (const open of [...this.#framed, ...this.#own]) open.settle(error)
  }

  /** @param cut what is told of a frame that was cut */
  #take(frames: Frames, i: number, cut: SluiceError | undefined): boolean {
    let message: Message
    try {
      const value = this.#format.parse(frames.bytes, frames.starts[i]!, frames.ends[i]!)
      message = Message.ofFrame(value, this.#source, frames, i, this.#format)
    } catch {
      // It is refused in the lane.
      return false
    }
    const found = this.#framed.find((open) => isMatch(open, message))
    if (found === undefined) return false
    if (cut !== undefined) {
      countReason(this.#counters.rejected, cut.code)
      this.#events.emit('frame.rejected', { message, error: cut })
    }
    this.#give(found, message)
    return true
  }

  #takeOwn(open: Open, frames: Frames): void {
    const { format } = open.wait.codec!
    const value = format.parse(frames.bytes, frames.starts[0]!, frames.ends[0]!)
    const message = Message.ofFrame(value, this.#source, frames, 0, format)
    if (isMatch(open, message)) this.#give(open, message)
    else open.settle(open.trouble ?? new SluiceError('wait_failed', 'something else arrived'))
  }

  #give(open: Open, message: Message): void {
    this.#given++
    this.#source.client.messagesIn++
    this.#counters.messagesIn++
    open.settle(message)
  }
}

/** A wait that is open. */
interface Open {
  readonly wait: Wait<Message>
  /** Only where it has a framing of its own. */
  readonly decoder: Decoder | undefined
  /** Why the last message could not be compared. */
  trouble: SluiceError | undefined
  settle(result: Message | SluiceError): void
}

function isMatch(open: Open, message: Message): boolean {
  try {
    return open.wait.matches?.(message) ?? true
  } catch (thrown) {
    open.trouble = toSluiceError(thrown, 'expression_failed')
    return false
  }
}

/**
 * The first frame in some bytes, and the index behind it; without one, the index behind what is not needed any more. A
 * frame may be skipped on purpose (`whenTooLong`).
 */
function readFrame(decoder: Decoder, bytes: Buffer, limit: number): { frames: Frames | undefined; end: number } {
  const maxLength = Math.min(limit, decoder.maxLength ?? limit)
  const found = new Found()
  let from = 0
  while (from < bytes.length) {
    const next = decoder.next(bytes, from, bytes.length, found)
    if (next === NEED_MORE) break
    const { error, skipped } = found
    // The rest of a frame that was cut would go to the framing of the endpoint, so such a one is refused, too.
    if (error !== undefined && error.code !== 'frame_skipped') throw error
    if (!skipped && error === undefined) {
      const payload = found.payload ?? bytes.subarray(found.start, found.end)
      if (payload.length > maxLength) throw tooLong(maxLength)
      const frames = new Frames(payload)
      frames.push(0, payload.length)
      return { frames, end: next }
    }
    found.skipped = false
    found.error = undefined
    found.payload = undefined
    from = next
  }
  if (bytes.length - from > maxLength + (decoder.envelope ?? DEFAULT_ENVELOPE)) throw tooLong(maxLength)
  return { frames: undefined, end: from }
}

function notArrived(timeout: number, trouble: SluiceError | undefined): SluiceError {
  const text = `what was waited for did not arrive within ${timeout} ms`
  if (trouble === undefined) return new SluiceError('wait_failed', text)
  return new SluiceError('wait_failed', `${text}; the last message could not be compared: ${trouble.message}`)
}

const NOTHING = Buffer.alloc(0)
