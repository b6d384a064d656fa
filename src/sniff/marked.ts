import { formatBytes } from '../util/escapes.ts'
import { type Candidate, inWords, reasonsOf, type Sample, weigh } from './candidate.ts'
import { charsetOf } from './characters.ts'
import type { Trial, WrittenPart } from './trial.ts'

/** Framings whose marks can hardly be anything else: a protocol's own, or one character in front and another behind. */
export function findMarked(sample: Sample): Candidate[] {
  return [
    ...KNOWN.map((known) => tryKnown(known, sample)),
    ...pairs(sample).map((pair) => tryPair(pair, sample)),
    tryCheckBytes(sample),
  ].filter((found) => found !== undefined)
}

interface Known {
  readonly framing: WrittenPart
  /** A quick look that spares the trial. */
  begins(bytes: Buffer): boolean
  /** The points for what was found, and why; undefined when it is not that protocol. */
  judge(frames: readonly Buffer[], bytes: Buffer): readonly [points: number, reason: string] | undefined
}

const KNOWN: readonly Known[] = [
  {
    framing: 'mllp',
    begins: (bytes) => bytes[0] === 0x0b,
    judge: (frames) =>
      frames.every((frame) => /^(?:MSH|FHS|BHS)\|/.test(frame.toString('latin1')))
        ? [96, 'a message begins with \\x0b and MSH and ends with \\x1c\\r, as HL7 does']
        : [86, 'a message begins with \\x0b and ends with \\x1c\\r'],
  },
  {
    framing: 'stx-etx',
    begins: (bytes) => bytes[0] === STX && bytes.includes(ETX),
    judge: (frames) => {
      const points = frames.every((frame) => charsetOf(frame, '\r\n') !== undefined) ? 87 : frames.length > 2 ? 75 : 60
      return [points, 'a message stands between STX (\\x02) and ETX (\\x03)']
    },
  },
  {
    framing: 'syslog',
    begins: (bytes) => /^\d{1,5} <\d{1,3}>/.test(bytes.toString('latin1', 0, 16)),
    // RFC 6587, section 3.4.1.
    judge: (frames) =>
      frames.every((frame) => /^<\d{1,3}>/.test(frame.toString('latin1', 0, 8)))
        ? [95, 'a decimal length and a space stand in front, then a priority such as <34>: syslog with octet counting']
        : undefined,
  },
  {
    framing: 'octet-counting',
    begins: (bytes) => /^[1-9]\d{0,5} [^<]/.test(bytes.toString('latin1', 0, 16)),
    judge: (frames) => [frames.length > 1 ? 80 : 62, 'a decimal length and a space stand in front of each message'],
  },
  {
    framing: 'netstring',
    begins: (bytes) => /^\d{1,6}:/.test(bytes.toString('latin1', 0, 16)),
    judge: (frames) => [frames.length > 1 ? 94 : 86, 'a message is LENGTH:TEXT, a netstring'],
  },
  {
    framing: 'nmea',
    begins: (bytes) => bytes[0] === 0x24 || bytes[0] === 0x21,
    judge: (frames) =>
      frames.every(hasNmeaChecksum)
        ? [96, 'lines begin with $ or ! and end with * and a checksum that is right, as GPS receivers send them']
        : undefined,
  },
  {
    framing: 'modbus-tcp',
    begins: (bytes) => bytes.length >= 8 && bytes.readUInt16BE(2) === 0,
    judge: (frames) =>
      frames.every(isModbus)
        ? [frames.length > 1 ? 93 : 86, 'each message has the header of Modbus TCP, with a length that is right']
        : undefined,
  },
  {
    framing: 'json-stream',
    begins: (bytes) => /^\s*[[{]/.test(bytes.toString('latin1', 0, 64)),
    // JSON on a line each is what `line` is for; the last line may be cut.
    judge: (frames, bytes) => {
      const lines = linesOf(bytes)
      const isInLines = lines.filter(isJson).length * 2 >= lines.length
      return frames.every(isJson) && !(isInLines && bytes.includes(LF))
        ? [90, 'JSON values follow each other']
        : undefined
    },
  },
  {
    framing: 'slip',
    begins: (bytes) => bytes.at(-1) === 0xc0,
    judge: (frames, bytes) => {
      // RFC 1055: most senders begin a packet with END too.
      const escapes = bytes.includes(Buffer.from([0xdb, 0xdc])) || bytes.includes(Buffer.from([0xdb, 0xdd]))
      const points = (bytes[0] === 0xc0 ? 80 : 64) + (escapes ? 10 : 0) + (frames.length > 1 ? 5 : -10)
      return [points, `\\xc0 stands around each message${escapes ? ', and \\xdb escapes it inside' : ''}: SLIP`]
    },
  },
  {
    framing: 'cobs',
    begins: (bytes) => bytes.at(-1) === 0,
    judge: (frames) => [
      frames.length > 2 ? 88 : frames.length > 1 ? 74 : 62,
      'zero bytes stand between messages that COBS can decode',
    ],
  },
]

function tryKnown({ framing, begins, judge }: Known, sample: Sample): Candidate | undefined {
  if (!begins(sample.bytes)) return undefined
  const trial = sample.try(framing)
  const judged = judge(trial.frames, sample.bytes)
  return judged && candidate(framing, trial, judged[0], judged[1])
}

interface Pair {
  readonly start: string
  readonly end: string
  readonly points: number
}

/** What stands at both ends of the recording, one and two bytes of it, when that can be marks. */
function pairs({ bytes, bursts }: Sample): Pair[] {
  // STX and ETX have a framing of their own, whatever is behind ETX.
  if (bytes[0] === STX && bytes.includes(ETX)) return []
  const found: Pair[] = []
  for (const [front, behind] of [
    [1, 1],
    [1, 2],
    [2, 1],
    [2, 2],
  ] as const) {
    if (bytes.length < front + behind + 1) continue
    const start = bytes.subarray(0, front)
    const end = bytes.subarray(-behind)
    if (!isMark(start) || !isMark(end) || start.equals(Buffer.from('{'))) continue
    const all = bursts.every((one) => one.subarray(0, front).equals(start) && one.subarray(-behind).equals(end))
    if (!all) continue
    // Two bytes on a side are seldom there by chance; two kinds of punctuation hardly ever stand around many texts.
    const points = 58 + 6 * (front + behind) + Math.min(12, 4 * bursts.length) - (start.equals(end) ? 4 : 0)
    found.push({ start: formatBytes(start), end: formatBytes(end), points })
  }
  return found
}

/** A control character, a sign that separates no fields, or a byte that is no text. Two of them must be alike. */
function isMark(bytes: Buffer): boolean {
  const [first, second] = bytes
  if (second === undefined) return isSign(first!) || !isText(first!)
  if (isSign(first!)) return second === first
  return !isText(first!) && (!isText(second) || second === CR)
}

function isSign(byte: number): boolean {
  return '!#$()*;<>@[]^`{}~'.includes(String.fromCharCode(byte))
}

/** Zeros and 0xff are what data is full of, so they are no marks either. */
function isText(byte: number): boolean {
  return (byte >= 0x20 && byte < 0x7f) || byte === 0 || byte === 9 || byte === 0xff
}

const STX = 2
const ETX = 3
const LF = 10
const CR = 13

function tryPair({ start, end, points }: Pair, sample: Sample): Candidate | undefined {
  const framing = { 'start-end': { start, end } }
  const trial = sample.try(framing)
  if (trial.frames.length < 2 || trial.frames.some((frame) => frame.length === 0)) return undefined
  const readable = trial.frames.every((frame) => charsetOf(frame) !== undefined)
  return candidate(
    framing,
    trial,
    points + (readable ? 6 : 0),
    `each message begins with ${start} and ends with ${end}`,
  )
}

/** STX … ETX and up to two check bytes behind it, perhaps with a line end, as scales and readers send them; only `regex` can say that. */
function tryCheckBytes(sample: Sample): Candidate | undefined {
  if (sample.bytes[0] !== STX) return undefined
  for (const count of [1, 2, 3, 4]) {
    const framing = { regex: `\\x03${'(?s:.)'.repeat(count)}` }
    const trial = sample.try(framing)
    const whole = trial.frames.every((frame) => frame[0] === STX && charsetOf(frame.subarray(1), '\r\n') !== undefined)
    if (!whole || trial.frames.length < 2 || trial.rest > 0) continue
    const what = `each message begins with STX (\\x02), and ETX (\\x03) and ${inWords(count, 'more byte')} end it`
    return candidate(framing, trial, 78, what)
  }
  return undefined
}

function candidate(framing: WrittenPart, trial: Trial, worth: number, reason: string): Candidate | undefined {
  const points = weigh(trial, worth)
  return points === undefined
    ? undefined
    : { framing, frames: trial.frames, points, reasons: [reason, ...reasonsOf(trial)] }
}

/** NMEA 0183: the XOR of everything between `$` and `*`, as two hexadecimal digits. */
function hasNmeaChecksum(frame: Buffer): boolean {
  const found = /^[$!]([^*]+)\*([\dA-F]{2})$/i.exec(frame.toString('latin1'))
  if (found === null) return false
  const sum = Buffer.from(found[1]!, 'latin1').reduce((all, byte) => all ^ byte, 0)
  return sum === Number.parseInt(found[2]!, 16)
}

/** MBAP, section 3.1.3 of the implementation guide: protocol 0. A function is 1 to 127, with the highest bit for an error. */
function isModbus(frame: Buffer): boolean {
  return (
    frame.length >= 8 && frame.readUInt16BE(2) === 0 && frame.readUInt16BE(4) === frame.length - 6 && frame[7] !== 0
  )
}

function linesOf(bytes: Buffer): string[] {
  return bytes
    .toString('utf8')
    .split('\n')
    .filter((line) => line.trim() !== '')
}

function isJson(frame: Buffer | string): boolean {
  try {
    return typeof JSON.parse(frame.toString()) === 'object'
  } catch {
    return false
  }
}
