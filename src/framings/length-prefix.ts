import { defineFraming } from '../contracts/define.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Decoder, Framing } from '../contracts/framing.ts'
import { z } from '../contracts/schema.ts'
import type { ByteWriter } from '../util/byte-writer.ts'
import { CountedDecoder, type Header } from './counted.ts'
import { limitOptions, limitsInWords, withLimits } from './limits.ts'
import { MAX_VARINT, readVarint, varintOf } from './varint.ts'

const options = z
  .strictObject({
    bytes: z.int().min(1).max(8).optional().describe('How many bytes the length field has, 1 to 8. Default: 4.'),
    endian: z
      .enum(['big', 'little'])
      .optional()
      .describe('Byte order of the length field: big (most significant byte first) or little. Default: big.'),
    varint: z
      .boolean()
      .default(false)
      .describe(
        'True when the length field is a varint, as in streams of Protocol Buffers: seven bits in each byte, the least ' +
          'significant first, and the highest bit set in all but the last. Default: false.',
      ),
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
    ...limitOptions(),
  })
  .refine(
    ({ varint, bytes, endian }) => !varint || (bytes === undefined && endian === undefined),
    'a varint says itself how long it is: leave out bytes and endian',
  )
  .refine(
    ({ varint, includesHeader, keepHeader }) => !varint || !(includesHeader || keepHeader),
    'the length of a varint depends on its value: leave out includesHeader and keepHeader',
  )

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
  alsoCalled: ['length', 'length-prefixed', 'lengthprefix', 'varint', 'protobuf'],
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
      title: 'Protocol Buffers, one message behind the other',
      options: { varint: true },
      bytes: '\\x02hi\\x81\\x00!',
      frames: ['hi', '!'],
    },
    {
      title: 'A message type in front that is dropped',
      options: { bytes: 2, offset: 1 },
      bytes: 'T\\x00\\x01xT\\x00\\x02yz',
      frames: ['x', 'yz'],
    },
  ],
  create: (layout) => withLimits(new LengthPrefix(layout), layout),
})

class LengthPrefix implements Framing {
  readonly #layout: Layout
  readonly #field: number

  constructor(layout: Layout) {
    this.#layout = layout
    this.#field = layout.bytes ?? DEFAULT_BYTES
  }

  createDecoder(maxLength: number): Decoder {
    const { varint, offset, whenTooLong = 'close' } = this.#layout
    const read = varint ? varintReader(this.#layout) : fieldReader(this.#layout)
    const envelope = offset + (varint ? MAX_VARINT : this.#field)
    return new CountedDecoder({ envelope, hint: HINT, whenTooLong, read }, maxLength)
  }

  encode(payload: string | Buffer, out: ByteWriter): void {
    const { varint, offset, keepHeader, adjust } = this.#layout
    const header = offset + this.#field
    if (offset > 0 && !keepHeader) {
      throw notEncodable('the bytes before the length field are not known', 'Set keepHeader: true and write them too.')
    }
    const body = typeof payload === 'string' ? Buffer.from(payload) : payload
    if (!keepHeader) {
      const value = body.length - adjust
      if (varint && value < 0) throw tooSmall(value)
      out.write(varint ? varintOf(value) : this.#writeLength(Buffer.allocUnsafe(this.#field), 0, body.length))
      out.write(body)
      return
    }
    if (body.length < header) {
      throw notEncodable(
        `the payload has no room for the header of ${header} bytes`,
        'Begin the payload with the header.',
      )
    }
    out.write(this.#writeLength(Buffer.from(body), offset, body.length - header))
  }

  /** @param length of what follows the length field */
  #writeLength(target: Buffer, at: number, length: number): Buffer {
    const bytes = this.#field
    let value = length - correction(this.#layout)
    if (value < 0 || value >= 256 ** bytes) {
      throw notEncodable(`a length field of ${bytes} bytes cannot hold ${value}`, 'Use a longer length field.')
    }
    for (let i = 0; i < bytes; i++) {
      target[this.#layout.endian === 'little' ? at + i : at + bytes - 1 - i] = value % 256
      value = Math.floor(value / 256)
    }
    return target
  }
}

type Reader = (bytes: Buffer, from: number, to: number, header: Header) => boolean

function fieldReader(layout: Layout): Reader {
  const { bytes: field = DEFAULT_BYTES, endian, offset, keepHeader } = layout
  const size = offset + field
  const start = keepHeader ? 0 : size
  const added = correction(layout)
  // The bytes of the field are read from the most significant on.
  const first = endian === 'little' ? offset + field - 1 : offset
  const step = endian === 'little' ? -1 : 1
  return (bytes, from, to, header) => {
    if (to - from < size) return false
    let value = 0
    for (let i = 0, at = from + first; i < field; i++, at += step) value = value * 256 + bytes[at]!
    header.start = start
    header.length = checked(value, added) + size - start
    return true
  }
}

function varintReader({ offset, adjust }: Layout): Reader {
  return (bytes, from, to, header) => {
    const varint = readVarint(bytes, from + offset, to)
    if (varint === undefined) return false
    header.start = offset + varint.size
    header.length = checked(varint.value, adjust)
    return true
  }
}

/** A value above 2^53 is not exact any more, and in any case above every limit. */
function checked(value: number, added: number): number {
  const length = value + added
  if (length >= 0) return length
  throw new SluiceError('frame_invalid', `the length field says ${value}, which is less than nothing`, { hint: HINT })
}

const DEFAULT_BYTES = 4

const HINT = 'Check bytes, endian, adjust and includesHeader against what the device sends.'

function layoutInWords(layout: Layout): string {
  const { bytes = DEFAULT_BYTES, endian = 'big', varint, offset, adjust, includesHeader, keepHeader } = layout
  const words = [varint ? 'varint' : bytes === 1 ? '1 byte' : `${bytes} bytes, ${endian} endian`]
  if (offset > 0) words.push(`behind ${offset}`)
  if (adjust !== 0) words.push(`adjusted by ${adjust}`)
  if (includesHeader) words.push('which count themselves')
  if (keepHeader) words.push('kept in the frame')
  return words.join(', ') + limitsInWords(layout)
}

/** What is added to the value of the length field to get the length of what follows it. */
function correction({ adjust, includesHeader, offset, bytes = DEFAULT_BYTES }: Layout): number {
  return adjust - (includesHeader ? offset + bytes : 0)
}

function notEncodable(message: string, hint: string): SluiceError {
  return new SluiceError('frame_not_encodable', message, { hint })
}

function tooSmall(value: number): SluiceError {
  return notEncodable(`a length field cannot hold ${value}`, 'Check adjust.')
}
