import { defineFraming } from '../contracts/define.ts'
import { SluiceError } from '../contracts/errors.ts'
import { type Decoder, type Found, type Framing, NEED_MORE } from '../contracts/framing.ts'
import { bytes, size, z } from '../contracts/schema.ts'
import type { ByteWriter } from '../util/byte-writer.ts'
import { maxLengthOption, withMaxLength } from './max-length.ts'

const options = z.strictObject({
  length: size()
    .refine((length) => length > 0, 'expected at least one byte')
    .describe('Length of every frame: a number of bytes, or a size such as 1KiB. Required; no default.'),
  pad: bytes()
    .refine((pad) => pad.length === 1, 'expected exactly one byte')
    .optional()
    .describe('A byte that fills up a shorter payload when writing. Default: none, a shorter payload is an error.'),
  maxLength: maxLengthOption(),
})

/** Frames that are all equally long. */
export const fixed = defineFraming({
  name: 'fixed',
  summary: 'Cuts the bytes into frames of one length.',
  details: 'Fill bytes are not taken away when reading, because they cannot be told from data.',
  options,
  short: 'length',
  examples: [
    { title: 'Four bytes each', options: 4, bytes: 'abcdefgh', frames: ['abcd', 'efgh'] },
    {
      title: 'Short payloads are filled with blanks',
      options: { length: 6, pad: ' ' },
      bytes: 'OK    ',
      frames: ['OK    '],
    },
  ],
  create: ({ length, pad, maxLength }) => withMaxLength(new Fixed(length, pad?.[0]), maxLength),
})

class Fixed implements Framing {
  readonly #length: number
  readonly #pad: number | undefined

  constructor(length: number, pad: number | undefined) {
    this.#length = length
    this.#pad = pad
  }

  createDecoder(): Decoder {
    return new FixedDecoder(this.#length)
  }

  encode(payload: string | Buffer, out: ByteWriter): void {
    const body = typeof payload === 'string' ? Buffer.from(payload) : payload
    const missing = this.#length - body.length
    if (missing < 0 || (missing > 0 && this.#pad === undefined)) {
      throw new SluiceError('frame_not_encodable', `a frame has ${this.#length} bytes, the payload ${body.length}`, {
        hint: missing > 0 ? 'Set pad to the byte that fills up shorter payloads.' : 'Shorten the payload.',
      })
    }
    out.write(body)
    if (missing > 0) out.write(Buffer.alloc(missing, this.#pad))
  }
}

class FixedDecoder implements Decoder {
  readonly envelope = 0
  readonly #length: number

  constructor(length: number) {
    this.#length = length
  }

  next(_bytes: Buffer, from: number, to: number, found: Found): number {
    const end = from + this.#length
    if (end > to) return NEED_MORE
    found.start = from
    found.end = end
    return end
  }
}
