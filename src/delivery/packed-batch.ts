import { deserialize, serialize } from 'node:v8'
import { Batch } from '../contracts/batch.ts'
import type { Clock } from '../contracts/clock.ts'
import { detachedSource } from '../contracts/detached-source.ts'
import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Format } from '../contracts/format.ts'
import { Frames } from '../contracts/framing.ts'
import { type ErrorInfo, Message, type MessageEvent, type Source } from '../contracts/message.ts'
import { FRAMES, type PackedSource, packFrames, plain, unpackFrames } from './packed-frames.ts'
import { PackingSpace } from './packing-space.ts'
import type { FormatOf } from './queue.ts'

/**
 * A batch as bytes, for a buffer: all that a sink, an expression or a dead letter may ask of its messages, so that they
 * can be delivered later and by another process.
 *
 * What nobody has changed is kept as the frame alone, and its value is read from it again, in the format that the
 * endpoint then has. Other values are kept in the form that Node.js gives them (structured clone), so times, bytes and
 * big integers stay what they are. The first byte tells which form it is; packed batches can be joined into one.
 */
interface PackedRun extends PackedSource {
  readonly parts: readonly (PackedFrames | PackedMessage)[]
}

/** Frames of one read as layout 1 of the buffers has them. */
interface PackedFrames {
  readonly frames: Buffer
  readonly starts: Int32Array
  readonly ends: Int32Array
  readonly separator: number | undefined
  readonly seamless: boolean
  /** Not there in what an older version wrote. */
  readonly more?: boolean
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
  /** Not there in what an older version wrote. */
  readonly more?: boolean
  /** Not there in what an older version wrote. */
  readonly topic?: string
  readonly error: ErrorInfo | undefined
}

/** @throws DataCloneError when a value holds what cannot be stored, a function say */
export function packBatch(batch: Batch): Buffer {
  const space = new PackingSpace()
  pack(batch, space)
  return space.written
}

/**
 * Packs a batch behind others, so that they become one: u8 2, then of each u32 length, little-endian, and its bytes.
 * @param space nothing is written when it throws
 * @throws SluiceError `sink_failed` for a batch with a value that cannot be stored
 */
export function packBehind(batch: Batch, space: PackingSpace): void {
  const start = space.length
  if (start === 0) {
    const { bytes, at } = space.reserve(1)
    bytes.writeUInt8(JOINED, at)
  }
  const { at } = space.reserve(4)
  try {
    pack(batch, space)
  } catch (thrown) {
    space.length = start
    throw new SluiceError('sink_failed', `a value cannot be stored: ${toSluiceError(thrown).message}`, {
      cause: thrown,
    })
  }
  space.written.writeUInt32LE(space.length - at - 4, at)
}

function pack(batch: Batch, space: PackingSpace): void {
  const { frames, source } = batch
  if (frames !== undefined && source !== undefined) packFrames(source, frames, space)
  else packMessages(batch, space)
}

function packMessages(batch: Batch, space: PackingSpace): void {
  const runs: { source: Source; messages: PackedMessage[] }[] = []
  for (const message of batch.messages) {
    if (runs.at(-1)?.source !== message.source) runs.push({ source: message.source, messages: [] })
    runs.at(-1)!.messages.push(packMessage(message))
  }
  const packed = serialize(runs.map((run) => packRun(run.source, run.messages)))
  const { bytes, at } = space.reserve(packed.length)
  packed.copy(bytes, at)
}

/** What became of packed bytes. */
export interface Unpacked {
  readonly batch: Batch
  /** The place of each message of `batch` among all that were packed; absent where that is its index. */
  readonly places?: readonly number[]
  /** Messages whose frame the format refuses: it is not the one that they were read in. */
  readonly failed: readonly Failed[]
}

/**
 * @param bytes as {@link packBatch} gave them; the messages are views of them
 * @param formatOf what an endpoint reads with
 * @param done places of messages that are left out
 * @throws when the bytes are something else
 */
export function unpackBatch(
  bytes: Buffer,
  formatOf: FormatOf,
  clock: Clock,
  done: ReadonlySet<number> = NONE,
): Unpacked {
  const unpacking: Unpacking = { formatOf, clock, failed: [], count: 0 }
  const batches = batchesOf(bytes, unpacking)
  const batch = batches.length === 0 ? Batch.of([]) : Batch.join(batches)
  return unpacking.failed.length === 0 && done.size === 0 ? { batch, failed: [] } : without(done, batch, unpacking)
}

