import { defineFraming } from '../contracts/define.ts'
import { SluiceError } from '../contracts/errors.ts'
import { z } from '../contracts/schema.ts'
import { limitOptions, withLimits } from './limits.ts'
import { createStuffed, damaged, type Stuffing } from './stuffed.ts'

const options = z.strictObject(limitOptions())

/** RFC 1055, "A Nonstandard for Transmission of IP Datagrams over Serial Lines: SLIP". */
export const slip = defineFraming({
  name: 'slip',
  summary: 'Ends a frame at the byte END (`\\xc0`), which is escaped in it.',
  details:
    'The framing of RFC 1055. In a frame `\\xc0` is written as `\\xdb\\xdc` and `\\xdb` as `\\xdb\\xdd`. An END is written in front of each ' +
    'frame too, so that noise on the line before it is a frame of its own; where nothing stands between two ENDs there ' +
    'is no frame, so an empty payload cannot be written. A frame in which something else follows `\\xdb` is a failed ' +
    'message (`frame_invalid`), and reading goes on behind it.',
  options,
  examples: [
    { title: 'Two packets', bytes: '\\xc0one\\xc0\\xc0two\\xc0', frames: ['one', 'two'] },
    { title: 'Escaped bytes', bytes: 'a\\xdb\\xdcb\\xdb\\xddc\\xc0', frames: ['a\\xc0b\\xdbc'] },
  ],
  create: (limits) => withLimits(createStuffed(SLIP), limits),
})

const END = 0xc0
const ESC = 0xdb
const ESC_END = 0xdc
const ESC_ESC = 0xdd

const SLIP: Stuffing = {
  separator: END,
  envelope: (maxLength) => maxLength + 2,
  unstuff(stuffed, part) {
    if (!stuffed.includes(ESC)) return stuffed
    const payload = Buffer.allocUnsafe(stuffed.length)
    let length = 0
    for (let at = 0; at < stuffed.length; at++) {
      let byte = stuffed[at]!
      if (byte === ESC) {
        const escaped = stuffed[++at]
        if (escaped === undefined && part) break
        if (escaped !== ESC_END && escaped !== ESC_ESC)
          throw damaged('neither \\xdc nor \\xdd follows \\xdb in a frame')
        byte = escaped === ESC_END ? END : ESC
      }
      payload[length++] = byte
    }
    return payload.subarray(0, length)
  },
  stuff(payload) {
    if (payload.length === 0) {
      throw new SluiceError('frame_not_encodable', 'slip has no empty frames', { hint: 'Write at least one byte.' })
    }
    const stuffed = Buffer.allocUnsafe(2 * payload.length + 2)
    let length = 0
    stuffed[length++] = END
    for (const byte of payload) {
      const isSpecial = byte === END || byte === ESC
      if (isSpecial) stuffed[length++] = ESC
      stuffed[length++] = isSpecial ? (byte === END ? ESC_END : ESC_ESC) : byte
    }
    stuffed[length++] = END
    return stuffed.subarray(0, length)
  },
}
