import { formatBytes } from '../util/escapes.ts'
import { type Candidate, LIKELY, reasonsOf, type Sample, weigh } from './candidate.ts'
import { charsetOf } from './characters.ts'

/** Framings in which something stands behind each message: a line end, or another delimiter. */
export function findSeparated(sample: Sample): Candidate[] {
  const line = tryLine(sample)
  // Lines of readable text leave no room for anything else; a line feed among other bytes says nothing.
  const others =
    line === undefined || line.points < LIKELY ? [...controls(sample), ...printables(sample), ...tails(sample)] : []
  return [line, ...others].filter((found) => found !== undefined)
}

function tryLine(sample: Sample): Candidate | undefined {
  const { bytes } = sample
  const feeds = count(bytes, LF)
  if (feeds === 0) return undefined
  const ends = count(bytes, CRLF)
  const name = ends === feeds ? 'CR LF (\\r\\n)' : ends === 0 ? 'LF (\\n)' : 'LF (\\n), sometimes with CR before it'
  return trySeparator('line', `a line end ${name} stands behind each message`, 83, sample)
}

/** Control characters that end the text before them; each is worth less the less usual it is. */
function controls(sample: Sample): (Candidate | undefined)[] {
  const last = sample.bytes.at(-1)!
  if (last === 13 && count(sample.bytes, LF) === 0) {
    return [trySeparator({ delimiter: '\r' }, 'CR (\\r) stands behind each message, and there is no LF', 81, sample)]
  }
  if (last >= 0x20 || last === 9 || last === 2) return []
  const shown = formatBytes(Buffer.from([last]))
  const reason = `the control character ${shown} stands behind each message`
  return [trySeparator({ delimiter: shown }, reason, 78, sample)]
}

/** A sign such as `|` or `;` behind each message: it may as well stand between the fields of one. */
function printables(sample: Sample): (Candidate | undefined)[] {
  const { bytes, bursts } = sample
  const sign = String.fromCharCode(bytes.at(-1)!)
  if (!/[|;#~!&$*@,/^]/.test(sign) || bursts.some((burst) => burst.at(-1) !== bytes.at(-1))) return []
  const perBurst = bursts.map((burst) => count(burst, Buffer.from(sign)))
  const pieces = bytes.toString('latin1').split(sign).slice(0, -1)
  const shapes = new Set(pieces.map(shapeOf))
  // One message in each burst, or different numbers of them, or messages that all look alike.
  const alike = pieces.length >= 3 && shapes.size === 1
  const varied = bursts.length > 2 && (perBurst.every((one) => one === 1) || new Set(perBurst).size > 1)
  if (pieces.length < 2 || !(alike || varied)) return []
  const reason = `${sign} stands behind each message${alike ? ', and the messages look alike' : ''}`
  return [trySeparator({ delimiter: sign }, reason, alike && varied ? 80 : 70, sample)]
}

/** Two to four bytes that end every burst and stand nowhere else, where what is before them is no text. */
function tails(sample: Sample): (Candidate | undefined)[] {
  const { bytes, bursts } = sample
  if (bursts.length < 3) return []
  for (const length of [4, 3, 2]) {
    const tail = bytes.subarray(-length)
    const closes = bursts.every((burst) => burst.length > length && burst.subarray(-length).equals(tail))
    if (!closes || count(bytes, tail) !== bursts.length) continue
    const framing = { delimiter: formatBytes(tail) }
    const trial = sample.try(framing)
    const points = weigh(trial, 62 + 2 * length)
    if (points === undefined) continue
    return [
      {
        framing,
        frames: trial.frames,
        points,
        reasons: [`every message ends with ${formatBytes(tail)}, which stands nowhere else`, ...reasonsOf(trial)],
      },
    ]
  }
  return []
}

function trySeparator(
  framing: string | { delimiter: string },
  reason: string,
  worth: number,
  sample: Sample,
): Candidate | undefined {
  const trial = sample.try(framing)
  const { frames } = trial
  const full = frames.filter((frame) => frame.length > 0)
  if (full.length === 0) return undefined
  const readable = full.every((frame) => charsetOf(frame) !== undefined)
  // A byte that looks like a line end is in every 256 bytes of data that are no text.
  const points = weigh(trial, readable ? worth + (full.length > 1 ? 5 : 0) : 30)
  if (points === undefined) return undefined
  const what = readable ? 'what is between them is readable text' : 'what is between them is no text'
  return { framing, frames, points, reasons: [reason, what, ...reasonsOf(trial)] }
}

/** `ST,12.50` and `ST,8.1` have one shape: letters and digits count as one of theirs. */
function shapeOf(text: string): string {
  return text
    .replaceAll(/[A-Za-z]+/g, 'a')
    .replaceAll(/\d+/g, '9')
    .replaceAll(/ +/g, ' ')
}

function count(bytes: Buffer, wanted: Buffer): number {
  let found = 0
  for (let at = bytes.indexOf(wanted); at !== -1; at = bytes.indexOf(wanted, at + wanted.length)) found++
  return found
}

const LF = Buffer.from('\n')
const CRLF = Buffer.from('\r\n')
