import type { Format } from './format.ts'
import type { Frames } from './framing.ts'
import { Message, type Source } from './message.ts'

/**
 * The unit between stages: the messages of one run, in order, all of one source.
 *
 * A batch begins as frames in the buffers they were read into. Message objects and values are made when a stage first
 * asks for `messages`, so bytes that nobody looks at stay bytes from the socket to the sink.
 */
export class Batch<T = unknown> {
  /** The untouched frames, while the batch is still what was read; a sink may pass them on as they are. */
  readonly frames: readonly Frames[] | undefined
  /** The format in which `frames` are valid. */
  readonly format: Format | undefined
  /** Where all its messages come from, known without making them; undefined when there are none, or several sources. */
  readonly source: Source | undefined
  readonly length: number
  /** Made of `frames` when they are asked for. */
  #messages: readonly Message<T>[] | undefined
  /** Makes them where there are no frames of one source. */
  readonly #make: (() => readonly Message<T>[]) | undefined

  private constructor(
    length: number,
    messages: readonly Message<T>[] | undefined,
    frames: readonly Frames[] | undefined,
    format: Format | undefined,
    source: Source | undefined,
    make?: () => readonly Message<T>[],
  ) {
    this.length = length
    this.#messages = messages
    this.frames = frames
    this.format = format
    this.source = source
    this.#make = make
  }

  static of<T>(messages: readonly Message<T>[]): Batch<T> {
    const source = messages[0]?.source
    const isOfOne = messages.every((message) => message.source === source)
    return new Batch<T>(messages.length, messages, undefined, undefined, isOfOne ? source : undefined)
  }

  /** @param format has already said by `acceptsAll` that it can read every frame */
  static ofFrames(reads: readonly Frames[], format: Format, source: Source): Batch {
    let length = 0
    for (const { count } of reads) length += count
    return new Batch<unknown>(length, undefined, reads, format, source)
  }

  /**
   * Joins what came out of several branches of one run, in the order of the messages that went in. Messages that a step
   * made of one frame share its sequence: they keep their order within a part, and where they are spread over several
   * parts, those of an earlier part come first.
   */
  static merge(parts: readonly Batch[]): Batch {
    const filled = parts.filter((part) => part.length > 0)
    if (filled.length === 1) return filled[0]!
    return Batch.of(filled.flatMap((part) => part.messages).sort((a, b) => a.sequence - b.sequence))
  }

  /** Puts batches behind each other, from whatever sources. Untouched frames stay so where all are in one format. */
  static join(batches: readonly Batch[]): Batch {
    if (batches.length === 1) return batches[0]!
    const [{ format, source } = NO_BATCH] = batches
    const isUntouched = batches.every((batch) => batch.frames !== undefined && batch.format === format)
    const frames = isUntouched ? batches.flatMap((batch) => batch.frames!) : undefined
    const length = batches.reduce((sum, batch) => sum + batch.length, 0)
    const isOfOne = batches.every((batch) => batch.source === source)
    const make = () => batches.flatMap((batch) => batch.messages)
    return new Batch(length, undefined, frames, isUntouched ? format : undefined, isOfOne ? source : undefined, make)
  }

  get messages(): readonly Message<T>[] {
    this.#messages ??= this.#make?.() ?? messagesOf(this.frames!, this.format as Format<T>, this.source!)
    return this.#messages
  }
}

function messagesOf<T>(reads: readonly Frames[], format: Format<T>, source: Source): readonly Message<T>[] {
  const messages: Message<T>[] = []
  for (const frames of reads) {
    const { bytes, starts, ends } = frames
    for (let i = 0; i < starts.length; i++) {
      messages.push(Message.ofFrame(format.parse(bytes, starts[i]!, ends[i]!), source, frames, i, format))
    }
  }
  return messages
}

const NO_BATCH = { format: undefined, source: undefined }
