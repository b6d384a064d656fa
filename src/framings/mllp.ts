import { definePreset } from './preset.ts'
import { startEnd } from './start-end.ts'

/** The options of `start-end` that find the blocks. */
export const BLOCK = { start: '\\x0b', end: '\\x1c\\r', between: '\\r\\n' }

/**
 * HL7 messages over TCP. HL7 Version 3 Standard, "Transport Specification: MLLP, Release 1", section on the block
 * format: a block is `<SB>` (0x0b), the content, `<EB>` (0x1c) and `<CR>` (0x0d).
 */
export const mllp = definePreset(startEnd, {
  name: 'mllp',
  summary: 'Takes the content of MLLP blocks, in which HL7 messages are sent.',
  details:
    'The framing of HL7 "Transport Specification: MLLP, Release 1": `\\x0b`, the message, `\\x1c\\r`. CR and LF between ' +
    'blocks, which many senders add, are passed over. A message that contains `\\x1c\\r` cannot be written.',
  options: BLOCK,
  examples: [
    {
      title: 'Two messages, a line end between them',
      bytes: '\\x0bMSH|^~\\\\&|A\\r\\x1c\\r\\n\\x0bMSH|^~\\\\&|B\\r\\x1c\\r',
      frames: ['MSH|^~\\\\&|A\\r', 'MSH|^~\\\\&|B\\r'],
    },
  ],
})
