import { defineFraming } from '../contracts/define.ts'
import { SluiceError } from '../contracts/errors.ts'
import { type Decoder, Found, type Framing, NEED_MORE } from '../contracts/framing.ts'
import { bytes, z } from '../contracts/schema.ts'
import type { ByteWriter } from '../util/byte-writer.ts'
import { createSplitter, type Splitter } from '../util/split.ts'
import { limitOptions, withLimits } from './limits.ts'
import { NO_BYTE, SeparatorDecoder } from './separator.ts'

const delimiters = z.union([
  bytes().transform((one) => [one]),
  z
    .array(bytes())
    .min(1, 'expected at least one delimiter')
    .refine((all) => new Set(all.map((one) => one.toString('latin1'))).size === all.length, 'a delimiter stands twice'),
])

const options = z.strictObject({
  any: delimiters.describe(
    'The bytes that end a frame, or a list of which any does. The first one is written. Required; no default.',
  ),
  ...limitOptions(),
})

/** Frames that end with given bytes. */
export const delimiter = defineFraming({
  name: 'delimiter',
  summary: 'Ends a frame at one of several byte sequences.',
  details:
    'The delimiter is not part of the frame. Where several match at the same place the longest wins, but a complete ' +
    'one is never held back for a longer one: with `["\\r\\n", "\\r"]` a frame is there as soon as its `\\r` is read, ' +
    'and a `\\n` that follows later is passed over as the rest of the same delimiter. What is unread at the end of the ' +
    'input is no frame: it was cut off. A payload that contains a delimiter cannot be written.',
  options,
  short: 'any',
  examples: [
    { title: 'One character', options: '|', bytes: '12.5|13.0|', frames: ['12.5', '13.0'] },
    {
      title: 'CR LF or CR alone',
      options: ['\\r\\n', '\\r'],
      bytes: 'one\\rtwo\\r\\nthree\\r',
      frames: ['one', 'two', 'three'],
    },
    { title: 'Bytes as hex', options: { any: { hex: '03' } }, bytes: 'A1\\x03\\x03', frames: ['A1', ''] },
  ],
  create: ({ any, ...limits }) => withLimits(new Delimited(any), limits),
})

class Delimited implements Framing {
  readonly #search: Search
  readonly #written: Buffer
  /** For the usual case of one delimiter of one byte. */
  readonly #splitter: Splitter | undefined

  constructor(all: readonly Buffer[]) {
    this.#search = new Search(all)
    this.#written = all[0]!
    this.#splitter = all.length === 1 && this.#written.length === 1 ? createSplitter() : undefined
  }

