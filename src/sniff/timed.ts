import { type Candidate, inWords, type Sample } from './candidate.ts'
import { charsetOf } from './characters.ts'

/** Framings for messages without a mark: equal lengths, pauses, or a connection for each message. */
export function findTimed(sample: Sample): Candidate[] {
  return [tryFixed(sample), tryGap(sample), tryUntilClose(sample)].filter((found) => found !== undefined)
}

function tryFixed({ bursts, bytes }: Sample): Candidate | undefined {
  const length = bursts.reduce((least, { length }) => Math.min(least, length), Number.POSITIVE_INFINITY)
  // Several messages may arrive together, never a part of one.
  if (bursts.length < 3 || length < 2 || length > LONGEST || bursts.some((burst) => burst.length % length !== 0))
    return undefined
  const alone = bursts.filter((burst) => burst.length === length).length
  if (alone < 3 || alone * 2 < bursts.length) return undefined
  const frames = Array.from({ length: bytes.length / length }, (_, i) => bytes.subarray(i * length, (i + 1) * length))
  const points = bursts.length >= 5 ? 82 : 74
  const reason = `${inWords(bursts.length, 'read')} with pauses between them, each ${length} bytes long or a multiple of it`
  return { framing: { fixed: { length } }, frames, points, reasons: [reason] }
}

function tryGap({ bursts }: Sample): Candidate | undefined {
  if (bursts.length < 3) return undefined
  const lengths = new Set(bursts.map(({ length }) => length))
  if (lengths.size === 1) return undefined
  return {
    framing: { gap: '20ms' },
    frames: bursts,
    points: 66,
    reasons: [
      `${inWords(bursts.length, 'message')} of different lengths with pauses between them, and nothing else that they have in common`,
    ],
  }
}

function tryUntilClose({ recordings, bursts }: Sample): Candidate | undefined {
  const whole = recordings.every(({ ended }) => ended) && bursts.length === recordings.length
  if (!whole) return undefined
  const reason = 'the device closes the connection behind each message'
  if (recordings.length > 1) return { framing: 'until-close', frames: bursts, points: 72, reasons: [reason] }
  const [only] = bursts
  if (only === undefined || charsetOf(only, '\r\n') === undefined) return undefined
  const isDocument = /^\s*<[?\w!][\s\S]*>\s*$/.test(only.toString('latin1'))
  if (!isDocument) return undefined
  return {
    framing: 'until-close',
    frames: bursts,
    points: 92,
    reasons: ['one XML document, and then the device closes'],
  }
}

/** Longer reads of one length, in bytes, are rather the segments of TCP. */
const LONGEST = 1000
