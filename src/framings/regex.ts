import { RE2JS, RE2JSException } from 're2js'
import { defineFraming } from '../contracts/define.ts'
import { SluiceError } from '../contracts/errors.ts'
import { type Decoder, Found, type Framing, NEED_MORE } from '../contracts/framing.ts'
import { bytes, z } from '../contracts/schema.ts'
import { limitOptions, withLimits } from './limits.ts'

const options = z
  .strictObject({
    end: z
      .string()
      .min(1)
      .superRefine((pattern, context) => {
        const problem = problemWith(pattern)
        if (problem !== undefined) context.addIssue({ code: 'custom', message: problem })
      })
      .describe(
        'Pattern of what ends a frame, in the syntax of RE2. It sees each byte as one character. Required; no default.',
      ),
    writes: bytes()
      .optional()
      .describe('What ends a frame that is written; end must match it. Default: none, and nothing can be written.'),
    keep: z
      .boolean()
      .default(false)
      .describe(
        'True to leave what matches in the frame, as its end: a checksum that is to be verified, or a control byte that is a ' +
          'frame by itself. What is written then ends with it too. Default: false.',
      ),
    ...limitOptions(),
  })
  .refine(({ end, writes }) => writes === undefined || problemWith(end) !== undefined || isWhole(end, writes), {
    message: 'end must match all of writes, and no beginning of it',
    path: ['writes'],
  })
  .refine(({ keep, writes }) => !keep || writes === undefined, {
    message: 'with keep what is written has its end already: leave out writes',
    path: ['writes'],
  })

/** Frames that end where a pattern matches. */
export const regex = defineFraming({
  name: 'regex',
  summary: 'Ends a frame where a pattern matches.',
  details:
    'For devices with an end that no other framing can describe, such as ETX and any check byte behind it: `\\x03(?s:.)`. What ' +
    'matches is not part of the frame, unless `keep` is true. The frame ends with the first byte at which the pattern has matched, so `\\n+` is ' +
    'the same as `\\n`, and an end that may be longer is not waited for: for `\\r` with or without `\\n` use `delimiter`, which ' +
    'can. What matches may be 64 bytes long; a longer match may be overlooked.\n\n' +
    'The pattern runs in linear time, whatever it is (RE2). `^`, `$` and `\\b` have no meaning in a stream of bytes and are ' +
    'refused. In YAML write the pattern in single quotes.',
  options,
  short: 'end',
  examples: [
    {
      title: 'ETX and a check byte',
      options: '\\x03(?s:.)',
      bytes: '\\x02one\\x03Q\\x02two\\x03\\n',
      frames: ['\\x02one', '\\x02two'],
    },
    {
      title: 'One of several words',
      options: { end: ' (?:OK|ERROR)\\n', writes: ' OK\\n' },
      bytes: '7 OK\\n ERROR\\n',
      frames: ['7', ''],
    },
    {
      title: 'ASTM E1381: control bytes, and blocks with their checksum',
      options: { end: '[\\x03\\x17]..\\r\\n|[\\x04\\x05]', keep: true },
      bytes: '\\x05\\x021A\\r\\x0382\\r\\n\\x04',
      frames: ['\\x05', '\\x021A\\r\\x0382\\r\\n', '\\x04'],
    },
  ],
  alsoCalled: ['regexp', 'pattern', 're'],
  create: ({ end, writes, keep, ...limits }) => {
    const pattern = RE2JS.compile(end)
    return withLimits(keep ? createKeeping(pattern) : createRegex(pattern, writes), limits)
  },
})

function createKeeping(pattern: RE2JS): Framing {
  return {
    createDecoder: () => new RegexDecoder(pattern, true),
    encode(payload, out) {
      const body = typeof payload === 'string' ? Buffer.from(payload) : payload
      if (new RegexDecoder(pattern).next(body, 0, body.length, new Found()) !== body.length) {
        throw new SluiceError('frame_not_encodable', 'the payload does not end where the framing regex ends a frame', {
          hint: 'With keep write one whole frame with its end, or give another framing for out.',
        })
      }
      out.write(body)
    },
  }
}

