import { BLOCK } from './mllp.ts'
import { definePreset } from './preset.ts'
import { startEnd } from './start-end.ts'

/** The framing of HL7 v2 messages, under the name by which people look for it. */
export const hl7 = definePreset(startEnd, {
  name: 'hl7',
  summary: 'Takes HL7 v2 messages out of the blocks in which they are sent.',
  details:
    'Another name for [mllp](mllp.md), with its tolerance: line ends between two messages are passed over. The segments of ' +
    'a message end with CR, which stays in the frame.',
  options: BLOCK,
  examples: [
    {
      title: 'A message',
      bytes: '\\x0bMSH|^~\\\\&|LAB\\rPID|1\\r\\x1c\\r',
      frames: ['MSH|^~\\\\&|LAB\\rPID|1\\r'],
    },
  ],
})