  createDecoder(): Decoder {
    if (this.#splitter === undefined) return new DelimiterDecoder(this.#search)
    return new SeparatorDecoder(this.#written[0]!, NO_BYTE, this.#splitter)
  }

  encode(payload: string | Buffer, out: ByteWriter): void {
    const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload
    const framed = Buffer.concat([bytes, this.#written])
    const found = new Found()
    new DelimiterDecoder(this.#search).next(framed, 0, framed.length, found)
    // Behind a written `\r` a payload that begins with `\n` would lose it, if `\r\n` is a delimiter as well.
    const rests = restsBehind(this.#written, this.#search.all)
    const swallowed = rests.some((rest) => framed.subarray(0, rest.length).equals(rest))
    if (found.end !== bytes.length || swallowed) {
      throw new SluiceError('frame_not_encodable', 'the payload contains the delimiter of its framing', {
        hint: 'Leave out the delimiter: the framing adds it. For data that contains it use another framing.',
      })
    }
    out.write(framed)
  }
}

/**
 * ```
 *            delimiter complete, a longer one possible
 *  ┌──────┐ ─────────────────────────────────────────▶ ┌────────┐
 *  │ frame│                                            │ behind │  the bytes that would complete the longer one
 *  └──────┘ ◀───────────────────────────────────────── └────────┘  are passed over, all others begin a frame
 * ```
 */
class DelimiterDecoder implements Decoder {
  readonly envelope: number
  readonly #search: Search
  /** How many of the unread bytes cannot begin a delimiter. */
  #scanned = 0
  /** What would complete longer delimiters than the one that ended both the last frame and the read. */
  #rests: readonly Buffer[] = NO_RESTS

  constructor(search: Search) {
    this.#search = search
    this.envelope = search.longest
  }

  next(bytes: Buffer, from: number, to: number, found: Found): number {
    return this.#rests === NO_RESTS
      ? this.#frame(bytes, from, to, found, false)
      : this.#behind(bytes, from, to, found, false)
  }

  end(bytes: Buffer, from: number, to: number, found: Found): number {
    return this.#rests === NO_RESTS
      ? this.#frame(bytes, from, to, found, true)
      : this.#behind(bytes, from, to, found, true)
  }

  giveUp(_bytes: Buffer, from: number, _to: number, found: Found): number {
    found.start = from
    found.end = from + this.#scanned
    this.#scanned = 0
    return found.end
  }

  #frame(bytes: Buffer, from: number, to: number, found: Found, ended: boolean): number {
    const { all } = this.#search
    let at = from + this.#scanned
    for (;;) {
      at = this.#search.candidate(bytes, at, to)
      const one = this.#match(bytes, at, to, all, ended)
      if (one === NEED_MORE || at === to) {
        this.#scanned = at - from
        return NEED_MORE
      }
      if (one !== undefined) {
        this.#scanned = 0
        found.start = from
        found.end = at
        return at + one.length
      }
      at++
    }
  }

  #behind(bytes: Buffer, from: number, to: number, found: Found, ended: boolean): number {
    const rest = this.#match(bytes, from, to, this.#rests, ended)
    if (rest === NEED_MORE) return NEED_MORE
    if (rest === undefined) {
      this.#rests = NO_RESTS
      return this.#frame(bytes, from, to, found, ended)
    }
    found.skipped = true
    return from + rest.length
  }

  /**
   * The longest of `all` that stands at `at`, and then what may still follow in `#rests`; undefined when there is none;
   * NEED_MORE when there could be one.
   */
  #match(
    bytes: Buffer,
    at: number,
    to: number,
    all: readonly Buffer[],
    ended: boolean,
  ): Buffer | undefined | typeof NEED_MORE {
    let begun = false
    for (const one of all) {
      const length = Math.min(one.length, to - at)
      let same = 0
      while (same < length && bytes[at + same] === one[same]) same++
      if (same < length) continue
      if (length === one.length) {
        this.#rests = begun ? restsBehind(one, all) : NO_RESTS
        return one
      }
      begun = !ended
    }
    return begun ? NEED_MORE : undefined
  }
}

/** The delimiters, longest first, and where one may begin. Shared by all decoders of a framing. */
class Search {
  readonly all: readonly Buffer[]
  readonly #begins = new Uint8Array(256)
  /** The byte that all delimiters begin with; -1 when they differ. */
  readonly #first: number

  constructor(all: readonly Buffer[]) {
    this.all = all.toSorted((a, b) => b.length - a.length)
    for (const one of all) this.#begins[one[0]!] = 1
    this.#first = all.every((one) => one[0] === all[0]![0]) ? all[0]![0]! : -1
  }

  get longest(): number {
    return this.all[0]!.length
  }

  /** The first index from `at` on that holds the first byte of a delimiter, or `to`. */
  candidate(bytes: Buffer, at: number, to: number): number {
    if (this.#first >= 0) {
      const index = bytes.indexOf(this.#first, at)
      return index === -1 || index > to ? to : index
    }
    let index = at
    while (index < to && this.#begins[bytes[index]!] === 0) index++
    return index
  }
}

const NO_RESTS: readonly Buffer[] = []

/** What would have to follow on `one` to make it one of the longer byte sequences in `all`, longest first. */
function restsBehind(one: Buffer, all: readonly Buffer[]): readonly Buffer[] {
  return all
    .filter((longer) => longer.length > one.length && longer.subarray(0, one.length).equals(one))
    .map((longer) => longer.subarray(one.length))
}
