import { type Candidate, reasonsOf, type Sample, weigh } from './candidate.ts'
import { charsetOf } from './characters.ts'
import { burstsOf, bytesOf, type Recording } from './recording.ts'

/**
 * Framings in which a binary number in front says how long a message is. All usual layouts are walked through; one that
 * arrives at the very end of what was recorded, message by message, is seldom there by chance. How seldom is counted in
 * bits: sixteen of them are one chance in 65,536.
 */
export function findCounted(sample: Sample): Candidate[] {
  // Letters are lengths from 32 on, and text that repeats itself fits some layout.
  if (charsetOf(sample.bytes, '\r\n') !== undefined) return []
  const inputs = sample.recordings.map(inputOf)
  return layouts()
    .map((layout) => ({ layout, bits: evidence(layout, inputs) }))
    .filter(({ bits }) => bits >= FEW_BITS)
    .sort((a, b) => b.bits - a.bits)
    .slice(0, 3)
    .map((found) => toCandidate(found, sample))
    .filter((found) => found !== undefined)
}

interface Layout {
  readonly bytes: 1 | 2 | 4
  readonly endian: 'big' | 'little'
  readonly offset: number
  readonly adjust: number
  readonly includesHeader: boolean
}

interface Input {
  readonly bytes: Buffer
  /** Where there was a pause: how many bytes had arrived before it. */
  readonly pauses: ReadonlySet<number>
}

function inputOf(recording: Recording): Input {
  let at = 0
  const pauses = burstsOf(recording).map(({ length }) => (at += length))
  return { bytes: bytesOf(recording), pauses: new Set(pauses) }
}

interface Found {
  readonly layout: Layout
  readonly bits: number
}

function layouts(): Layout[] {
  return [0, 1, 2, 3, 4].flatMap((offset) =>
    FIELDS.flatMap(({ bytes, endian }) => [
      ...[0, 1, 2, 4].map((adjust) => ({ bytes, endian, offset, adjust, includesHeader: false })),
      { bytes, endian, offset, adjust: 0, includesHeader: true },
      ...(offset > 0 ? [{ bytes, endian, offset, adjust: -bytes, includesHeader: false }] : []),
    ]),
  )
}

const FIELDS = [
  { bytes: 1, endian: 'big' },
  { bytes: 2, endian: 'big' },
  { bytes: 2, endian: 'little' },
  { bytes: 4, endian: 'big' },
  { bytes: 4, endian: 'little' },
] as const

/** Bits for a layout, without those that a strange layout costs; -1 when it does not fit. */
function evidence(layout: Layout, inputs: readonly Input[]): number {
  const { bytes, endian, offset, adjust, includesHeader } = layout
  const isPlain = offset === 0 && adjust === 0
  /** The last message may be cut by the end of the recording, where the layout is a usual one. */
  const mayBeCut = () => isPlain && frames >= MANY
  let bits = 0
  const lengths = new Set<number>()
  let frames = 0
  let empty = 0
  for (const { bytes: input, pauses } of inputs) {
    let at = 0
    while (at < input.length) {
      const left = input.length - at
      if (left < offset + bytes) {
        if (!mayBeCut()) return -1
        break
      }
      const value = endian === 'big' ? input.readUIntBE(at + offset, bytes) : input.readUIntLE(at + offset, bytes)
      const size = includesHeader ? value : offset + bytes + value + adjust
      if (size < offset + bytes || (size > left && !mayBeCut())) return -1
      if (size > left) break
      if (value === 0) empty++
      at += size
      // A field that repeats proves nothing new, and data is full of zeros and small numbers.
      const meets = at === input.length || pauses.has(at)
      if (!lengths.has(value)) bits += meets ? 8 * bytes : Math.min(10, Math.max(0, 8 * bytes - Math.log2(left + 1)))
      lengths.add(value)
      frames++
    }
  }
  // One may be a sign of life.
  if (empty > Math.max(1, frames / 4) || empty === frames) return -1
  // So many strange layouts are tried that one of them fits two messages by chance.
  if (!isPlain && frames < MANY) return -1
  const strange = 3 * Math.min(offset, 2) + (adjust === 0 ? 0 : offset > 0 ? 6 : 4) + (includesHeader ? 1 : 0)
  return Math.min(bits, 60) - strange
}

function toCandidate({ layout, bits }: Found, sample: Sample): Candidate | undefined {
  const framing = { 'length-prefix': written(layout) }
  const trial = sample.try(framing)
  const header = layout.offset + layout.bytes
  const readable = trial.frames.every((frame) => frame.length > 2 && charsetOf(frame, '\r\n') !== undefined)
  // A header that is text too is rather the beginning of a text.
  const wins =
    readable &&
    layout.bytes * trial.frames.length > 1 &&
    charsetOf(sample.bytes.subarray(0, header), '\r\n') === undefined
  const sum = bits + (wins ? 10 : 0) + (trial.agreesWithPauses ? 8 : 0)
  const points = weigh(trial, sum >= 30 ? 88 : sum >= 20 ? 79 : sum >= 14 ? 68 : 45)
  if (points === undefined) return undefined
  return { framing, frames: trial.frames, points, reasons: [inWords(layout), ...reasonsOf(trial)] }
}

/** Without what is the default. */
function written({ bytes, endian, offset, adjust, includesHeader }: Layout): Record<string, unknown> {
  return {
    bytes,
    ...(bytes > 1 && endian === 'little' && { endian }),
    ...(offset > 0 && { offset, keepHeader: true }),
    ...(adjust !== 0 && { adjust }),
    ...(includesHeader && { includesHeader }),
  }
}

function inWords({ bytes, endian, offset, adjust, includesHeader }: Layout): string {
  const field = bytes === 1 ? 'one byte' : `${bytes} bytes, ${endian} endian,`
  const place = offset === 0 ? 'in front' : `behind the first ${offset === 1 ? 'byte' : `${offset} bytes`}`
  const counts = includesHeader
    ? 'the whole message'
    : adjust < 0
      ? 'itself and what follows it'
      : adjust > 0
        ? `what follows it but the last ${adjust}`
        : 'what follows it'
  return `${field} ${place} of each message count ${counts}`.replace(/^one byte (.+?) count /, 'one byte $1 counts ')
}

/** So many messages are more than chance. */
const MANY = 3

/** Fewer are not worth a trial: there are some hundred layouts, and by chance one of them fits somehow. */
const FEW_BITS = 10
