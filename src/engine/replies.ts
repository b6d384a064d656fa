import type { PayloadKind } from '../contracts/client.ts'
import { type Codec, encodeContent } from '../contracts/codec.ts'
import type { Frames } from '../contracts/framing.ts'
import { ByteWriter } from '../util/byte-writer.ts'

/**
 * The answers of one run, kept in a slot for each message so that they leave in the order of the messages that caused
 * them, whatever branch or `onError` they come from. One write for each run.
 *
 * The first slot is open to the wire at once: what is in it may leave while the run still waits for a slow sink. The
 * others follow when the run has ended.
 */
export class Replies {
  /** How many answers were given. */
  count = 0
  readonly #codec: Codec
  readonly #slots: (string | Buffer | undefined)[] = []
  /** Sequence of the message whose slot is 0; no message has it between runs. */
  first = NO_RUN
  /** Reads that are answered with themselves; they stand for one answer in each slot. */
  #echoed: readonly Frames[] | undefined = undefined
  readonly #writer = new ByteWriter()

  constructor(codec: Codec) {
    this.#codec = codec
  }

  /** A run begins. @param first sequence of its first message */
  begin(first: number): void {
    this.first = first
  }

  /**
   * @param sequence that of the message which is answered
   * @returns false when the run of the message has ended: the answer is lost
   * @throws SluiceError what the format or framing says of the content
   */
  add(sequence: number, kind: PayloadKind, content: unknown): boolean {
    const slot = sequence - this.first
    if (slot < 0) return false
    if (this.#echoed !== undefined) this.#spread(this.#echoed)
    const writer = this.#writer
    try {
      encodeContent(kind, content, this.#codec, writer)
    } catch (thrown) {
      writer.take()
      throw thrown
    }
    const earlier = this.#slots[slot]
    this.#slots[slot] = earlier === undefined ? writer.takePiece() : join(earlier, writer.takePiece())
    this.count++
    return true
  }

  /** @returns false when something is in the slots already, or the framing cannot pass frames on as they are */
  echo(frames: readonly Frames[]): boolean {
    if (this.count > 0 || this.#codec.framing.encodeFrames === undefined) return false
    this.#echoed = frames
    for (const { count } of frames) this.count += count
    return true
  }

  /** Takes what may leave before the run has ended. */
  takeFirst(): Buffer | undefined {
    if (this.#echoed !== undefined) this.#spread(this.#echoed)
    const first = this.#slots[0]
    if (first === undefined) return undefined
    this.#slots[0] = undefined
    this.count--
    return typeof first === 'string' ? Buffer.from(first) : first
  }

  /** The run has ended: takes everything, in order. Undefined when there is nothing to send. */
  takeAll(): Buffer | undefined {
    this.first = NO_RUN
    if (this.count === 0) return undefined
    this.count = 0
    const writer = this.#writer
    if (this.#echoed !== undefined) {
      for (const frames of this.#echoed) this.#codec.framing.encodeFrames!(frames, writer)
      this.#echoed = undefined
    } else {
      for (const piece of this.#slots) if (piece !== undefined) writer.write(piece)
      this.#slots.length = 0
    }
    return writer.empty ? undefined : writer.take()
  }

  #spread(echoed: readonly Frames[]): void {
    this.#echoed = undefined
    let slot = 0
    for (const frames of echoed) {
      for (let i = 0; i < frames.count; i++) {
        this.#codec.framing.encode(frames.at(i), this.#writer)
        this.#slots[slot++] = this.#writer.take()
      }
    }
  }
}

const NO_RUN = Number.POSITIVE_INFINITY

function join(a: string | Buffer, b: string | Buffer): string | Buffer {
  if (typeof a === 'string' && typeof b === 'string') return a + b
  return Buffer.concat([toBytes(a), toBytes(b)])
}

function toBytes(piece: string | Buffer): Buffer {
  return typeof piece === 'string' ? Buffer.from(piece) : piece
}
