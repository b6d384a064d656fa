import { defineFraming } from '../contracts/define.ts'
import { SluiceError } from '../contracts/errors.ts'
import { type Decoder, Found, type Framing, NEED_MORE } from '../contracts/framing.ts'
import { z } from '../contracts/schema.ts'
import { limitOptions, withLimits } from './limits.ts'

const options = z.strictObject({
  maxDepth: z
    .int()
    .min(1)
    .max(10_000)
    .default(128)
    .describe('How deep objects and lists may be nested; deeper ones close the connection. Default: 128.'),
  ...limitOptions(),
})

/** JSON values one behind the other. RFC 8259, section 2: what a value begins and ends with, and what is whitespace. */
export const jsonStream = defineFraming({
  name: 'json-stream',
  summary: 'Takes JSON values that stand one behind the other, with or without anything between them.',
  details:
    'For devices that send `{…}{…}`, or JSON over several lines. A frame is one whole value: an object, a list, a text, a ' +
    'number or a word. It is found by its brackets and quotes; whether it is valid says the format `json`. An object, list ' +
    'or text is there as soon as its last byte is read. A number or word ends where something else begins, so one that is ' +
    'the last thing sent waits for a line end or for the end of the connection. Whitespace between values is passed over. ' +
    'What cannot begin a value is a failed message (`frame_invalid`) up to the next line or the next bracket, as is a value ' +
    'with brackets that do not match. What is written ends with a line feed.\n\n' +
    'Where each value has a line of its own, `line` does the same and is faster.',
  options,
  examples: [
    { title: 'Nothing between them', bytes: '{"a":1}{"a":"}"}[2]', frames: ['{"a":1}', '{"a":"}"}', '[2]'] },
    {
      title: 'Over several lines',
      bytes: '{\\r\\n  "a": "\\\\"{"\\r\\n}\\r\\n',
      frames: ['{\\r\\n  "a": "\\\\"{"\\r\\n}'],
    },
    { title: 'Other values', bytes: '1 true "x"null\\n-2.5', frames: ['1', 'true', '"x"', 'null', '-2.5'] },
  ],
  alsoCalled: ['json-seq', 'concatenated-json', 'jsonstream'],
  create: ({ maxDepth, ...limits }) => withLimits(createJsonStream(maxDepth), limits),
})

function createJsonStream(maxDepth: number): Framing {
  return {
    createDecoder: (maxLength) => new JsonStreamDecoder(maxDepth, maxLength),
    encode(payload, out) {
      const body = typeof payload === 'string' ? Buffer.from(payload) : payload
      if (!isOneValue(body, maxDepth)) {
        throw new SluiceError('frame_not_encodable', 'the payload is not exactly one JSON value', {
          hint: 'Use format: json, or another framing for other data.',
        })
      }
      out.write(body)
      out.write('\n')
    },
  }
}

/**
 * ```
 *              { [                           last bracket closed
 *  ┌───────┐ ───────▶ ┌────────┐ ──────────────────────────────────▶ the frame
 *  │between│          │brackets│ ◀──quote──▶ text
 *  └───────┘          └────────┘
 *    │  │  └─ quote ──▶ text ───────────────── quote ──────────────▶ the frame
 *    │  └── letter or digit ──▶ word ───────── any other byte ─────▶ the frame
 *    └───── anything else ──▶ noise, given up to the next line or bracket
 * ```
 */
class JsonStreamDecoder implements Decoder {
  readonly envelope = MOST_SPACE
  readonly #maxDepth: number
  readonly #maxLength: number
  /** How many of the unread bytes are done with. Never between a backslash and its byte. */
  #scanned = 0
  #place: 'between' | 'noise' | 'brackets' | 'text' | 'word' = 'between'
  /** The closing brackets that are waited for, the innermost last. */
  #open: number[] = []

  constructor(maxDepth: number, maxLength: number) {
    this.#maxDepth = maxDepth
    this.#maxLength = maxLength
  }

