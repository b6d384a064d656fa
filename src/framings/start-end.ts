import { defineFraming } from '../contracts/define.ts'
import { SluiceError } from '../contracts/errors.ts'
import { type Decoder, type Found, type Framing, NEED_MORE } from '../contracts/framing.ts'
import { bytes, z } from '../contracts/schema.ts'
import type { ByteWriter } from '../util/byte-writer.ts'
import { formatBytes } from '../util/escapes.ts'
import { limitOptions, limitsInWords, withLimits } from './limits.ts'

const options = z
  .strictObject({
    start: bytes().describe('The bytes that begin a frame. Required; no default.'),
    end: bytes().describe('The bytes that end a frame. Required; no default.'),
    escape: bytes()
      .refine((one) => one.length === 1, 'expected exactly one byte')
      .optional()
      .describe('A byte that is dropped and after which the next byte is taken as it is. Default: none.'),
    between: bytes()
      .optional()
      .describe(
        'Single bytes that mean nothing where a start marker should be, such as "\\r\\n" for line ends, in any order and ' +
          'number. Default: none.',
      ),
    ...limitOptions(),
  })
  .refine(({ start, between }) => !between?.includes(start[0]!), 'between has the first byte of the start marker')
  .refine(
    (given) => given.escape === undefined || endIsClear(given.start, given.end, given.escape[0]!),
    'the end marker cannot be told from an escaped byte; choose another escape',
  )

/** Frames between two markers. */
export const startEnd = defineFraming({
  name: 'start-end',
  summary: 'Takes what stands between a start marker and an end marker.',
  details:
    'Bytes where a start marker should be are given up as `frame_invalid`, and reading goes on at the next start ' +
    'marker. They are given up as soon as they are read, so that they never keep a quiet connection waiting: one ' +
    'failed message for each run of them in a read, or several when the run is longer than the limit. Line ends ' +
    'between frames count as such bytes too, unless `between` has them. A start marker inside a frame is data.\n\n' +
    'With `escape`, the payload is what is left without the escapes, and `maxLength` counts only that. When writing, ' +
    'the escape byte and the first bytes of both markers are escaped. Without it a payload in which an end marker ' +
    'would be found cannot be written.',
  options,
  examples: [
    {
      title: 'STX and ETX',
      options: { start: '\\x02', end: '\\x03' },
      bytes: '\\x02one\\x03\\x02\\x03',
      frames: ['one', ''],
    },
    {
      title: 'DLE STX and DLE ETX with DLE doubled',
      options: { start: '\\x10\\x02', end: '\\x10\\x03', escape: '\\x10' },
      bytes: '\\x10\\x02a\\x10\\x10b\\x10\\x03',
      frames: ['a\\x10b'],
    },
  ],
  alsoCalled: ['markers'],
  inWords({ start, end, escape: escapeBytes, between, ...limits }) {
    const escaped = escapeBytes === undefined ? '' : `, escape "${formatBytes(escapeBytes)}"`
    const passed = between === undefined ? '' : `, between them "${formatBytes(between)}"`
    return `"${formatBytes(start)}" … "${formatBytes(end)}"${escaped}${passed}${limitsInWords(limits)}`
  },
  create: ({ start, end, escape: escapeBytes, between = Buffer.alloc(0), ...limits }) =>
    withLimits(createStartEnd({ start, end, escapeByte: escapeBytes?.[0], between: new Set(between) }), limits),
})

interface Markers {
  readonly start: Buffer
  readonly end: Buffer
  /** The byte after it is taken as it is. */
  readonly escapeByte: number | undefined
  /** Bytes that mean nothing where a start marker should be. */
  readonly between: ReadonlySet<number>
}

function createStartEnd(markers: Markers): Framing {
  return {
    createDecoder: (maxLength) => new StartEndDecoder(markers, maxLength),
    encode: (payload, out) => encode(typeof payload === 'string' ? Buffer.from(payload) : payload, markers, out),
  }
}

function encode(payload: Buffer, markers: Markers, out: ByteWriter): void {
  const { start, end, escapeByte } = markers
  if (escapeByte !== undefined) {
    const special = new Set([escapeByte, start[0]!, end[0]!])
    const escaped: number[] = []
    for (const byte of payload) {
      if (special.has(byte)) escaped.push(escapeByte)
      escaped.push(byte)
    }
    out.write(Buffer.concat([start, escaped.length === payload.length ? payload : Buffer.from(escaped), end]))
    return
  }
  const framed = Buffer.concat([start, payload, end])
  if (framed.indexOf(end, start.length) !== start.length + payload.length) {
    throw new SluiceError('frame_not_encodable', 'the payload contains the end marker of its framing', {
      hint: 'Leave out the markers: the framing adds them. For data that contains them use an escape or another framing.',
    })
  }
  out.write(framed)
}

/**
 * ```
 *            start marker                   end marker
 *  ┌───────┐ ────────────▶ ┌──────┐ ──────────────────▶ the frame, and back to between
 *  │between│               │inside│
 *  └───────┘ ◀──┐          └──────┘
 *    │ other bytes: given up; from then on `between` bytes are no longer passed over
 *    └──────────┘
 * ```
 */
