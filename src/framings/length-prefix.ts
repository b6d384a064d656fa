import { defineFraming } from '../contracts/define.ts'
import { SluiceError } from '../contracts/errors.ts'
import { type Decoder, type Found, type Framing, NEED_MORE } from '../contracts/framing.ts'
import { z } from '../contracts/schema.ts'
import type { ByteWriter } from '../util/byte-writer.ts'
import { maxLengthOption, withMaxLength } from './max-length.ts'

const options = z.strictObject({
  bytes: z.int().min(1).max(8).default(4).describe('How many bytes the length field has, 1 to 8. Default: 4.'),
  endian: z
    .enum(['big', 'little'])
    .default('big')
    .describe('Byte order of the length field: big (most significant byte first) or little. Default: big.'),
  offset: z
    .int()
    .min(0)
    .max(1024)
    .default(0)
    .describe('How many bytes stand before the length field, up to 1024. Default: 0.'),
  adjust: z
    .int()
    .default(0)
    .describe(
      'A number of bytes that is added to the value of the length field to get the length of what follows the field; ' +
        'negative when the field counts more than that. Default: 0.',
    ),
  includesHeader: z
    .boolean()
    .default(false)
    .describe(
      'True when the length counts the header too: the length field and what stands before it. Default: false.',
    ),
  keepHeader: z
    .boolean()
    .default(false)
    .describe(
      'True to keep the header (what stands before the length field, and the field) as the beginning of the frame; ' +
        'when writing, the length in it is set anew. Default: false, the header is dropped.',
    ),
  maxLength: maxLengthOption(),
})

type Layout = z.output<typeof options>

/** Frames that say in front how long they are. */
export const lengthPrefix = defineFraming({
  name: 'length-prefix',
  summary: 'Reads the length of a frame from a binary number in front of it.',
  details:
    'The length of what follows the field is its value, plus `adjust`, minus the header if `includesHeader`. A length ' +
    'that is negative or above the limit closes the connection as soon as the field is read: nothing is waited for or ' +
    'allocated. With `offset` but without `keepHeader` frames can be read but not written, because the bytes before ' +
    'the field are not known.',
  options,
  short: 'bytes',
  alsoCalled: ['length', 'length-prefixed', 'lengthprefix'],
  inWords: layoutInWords,
  examples: [
    { title: 'Four bytes, big endian', bytes: '\\x00\\x00\\x00\\x02hi\\0\\0\\0\\0', frames: ['hi', ''] },
    {
      title: 'Two bytes, little endian',
      options: { bytes: 2, endian: 'little' },
      bytes: '\\x03\\x00abc',
      frames: ['abc'],
    },
    {
      title: 'The length counts itself',
      options: { bytes: 2, includesHeader: true },
      bytes: '\\x00\\x05abc',
      frames: ['abc'],
    },
    {
      title: 'A header that is kept, and a checksum byte that the length does not count',
      options: { bytes: 1, offset: 1, adjust: 1, keepHeader: true },
      bytes: '\\xaa\\x02hiC\\xab\\x00C',
      frames: ['\\xaa\\x02hiC', '\\xab\\x00C'],
    },
    {
      title: 'A message type in front that is dropped',
      options: { bytes: 2, offset: 1 },
      bytes: 'T\\x00\\x01xT\\x00\\x02yz',
      frames: ['x', 'yz'],
    },
  ],
  create: (layout) => withMaxLength(new LengthPrefix(layout), layout.maxLength),
})

class LengthPrefix implements Framing {
  readonly #layout: Layout

  constructor(layout: Layout) {
    this.#layout = layout
  }

  createDecoder(maxLength: number): Decoder {
    return new LengthPrefixDecoder(this.#layout, maxLength)
  }

  encode(payload: string | Buffer, out: ByteWriter): void {
    const { bytes, offset, keepHeader } = this.#layout
    const header = offset + bytes
    if (offset > 0 && !keepHeader) {
      throw notEncodable('the bytes before the length field are not known', 'Set keepHeader: true and write them too.')
    }
    const body = typeof payload === 'string' ? Buffer.from(payload) : payload
    if (!keepHeader) {
      const field = Buffer.allocUnsafe(bytes)
      this.#writeLength(field, 0, body.length)
      out.write(field)
      out.write(body)
      return
    }
    if (body.length < header) {
      throw notEncodable(
        `the payload has no room for the header of ${header} bytes`,
        'Begin the payload with the header.',
      )
    }
    const frame = Buffer.from(body)
    this.#writeLength(frame, offset, body.length - header)
    out.write(frame)
  }

  /** @param length of what follows the length field */
  #writeLength(target: Buffer, at: number, length: number): void {
    const { bytes, endian } = this.#layout
    let value = length - correction(this.#layout)
    if (value < 0 || value >= 256 ** bytes) {
      throw notEncodable(`a length field of ${bytes} bytes cannot hold ${value}`, 'Use a longer length field.')
    }
    for (let i = 0; i < bytes; i++) {
      target[endian === 'little' ? at + i : at + bytes - 1 - i] = value % 256
      value = Math.floor(value / 256)
    }
  }
}

class LengthPrefixDecoder implements Decoder {
  readonly envelope: number
  readonly #first: number
  readonly #step: 1 | -1
  readonly #bytes: number
  readonly #header: number
  readonly #correction: number
  readonly #keptHeader: number
  readonly #maxLength: number

  constructor(layout: Layout, maxLength: number) {
    const { bytes, endian, offset, keepHeader } = layout
    this.#bytes = bytes
    this.#header = offset + bytes
    this.#keptHeader = keepHeader ? this.#header : 0
    this.#correction = correction(layout)
    // The bytes of the field are read from the most significant on.
    this.#first = endian === 'big' ? offset : offset + bytes - 1
    this.#step = endian === 'big' ? 1 : -1
    this.#maxLength = maxLength
    this.envelope = this.#header
  }

  next(bytes: Buffer, from: number, to: number, found: Found): number {
    const header = this.#header
    if (to - from < header) return NEED_MORE
    let value = 0
    let at = from + this.#first
    for (let i = 0; i < this.#bytes; i++, at += this.#step) value = value * 256 + bytes[at]!
    const length = value + this.#correction
    if (length < 0)
      throw new SluiceError('frame_invalid', `the length field says ${value}, which is less than nothing`, HINT)
    // A value above 2^53 is not exact any more, and in any case longer than this.
    if (length + this.#keptHeader > this.#maxLength) {
      throw new SluiceError('frame_too_long', `a frame declares ${length} bytes; the limit is ${this.#maxLength}`, HINT)
    }
    const end = from + header + length
    if (end > to) return NEED_MORE
    found.start = from + header - this.#keptHeader
    found.end = end
    return end
  }
}

const HINT = { hint: 'Check bytes, endian, adjust and includesHeader against what the device sends.' }

function layoutInWords({ bytes, endian, offset, adjust, includesHeader, keepHeader }: Layout): string {
  const words = [bytes === 1 ? '1 byte' : `${bytes} bytes, ${endian} endian`]
  if (offset > 0) words.push(`behind ${offset}`)
  if (adjust !== 0) words.push(`adjusted by ${adjust}`)
  if (includesHeader) words.push('which count themselves')
  if (keepHeader) words.push('kept in the frame')
  return words.join(', ')
}

/** What is added to the value of the length field to get the length of what follows it. */
function correction({ adjust, includesHeader, offset, bytes }: Layout): number {
  return adjust - (includesHeader ? offset + bytes : 0)
}

function notEncodable(message: string, hint: string): SluiceError {
  return new SluiceError('frame_not_encodable', message, { hint })
}
