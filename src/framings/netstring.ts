import { defineFraming } from '../contracts/define.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Framing } from '../contracts/framing.ts'
import { z } from '../contracts/schema.ts'
import { CountedDecoder } from './counted.ts'
import { MAX_DIGITS, NO_COUNT, readCount } from './decimal-count.ts'
import { limitOptions, type WhenTooLong, withLimits } from './limits.ts'

const options = z.strictObject(limitOptions())

/** Netstrings: D. J. Bernstein, "Netstrings" (cr.yp.to/proto/netstrings.txt), 1 February 1997. */
export const netstring = defineFraming({
  name: 'netstring',
  summary: 'Reads the length of a frame as decimal digits in front of it: `5:hello,`.',
  details:
    'A netstring is the length in decimal digits, a colon, the payload, and a comma. The length has no needless zeros in ' +
    'front. Anything else closes the connection, because nothing behind it can be trusted.',
  options,
  examples: [{ title: 'Three netstrings', bytes: '5:hello,0:,3:a\\nb,', frames: ['hello', '', 'a\\nb'] }],
  create: (limits) => withLimits(createNetstring(limits.whenTooLong), limits),
})

function createNetstring(whenTooLong: WhenTooLong = 'close'): Framing {
  return {
    createDecoder: (maxLength) =>
      new CountedDecoder(
        {
          // The colon and the comma.
          envelope: MAX_DIGITS + 2,
          hint: HINT,
          whenTooLong,
          read(bytes, from, to, header) {
            const digits = readCount(bytes, from, to, COLON, header)
            if (digits === NO_COUNT) throw invalid('a netstring begins with its length and a colon')
            header.start = digits + 1
            header.trailer = 1
            return digits > 0
          },
          check(bytes, end) {
            if (bytes[end - 1] !== COMMA) throw invalid('a netstring ends with a comma')
          },
        },
        maxLength,
      ),
    encode(payload, out) {
      const body = typeof payload === 'string' ? Buffer.from(payload) : payload
      out.write(`${body.length}:`)
      out.write(body)
      out.write(',')
    },
  }
}

const COLON = 58
const COMMA = 44
const HINT = 'Check that the sender writes netstrings, such as 5:hello,'

function invalid(message: string): SluiceError {
  return new SluiceError('frame_invalid', message, { hint: HINT })
}