class StartEndDecoder implements Decoder {
  readonly envelope: number
  readonly #markers: Markers
  readonly #maxLength: number
  /** The start marker was found. */
  #inside = false
  /** How many of the unread bytes are done with. Never between an escape and its byte. */
  #scanned = 0
  /** Where the payload begins among the unread bytes: behind the start marker, or 0 when that was forgotten. */
  #start = 0
  /** Escapes in those bytes. */
  #escapes = 0
  /** The last bytes were given up. */
  #lost = false

  constructor(markers: Markers, maxLength: number) {
    this.#markers = markers
    this.#maxLength = maxLength
    // Every byte of the longest payload may have an escape in front of it.
    this.envelope = markers.start.length + markers.end.length + (markers.escapeByte === undefined ? 0 : maxLength)
  }

  next(bytes: Buffer, from: number, to: number, found: Found): number {
    const { start, end, between } = this.#markers
    if (!this.#inside) {
      if (!this.#lost && between.has(bytes[from]!)) {
        found.skipped = true
        return from + 1
      }
      const length = commonLength(bytes, from, to, start)
      if (length < start.length) return from + length === to ? NEED_MORE : this.#giveUp(bytes, from, to, found)
      this.#inside = true
      this.#start = length
      this.#scanned = length
      this.#lost = false
    }
    const at =
      this.#markers.escapeByte === undefined ? this.#indexOfEnd(bytes, from, to) : this.#unescapedEnd(bytes, from, to)
    if (at === NEED_MORE) return NEED_MORE
    found.start = from + this.#start
    found.end = at
    if (this.#escapes > 0) found.payload = this.#unescape(bytes, found.start, at)
    this.#inside = false
    this.#forget()
    return at + end.length
  }

  giveUp(bytes: Buffer, from: number, _to: number, found: Found): number {
    found.start = from + this.#start
    found.end = from + this.#scanned
    if (this.#escapes > 0) found.payload = this.#unescape(bytes, found.start, found.end)
    this.#forget()
    return found.end
  }

  /** What was scanned is no longer unread. */
  #forget(): void {
    this.#start = 0
    this.#scanned = 0
    this.#escapes = 0
  }

  #indexOfEnd(bytes: Buffer, from: number, to: number): number {
    const { end } = this.#markers
    const at = bytes.indexOf(end, from + this.#scanned)
    if (at !== -1 && at + end.length <= to) return at
    this.#scanned = Math.max(this.#scanned, to - from - end.length + 1)
    return NEED_MORE
  }

  #unescapedEnd(bytes: Buffer, from: number, to: number): number {
    const { end, escapeByte } = this.#markers
    let at = from + this.#scanned
    while (at < to) {
      const byte = bytes[at]
      if (byte === end[0]) {
        const length = commonLength(bytes, at, to, end)
        if (length === end.length) return at
        if (at + length === to) break
      }
      if (byte === escapeByte) {
        if (at + 1 === to) break
        this.#escapes++
        at++
      }
      at++
    }
    this.#scanned = at - from
    return NEED_MORE
  }

  #unescape(bytes: Buffer, start: number, end: number): Buffer {
    const payload = Buffer.allocUnsafe(end - start - this.#escapes)
    let length = 0
    for (let at = start; at < end; at++) {
      if (bytes[at] === this.#markers.escapeByte) at++
      payload[length++] = bytes[at]!
    }
    return payload
  }

  /** Gives up the bytes before the next start marker, or before what may be the beginning of one. */
  #giveUp(bytes: Buffer, from: number, to: number, found: Found): number {
    const { start } = this.#markers
    const limit = Math.min(to, from + this.#maxLength)
    // Searched no further than needed: a long run in small pieces must not cost its square.
    const searched = bytes.subarray(from, Math.min(to, limit + start.length - 1))
    const index = searched.indexOf(start)
    let next = limit
    if (index !== -1) next = from + index
    else {
      let at = Math.max(from + 1, to - start.length + 1)
      while (at < limit && at + commonLength(bytes, at, to, start) < to) at++
      next = Math.min(at, limit)
    }
    this.#lost = true
    found.start = from
    found.end = next
    found.error = new SluiceError('frame_invalid', `${next - from} bytes stand before the start marker`, {
      hint: `A frame begins with "${formatBytes(start)}": check that this is what the device sends.`,
    })
    return next
  }
}

/** How many bytes from `at` on are those that `marker` begins with. */
function commonLength(bytes: Buffer, at: number, to: number, marker: Buffer): number {
  const longest = Math.min(marker.length, to - at)
  let length = 0
  while (length < longest && bytes[at + length] === marker[length]) length++
  return length
}

/** False when an escape followed by a byte that gets escaped could be the end marker or its beginning. */
function endIsClear(start: Buffer, end: Buffer, escapeByte: number): boolean {
  if (end[0] !== escapeByte) return true
  return end.length > 1 && ![escapeByte, start[0], end[0]].includes(end[1])
}