  next(bytes: Buffer, from: number, to: number, found: Found): number {
    if (this.#place === 'between' || (this.#place === 'noise' && endsNoise(bytes[from]!))) {
      this.#place = placeOf(KINDS[bytes[from]!]!)
      if (this.#place === 'between') return passSpace(bytes, from, to, found)
    }
    if (this.#place === 'noise') return this.#giveUpNoise(bytes, from, to, found)
    let at = from + this.#scanned
    for (; at < to; at++) {
      const byte = bytes[at]!
      if (this.#place === 'text') {
        if (byte === QUOTE) {
          this.#place = 'brackets'
          if (this.#open.length === 0) return this.#take(from, at + 1, found)
        } else if (byte === BACKSLASH && ++at === to) {
          at--
          break
        }
        continue
      }
      const kind = KINDS[byte]!
      if (this.#place === 'word') {
        if (kind !== Kind.word) return this.#take(from, at, found)
      } else if (kind === Kind.quote) {
        this.#place = 'text'
      } else if (kind === Kind.open) {
        this.#enter(byte)
      } else if (kind === Kind.close) {
        const matches = this.#open.pop() === byte
        // What is too long is told as that: else it would depend on how much has been read.
        if (!matches && at + 1 - from <= this.#maxLength + this.envelope) found.error = mismatch(byte)
        if (!matches || this.#open.length === 0) return this.#take(from, at + 1, found)
      }
    }
    this.#scanned = at - from
    return NEED_MORE
  }

  /** A number or word may end with the input, unless that broke. */
  end(_bytes: Buffer, from: number, to: number, found: Found, reset: boolean): number {
    return this.#place === 'word' && from < to && !reset ? this.#take(from, to, found) : NEED_MORE
  }

  giveUp(_bytes: Buffer, from: number, _to: number, found: Found): number {
    found.start = from
    found.end = from + this.#scanned
    this.#scanned = 0
    return found.end
  }

  #take(from: number, end: number, found: Found): number {
    this.#place = 'between'
    this.#open = []
    this.#scanned = 0
    found.start = from
    found.end = end
    return end
  }

  #enter(byte: number): void {
    if (this.#open.length === this.#maxDepth) {
      throw new SluiceError('frame_invalid', `objects and lists are nested more than ${this.#maxDepth} deep`, {
        hint: 'Raise maxDepth, or check what the device sends.',
      })
    }
    // In ASCII a closing bracket stands two behind its opening one.
    this.#open.push(byte + 2)
  }

  #giveUpNoise(bytes: Buffer, from: number, to: number, found: Found): number {
    const limit = Math.min(to, from + this.#maxLength)
    let end = from + 1
    while (end < limit && !endsNoise(bytes[end]!)) end++
    found.start = from
    found.end = end
    found.error = new SluiceError('frame_invalid', `${end - from} bytes stand where a JSON value should begin`, {
      hint: 'Check that the device sends JSON and nothing else.',
    })
    return end
  }
}

/** What a byte means outside of a text. */
const Kind = { other: 0, space: 1, open: 2, close: 3, quote: 4, word: 5 } as const

const KINDS = kinds()
const QUOTE = 0x22
const BACKSLASH = 0x5c
const LF = 0x0a

/** So much whitespace is passed over at once. */
const MOST_SPACE = 64

function kinds(): Uint8Array {
  const result = new Uint8Array(256)
  const set = (signs: string, kind: number) => {
    for (const byte of Buffer.from(signs)) result[byte] = kind
  }
  // RS stands in front of each value in a JSON text sequence (RFC 7464, section 2.2).
  set(' \t\r\n\x1e', Kind.space)
  set('[{', Kind.open)
  set(']}', Kind.close)
  set('"', Kind.quote)
  set('abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-._', Kind.word)
  return result
}

function placeOf(kind: number): 'between' | 'noise' | 'brackets' | 'word' {
  if (kind === Kind.space) return 'between'
  if (kind === Kind.word) return 'word'
  return kind === Kind.open || kind === Kind.quote ? 'brackets' : 'noise'
}

function endsNoise(byte: number): boolean {
  return byte === LF || KINDS[byte] === Kind.open
}

function passSpace(bytes: Buffer, from: number, to: number, found: Found): number {
  const limit = Math.min(to, from + MOST_SPACE)
  let behind = from + 1
  while (behind < limit && KINDS[bytes[behind]!] === Kind.space) behind++
  found.skipped = true
  return behind
}

function mismatch(byte: number): SluiceError {
  return new SluiceError(
    'frame_invalid',
    `a bracket is closed with ${String.fromCharCode(byte)} that was not opened with its like`,
    {
      hint: 'Check that the device sends JSON and nothing else.',
    },
  )
}

/** Asks a decoder: what it would give back must be the payload. */
function isOneValue(payload: Buffer, maxDepth: number): boolean {
  const found = new Found()
  const stream = Buffer.concat([payload, Buffer.of(LF)])
  try {
    new JsonStreamDecoder(maxDepth, stream.length).next(stream, 0, stream.length, found)
  } catch {
    return false
  }
  return !found.skipped && found.error === undefined && found.end === payload.length && found.end > 0
}
