import { defineFraming } from '../contracts/define.ts'
import { z } from '../contracts/schema.ts'
import { limitOptions, withLimits } from './limits.ts'
import { createStuffed, damaged, type Stuffing } from './stuffed.ts'

const options = z.strictObject(limitOptions())

/**
 * S. Cheshire and M. Baker, "Consistent Overhead Byte Stuffing", IEEE/ACM Transactions on Networking 7(2), April 1999,
 * section II.
 */
export const cobs = defineFraming({
  name: 'cobs',
  summary: 'Ends a frame at a zero byte, with the zeros in it written as distances (COBS).',
  details:
    'Consistent Overhead Byte Stuffing, which many microcontrollers use: a frame is cut at its zeros, and each piece has ' +
    'its length plus one in front of it, at most 254 bytes of data for one such byte. A payload grows by one byte in 254. ' +
    'Zeros between frames are passed over. A frame that ends too early is a failed message (`frame_invalid`), and ' +
    'reading goes on behind it.',
  options,
  examples: [
    { title: 'A zero in the payload', bytes: '\\x03ab\\x02c\\0', frames: ['ab\\0c'] },
    { title: 'An empty payload, and a lone zero that is none', bytes: '\\x01\\0\\0\\x02x\\0', frames: ['', 'x'] },
  ],
  create: (limits) => withLimits(createStuffed(COBS), limits),
})

/** The code of a piece of 254 bytes behind which no zero stood. */
const FULL = 0xff

const COBS: Stuffing = {
  separator: 0,
  envelope: (maxLength) => Math.ceil(maxLength / (FULL - 1)) + 2,
  unstuff(stuffed, part) {
    const payload = Buffer.allocUnsafe(stuffed.length)
    let length = 0
    for (let at = 0; at < stuffed.length; ) {
      const code = stuffed[at]!
      const end = at + code
      if (end > stuffed.length && !part) throw damaged(`${end - stuffed.length} bytes are missing in a frame`)
      length += stuffed.copy(payload, length, at + 1, Math.min(end, stuffed.length))
      at = end
      if (code < FULL && at < stuffed.length) payload[length++] = 0
    }
    return payload.subarray(0, length)
  },
  stuff(payload) {
    const stuffed = Buffer.allocUnsafe(payload.length + Math.floor(payload.length / (FULL - 1)) + 2)
    let length = 1
    /** Where the code of the present piece stands. */
    let piece = 0
    const close = () => {
      stuffed[piece] = length - piece
      piece = length++
    }
    for (const [i, byte] of payload.entries()) {
      if (byte === 0) close()
      else stuffed[length++] = byte
      const isFull = length - piece === FULL && i + 1 < payload.length
      if (byte !== 0 && isFull) close()
    }
    stuffed[piece] = length - piece
    stuffed[length++] = 0
    return stuffed.subarray(0, length)
  },
}
