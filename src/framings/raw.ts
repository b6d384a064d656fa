import { defineFraming } from '../contracts/define.ts'
import type { Decoder, Found, Framing } from '../contracts/framing.ts'
import { z } from '../contracts/schema.ts'
import type { ByteWriter } from '../util/byte-writer.ts'
import { maxLengthOption, withLimits } from './limits.ts'

const options = z.strictObject({ maxLength: maxLengthOption() })

/** No framing at all: what one read of the socket gives is one frame. */
export const raw = defineFraming({
  name: 'raw',
  summary: 'Takes every read of the socket as one frame; what is written goes out as it is.',
  details:
    'TCP keeps the order of bytes, not their grouping: what a device sends at once may arrive as several frames, and ' +
    'two sends may arrive as one. Use this to look at an unknown device, or where the grouping does not matter. A ' +
    'read longer than `maxLength` becomes several frames, so none is ever too long. An empty payload writes nothing.',
  options,
  examples: [
    { title: 'Bytes as they come', bytes: '\\x02W 12.5 kg\\x03\\r\\n', frames: ['\\x02W 12.5 kg\\x03\\r\\n'] },
  ],
  create: ({ maxLength }) => withLimits(new Raw(), { maxLength }),
})

class Raw implements Framing {
  createDecoder(maxLength: number): Decoder {
    return new RawDecoder(maxLength)
  }

  encode(payload: string | Buffer, out: ByteWriter): void {
    out.write(payload)
  }
}

class RawDecoder implements Decoder {
  readonly envelope = 0
  readonly #maxLength: number

  constructor(maxLength: number) {
    this.#maxLength = maxLength
  }

  next(_bytes: Buffer, from: number, to: number, found: Found): number {
    found.start = from
    found.end = Math.min(to, from + this.#maxLength)
    return found.end
  }
}
