import { defineFraming } from '../contracts/define.ts'
import { SluiceError } from '../contracts/errors.ts'
import { type Decoder, type Found, type Framing, NEED_MORE } from '../contracts/framing.ts'
import { z } from '../contracts/schema.ts'
import { CountedDecoder, Header } from './counted.ts'
import { MAX_DIGITS, NO_COUNT, readCount } from './decimal-count.ts'
import { limitOptions, type WhenTooLong, withLimits } from './limits.ts'
import { SeparatorDecoder } from './separator.ts'

const options = z.strictObject({
  detect: z
    .boolean()
    .default(true)
    .describe(
      'Take a message that does not begin with a length for a line that ends at LF, as older senders write it. With ' +
        'false such bytes close the connection. Default: true.',
    ),
  ...limitOptions(),
})

/**
 * The framing of syslog over TCP: RFC 6587, section 3.4.1 (octet counting), and section 3.4.2 (non-transparent framing),
 * which a receiver is told to know as well. RFC 5425, section 4.3, has the same frames over TLS.
 */
export const octetCounting = defineFraming({
  name: 'octet-counting',
  summary: 'Reads the length of a frame as decimal digits and a space in front of it: `5 hello`.',
  details:
    'This is how syslog is sent over TCP (RFC 6587, section 3.4.1). Many senders end each message with a line end ' +
    'instead (section 3.4.2). Both are understood, also mixed in one connection: a frame that does not begin with a ' +
    'length and a space is a line, and one CR before its LF is dropped. Line ends between frames and empty lines are ' +
    'passed over. What is written always has its length in front; RFC 6587 knows no empty message, so an empty payload ' +
    'cannot be written.',
  options,
  examples: [
    { title: 'Two messages', bytes: '10 <34>1 one\\n8 <34>1 -\\n', frames: ['<34>1 one\\n', '<34>1 -\\n'] },
    {
      title: 'Lengths and lines mixed',
      bytes: '9 <34>1 one<34>1 two\\n\\n4 <1>x',
      frames: ['<34>1 one', '<34>1 two', '<1>x'],
    },
    { title: 'Lengths only', options: { detect: false }, bytes: '2 hi1 !', frames: ['hi', '!'] },
  ],
  alsoCalled: ['octet-counted', 'rfc6587', 'rfc5425'],
  create: ({ detect, ...limits }) => withLimits(createOctetCounting(detect, limits.whenTooLong), limits),
})

function createOctetCounting(detect: boolean, whenTooLong: WhenTooLong = 'close'): Framing {
  return {
    createDecoder: (maxLength) => {
      const counted = createCounted(whenTooLong, maxLength)
      return detect ? new DetectingDecoder(counted) : counted
    },
    encode(payload, out) {
      const body = typeof payload === 'string' ? Buffer.from(payload) : payload
      if (body.length === 0) {
        throw new SluiceError('frame_not_encodable', 'a syslog message cannot be empty', {
          hint: 'Write at least a sign.',
        })
      }
      out.write(`${body.length} `)
      out.write(body)
    },
  }
}

function createCounted(whenTooLong: WhenTooLong, maxLength: number): Decoder {
  const hint = 'Check that the sender counts bytes; what ends with a line end needs detect: true, or the framing line.'
  return new CountedDecoder(
    {
      envelope: ENVELOPE,
      hint,
      whenTooLong,
      read(bytes, from, to, header) {
        const digits = readLength(bytes, from, to, header)
        if (digits === NO_COUNT) {
          throw new SluiceError('frame_invalid', 'a message begins with its length and a space', { hint })
        }
        header.start = digits + 1
        return digits > 0
      },
    },
    maxLength,
  )
}

/** MSG-LEN of RFC 6587 begins with a digit other than zero. */
function readLength(bytes: Buffer, from: number, to: number, header: Header): number {
  return bytes[from] === ZERO ? NO_COUNT : readCount(bytes, from, to, SPACE, header)
}

/**
 * Decides anew at the beginning of each frame. Which decoder has it is settled once it has begun.
 *
 * ```
 *            length and space   ┌────────┐
 *  ┌───────┐ ─────────────────▶ │ counted│ ─▶ the frame, and back
 *  │ begin │                    └────────┘
 *  └───────┘ ─────────────────▶ ┌────────┐
 *    │  ▲      anything else    │  line  │ ─▶ the frame, and back
 *    └──┘ line ends             └────────┘
 * ```
 */
class DetectingDecoder implements Decoder {
  readonly envelope = ENVELOPE
  readonly #counted: Decoder
  readonly #line = new SeparatorDecoder(LF, CR)
  /** The one that has begun a frame. */
  #current: Decoder | undefined = undefined
  readonly #header = new Header()

  constructor(counted: Decoder) {
    this.#counted = counted
  }

  next(bytes: Buffer, from: number, to: number, found: Found): number {
    if (this.#current === undefined) {
      let behind = from
      while (behind < to && (bytes[behind] === LF || bytes[behind] === CR)) behind++
      if (behind > from) {
        found.skipped = true
        return Math.min(behind, from + ENVELOPE)
      }
      const digits = readLength(bytes, from, to, this.#header)
      if (digits === 0) return NEED_MORE
      this.#current = digits === NO_COUNT ? this.#line : this.#counted
    }
    const next = this.#current.next(bytes, from, to, found)
    if (next !== NEED_MORE) this.#current = undefined
    return next
  }

  giveUp(bytes: Buffer, from: number, to: number, found: Found): number {
    return this.#current!.giveUp!(bytes, from, to, found)
  }
}

const ENVELOPE = MAX_DIGITS + 2
const LF = 10
const CR = 13
const SPACE = 32
const ZERO = 48