/** What is not done of a batch, and its places. */
function without(done: ReadonlySet<number>, { messages }: Batch, { failed, count }: Unpacking): Unpacked {
  const refused = new Set(failed.map(({ place }) => place))
  const readable = Array.from({ length: count }, (_, place) => place).filter((place) => !refused.has(place))
  const open = Array.from(messages, (message, i) => ({ message, place: readable[i]! })).filter(
    ({ place }) => !done.has(place),
  )
  return {
    batch: Batch.of(open.map(({ message }) => message)),
    places: open.map(({ place }) => place),
    failed: failed.filter(({ place }) => !done.has(place)),
  }
}

/** What one call of {@link unpackBatch} knows. */
interface Unpacking {
  readonly formatOf: FormatOf
  readonly clock: Clock
  readonly failed: Failed[]
  /** Messages so far, those that failed included. */
  count: number
}

function batchesOf(bytes: Buffer, unpacking: Unpacking): Batch[] {
  const { formatOf, clock } = unpacking
  if (bytes[0] === JOINED) return split(bytes).flatMap((one) => batchesOf(one, unpacking))
  const detach = (of: PackedSource) =>
    detachedSource({ ...of, clock }, 'Put the reply before the step that has the buffer.')
  if (bytes[0] === FRAMES) {
    const { source: packed, reads } = unpackFrames(bytes)
    const source = detach(packed)
    return [ofReads(reads, source, formatOf(packed.endpoint), unpacking)]
  }
  return (deserialize(bytes) as PackedRun[]).flatMap((run) => {
    const source = detach(run)
    const format = formatOf(run.endpoint)
    return run.parts.map((part) =>
      'frames' in part
        ? ofReads([readOf(part)], source, format, unpacking)
        : ofMessage(part, source, format, unpacking),
    )
  })
}

/** @throws RangeError when a part ends behind the bytes */
function split(bytes: Buffer): Buffer[] {
  const parts: Buffer[] = []
  for (let at = 1; at < bytes.length; ) {
    const end = at + 4 + bytes.readUInt32LE(at)
    if (end > bytes.length) throw new RangeError('the bytes end too early')
    parts.push(bytes.subarray(at + 4, end))
    at = end
  }
  return parts
}

function packRun({ client, boot, endpoint, state }: Source, parts: PackedRun['parts']): PackedRun {
  return { client: plain(client), boot, endpoint, state, parts }
}

function packMessage(message: Message): PackedMessage {
  const { msg, verbatim, raw, event, time, sequence, givenKey, part, more, topic, error } = message
  return {
    ...(verbatim === undefined && { value: msg }),
    raw,
    event,
    time,
    sequence,
    givenKey,
    part,
    more,
    topic,
    error,
  }
}

function readOf({ frames, starts, ends, separator, seamless, more = false, time, sequence }: PackedFrames): Frames {
  const read = new Frames(frames, separator)
  read.fill(starts, ends, starts.length)
  return Object.assign(read, { seamless, more, time, sequence })
}

function ofReads(reads: readonly Frames[], source: Source, format: Format, unpacking: Unpacking): Batch {
  if (reads.every((read) => format.acceptsAll?.(read))) {
    const batch = Batch.ofFrames(reads, format, source)
    unpacking.count += batch.length
    return batch
  }
  const messages: Message[] = []
  for (const read of reads) {
    for (let i = 0; i < read.count; i++) {
      const place = unpacking.count++
      try {
        const value = format.parse(read.bytes, read.starts[i]!, read.ends[i]!)
        messages.push(Message.ofFrame(value, source, read, i, format))
      } catch (thrown) {
        const message = Message.ofFrame(null, source, read, i, undefined)
        unpacking.failed.push({ message, error: toSluiceError(thrown, 'format_invalid'), place })
      }
    }
  }
  return Batch.of(messages)
}

function ofMessage(packed: PackedMessage, source: Source, format: Format, unpacking: Unpacking): Batch {
  const { raw, event, time, sequence, error, givenKey, part, more, topic } = packed
  const extras = { error, givenKey, part, more, topic }
  const make = (value: unknown, verbatim: Format | undefined) =>
    new Message(value, source, event, time, sequence, raw, 0, raw.length, verbatim, extras)
  const place = unpacking.count++
  if ('value' in packed) return Batch.of([make(packed.value, undefined)])
  try {
    return Batch.of([make(format.parse(raw, 0, raw.length), format)])
  } catch (thrown) {
    unpacking.failed.push({ message: make(null, undefined), error: toSluiceError(thrown, 'format_invalid'), place })
    return Batch.of([])
  }
}

/** A message that cannot be read any more; see {@link Unpacked}. */
interface Failed {
  readonly message: Message
  readonly error: SluiceError
  /** Among all that were packed. */
  readonly place: number
}

const NONE: ReadonlySet<number> = new Set()

/** The first byte of packed batches that were joined. */
const JOINED = 2
