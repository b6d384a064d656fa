import { deserialize, serialize } from 'node:v8'
import { type Client, clientFields } from '../contracts/client.ts'
import type { Clock } from '../contracts/clock.ts'
import { detachedSource } from '../contracts/detached-source.ts'
import { type SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Format } from '../contracts/format.ts'
import { Frames } from '../contracts/framing.ts'
import { Batch, type ErrorInfo, Message, type MessageEvent, type Source } from '../contracts/message.ts'
import type { FormatOf } from './queue.ts'

/**
 * A batch as bytes, for a buffer: all that a sink, an expression or a dead letter may ask of its messages, so that they
 * can be delivered later and by another process.
 *
 * What nobody has changed is kept as the frame alone, and its value is read from it again, in the format that the
 * endpoint then has. Other values are kept in the form that Node.js gives them (structured clone), so times, bytes and
 * big integers stay what they are.
 */
interface PackedRun {
  readonly client: Client
  readonly boot: string
  readonly endpoint: string
  readonly state: Record<string, unknown>
  readonly parts: readonly (PackedFrames | PackedMessage)[]
}

/** Frames of one read that nobody has touched. */
interface PackedFrames {
  readonly frames: Buffer
  readonly starts: Int32Array
  readonly ends: Int32Array
  readonly separator: number | undefined
  readonly seamless: boolean
  readonly time: number
  readonly sequence: number
}

interface PackedMessage {
  /** Absent when it is what the format gives for `raw`. */
  readonly value?: unknown
  readonly raw: Buffer
  readonly event: MessageEvent
  readonly time: number
  readonly sequence: number
  readonly givenKey: string
  readonly part: string
  /** Absent in what an older version has kept. */
  readonly topic?: string
  readonly error: ErrorInfo | undefined
}

/** @throws DataCloneError when a value holds what cannot be stored, a function say */
export function packBatch(batch: Batch): Buffer {
  const { frames, source } = batch
  if (frames !== undefined && source !== undefined) return serialize([packRun(source, frames.map(packFrames))])
  const runs: { source: Source; messages: PackedMessage[] }[] = []
  for (const message of batch.messages) {
    if (runs.at(-1)?.source !== message.source) runs.push({ source: message.source, messages: [] })
    runs.at(-1)!.messages.push(packMessage(message))
  }
  return serialize(runs.map((run) => packRun(run.source, run.messages)))
}

/** What became of packed bytes. */
export interface Unpacked {
  readonly batch: Batch
  /** Messages whose frame the format refuses: it is not the one that they were read in. */
  readonly failed: readonly { readonly message: Message; readonly error: SluiceError }[]
}

/**
 * @param bytes as {@link packBatch} gave them; the messages are views of them
 * @param formatOf what an endpoint reads with
 * @throws when the bytes are something else
 */
export function unpackBatch(bytes: Buffer, formatOf: FormatOf, clock: Clock): Unpacked {
  const failed: { message: Message; error: SluiceError }[] = []
  const batches = (deserialize(bytes) as PackedRun[]).flatMap((run) => {
    const source = detachedSource({ ...run, clock }, 'Put the reply before the step that has the buffer.')
    const format = formatOf(run.endpoint)
    return run.parts.map((part) =>
      'frames' in part ? ofFrames(part, source, format, failed) : ofMessage(part, source, format, failed),
    )
  })
  return { batch: batches.length === 0 ? Batch.of([]) : Batch.join(batches), failed }
}

function packRun({ client, boot, endpoint, state }: Source, parts: PackedRun['parts']): PackedRun {
  const plain = Object.fromEntries(Object.keys(clientFields).map((key) => [key, client[key as keyof Client]]))
  return { client: plain as unknown as Client, boot, endpoint, state, parts }
}

function packFrames({ bytes, starts, ends, separator, seamless, time, sequence }: Frames): PackedFrames {
  const from = starts[0] ?? 0
  const to = (ends[ends.length - 1] ?? 0) + (seamless ? 1 : 0)
  return {
    frames: bytes.subarray(from, to),
    starts: Int32Array.from(starts, (start) => start - from),
    ends: Int32Array.from(ends, (end) => end - from),
    separator,
    seamless,
    time,
    sequence,
  }
}

function packMessage(message: Message): PackedMessage {
  const { msg, verbatim, raw, event, time, sequence, givenKey, part, topic, error } = message
  return { ...(verbatim === undefined && { value: msg }), raw, event, time, sequence, givenKey, part, topic, error }
}

function ofFrames(packed: PackedFrames, source: Source, format: Format, failed: Unpacked['failed'][number][]): Batch {
  const frames = new Frames(packed.frames, packed.separator)
  frames.fill(packed.starts, packed.ends, packed.starts.length)
  frames.seamless = packed.seamless
  frames.time = packed.time
  frames.sequence = packed.sequence
  if (format.acceptsAll?.(frames)) return Batch.ofFrames([frames], format, source)
  const messages: Message[] = []
  for (let i = 0; i < frames.count; i++) {
    try {
      const value = format.parse(frames.bytes, frames.starts[i]!, frames.ends[i]!)
      messages.push(Message.ofFrame(value, source, frames, i, format))
    } catch (thrown) {
      const message = Message.ofFrame(null, source, frames, i, undefined)
      failed.push({ message, error: toSluiceError(thrown, 'format_invalid') })
    }
  }
  return Batch.of(messages)
}

function ofMessage(packed: PackedMessage, source: Source, format: Format, failed: Unpacked['failed'][number][]): Batch {
  const { raw, event, time, sequence, error, givenKey, part, topic } = packed
  const make = (value: unknown, verbatim: Format | undefined) =>
    new Message(value, source, event, time, sequence, raw, 0, raw.length, verbatim, error, givenKey, part, topic)
  if ('value' in packed) return Batch.of([make(packed.value, undefined)])
  try {
    return Batch.of([make(format.parse(raw, 0, raw.length), format)])
  } catch (thrown) {
    failed.push({ message: make(null, undefined), error: toSluiceError(thrown, 'format_invalid') })
    return Batch.of([])
  }
}
