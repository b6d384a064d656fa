import { defineFraming } from '../contracts/define.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Decoder, Framing } from '../contracts/framing.ts'
import { bytes, size, z } from '../contracts/schema.ts'
import type { ByteWriter } from '../util/byte-writer.ts'
import { CountedDecoder, type Header } from './counted.ts'
import { limitOptions, type WhenTooLong, withLimits } from './limits.ts'

const options = z.strictObject({
  length: size()
    .refine((length) => length > 0, 'expected at least one byte')
    .describe('Length of every frame: a number of bytes, or a size such as 1KiB. Required; no default.'),
  pad: bytes()
    .refine((pad) => pad.length === 1, 'expected exactly one byte')
    .optional()
    .describe('A byte that fills up a shorter payload when writing. Default: none, a shorter payload is an error.'),
  ...limitOptions(),
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
  create: ({ length, pad, ...limits }) => withLimits(new Fixed(length, pad?.[0], limits.whenTooLong), limits),
})

class Fixed implements Framing {
  readonly #length: number
  readonly #pad: number | undefined
  readonly #whenTooLong: WhenTooLong

  constructor(length: number, pad: number | undefined, whenTooLong: WhenTooLong = 'close') {
    this.#length = length
    this.#pad = pad
    this.#whenTooLong = whenTooLong
  }

  createDecoder(maxLength: number): Decoder {
    const length = this.#length
    const read = (_bytes: Buffer, _from: number, _to: number, header: Header) => {
      header.length = length
      return true
    }
    return new CountedDecoder({ envelope: 0, hint: HINT, whenTooLong: this.#whenTooLong, read }, maxLength)
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

const HINT = 'Raise maxLength or limits.maxFrameLength: every frame has this length.'