function createRegex(pattern: RE2JS, written: Buffer | undefined): Framing {
  return {
    createDecoder: () => new RegexDecoder(pattern),
    encode(payload, out) {
      if (written === undefined) {
        throw new SluiceError('frame_not_encodable', 'the framing regex does not know what to write', {
          hint: 'Set writes to the bytes that end a frame, or give another framing for out.',
        })
      }
      const body = typeof payload === 'string' ? Buffer.from(payload) : payload
      const framed = Buffer.concat([body, written])
      const found = new Found()
      const next = new RegexDecoder(pattern).next(framed, 0, framed.length, found)
      if (next !== framed.length || found.end !== body.length) {
        throw new SluiceError('frame_not_encodable', 'the payload contains what ends a frame', {
          hint: 'Leave it out: the framing adds it.',
        })
      }
      out.write(framed)
    },
  }
}

/**
 * Looks at windows of the frame, one after the other, each of which holds the second half of the one before: so a match
 * of up to {@link LONGEST} bytes lies in one of them, and each byte is searched few times, however it arrives. Where the
 * windows lie depends on the frame alone, so the outcome is the same for every split.
 */
class RegexDecoder implements Decoder {
  readonly envelope = 2 * LONGEST
  readonly #pattern: RE2JS
  readonly #keeps: boolean
  /** Where the window begins among the unread bytes. */
  #window = 0

  constructor(pattern: RE2JS, keeps = false) {
    this.#pattern = pattern
    this.#keeps = keeps
  }

  next(bytes: Buffer, from: number, to: number, found: Found): number {
    for (;;) {
      const start = from + this.#window
      const text = bytes.toString('latin1', start, Math.min(to, start + 2 * LONGEST))
      const matcher = this.#pattern.matcher(text)
      if (matcher.find()) {
        const [begin, end] = firstToEnd(this.#pattern, text, matcher.start(), matcher.end())
        this.#window = 0
        found.start = from
        found.end = start + (this.#keeps ? end : begin)
        return start + end
      }
      if (start + 2 * LONGEST > to) return NEED_MORE
      this.#window += LONGEST
    }
  }

  giveUp(_bytes: Buffer, from: number, _to: number, found: Found): number {
    found.start = from
    found.end = from + this.#window
    this.#window = 0
    return found.end
  }
}

/** Bytes of the longest match that is surely found. */
const LONGEST = 64

/**
 * Of all matches the one that ends first, and of those the longest.
 * @param start where the leftmost match begins: no other begins before it
 * @param end where that one ends
 */
function firstToEnd(pattern: RE2JS, text: string, start: number, end: number): readonly [number, number] {
  let low = start + 1
  let high = end
  // Where something has matched in a text, something has matched in every longer one.
  while (low < high) {
    const middle = (low + high) >> 1
    if (pattern.matcher(text.slice(start, middle)).find()) high = middle
    else low = middle + 1
  }
  if (high === end) return [start, end]
  const matcher = pattern.matcher(text.slice(start, high))
  matcher.find()
  return [start + matcher.start(), high]
}

/** True when a frame ends exactly behind these bytes, and not before. */
function isWhole(end: string, writes: Buffer): boolean {
  const found = new Found()
  const next = new RegexDecoder(RE2JS.compile(end)).next(writes, 0, writes.length, found)
  return next === writes.length && found.end === 0
}

/** What makes a pattern useless here, in words. */
function problemWith(pattern: string): string | undefined {
  try {
    if (RE2JS.compile(pattern).matcher('').find())
      return 'the pattern matches nothing at all, so every byte would be a frame'
  } catch (error) {
    if (!(error instanceof RE2JSException)) throw error
    const cure = /\(\?[=!<]|\\[1-9]/.test(pattern) ? ' (RE2 has no look-around and no back references)' : ''
    return `${error.message}${cure}`
  }
  const assertion = ASSERTION.exec(pattern.replaceAll(NO_ASSERTION, ''))?.[0]
  return assertion && `${assertion} has no meaning in a stream of bytes: leave it out`
}

/** An escaped sign other than those of {@link ASSERTION}, a quoted text, or a class of characters. */
const NO_ASSERTION = /\\Q.*?(?:\\E|$)|\\[^AbBz]|\[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*\]/gs

const ASSERTION = /\\[AbBz]|[$^]/
