import { defineFraming } from '../contracts/define.ts'
import { z } from '../contracts/schema.ts'
import { maxLengthOption, withMaxLength } from './max-length.ts'
import { createStartEnd, type Markers } from './start-end.ts'

const options = z.strictObject({ maxLength: maxLengthOption() })

/**
 * HL7 messages over TCP. HL7 Version 3 Standard, "Transport Specification: MLLP, Release 1", section on the block
 * format: a block is `<SB>` (0x0b), the content, `<EB>` (0x1c) and `<CR>` (0x0d).
 */
export const mllp = defineFraming({
  name: 'mllp',
  summary: 'Takes the content of MLLP blocks, in which HL7 messages are sent.',
  details:
    'The framing of HL7 "Transport Specification: MLLP, Release 1": `\\x0b`, the message, `\\x1c\\r`. It is `start-end` ' +
    'with these markers, and it passes over CR and LF between blocks, which many senders add. A message that contains ' +
    '`\\x1c\\r` cannot be written.',
  options,
  examples: [
    {
      title: 'Two messages, a line end between them',
      bytes: '\\x0bMSH|^~\\\\&|A\\r\\x1c\\r\\n\\x0bMSH|^~\\\\&|B\\r\\x1c\\r',
      frames: ['MSH|^~\\\\&|A\\r', 'MSH|^~\\\\&|B\\r'],
    },
  ],
  create: ({ maxLength }) => withMaxLength(createStartEnd(MARKERS), maxLength),
})

const MARKERS: Markers = {
  start: Buffer.from([0x0b]),
  end: Buffer.from([0x1c, 0x0d]),
  between: new Set([0x0d, 0x0a]),
  hint: 'The sender does not speak MLLP: a block begins with \\x0b.',
}
