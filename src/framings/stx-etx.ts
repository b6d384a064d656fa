import { definePreset } from './preset.ts'
import { startEnd } from './start-end.ts'

/** STX and ETX are the control characters 2 and 3 of ASCII (ECMA-6, 6th edition; RFC 20, section 5.2). */
export const stxEtx = definePreset(startEnd, {
  name: 'stx-etx',
  summary: 'Takes what stands between STX and ETX, as scales and scanners send it.',
  details:
    'A frame begins with `\\x02` (STX) and ends with `\\x03` (ETX). Line ends between two frames are passed over. A payload ' +
    'with ETX in it cannot be written. Where a check byte follows ETX, write `start-end` with another `end`, or `regex`.',
  options: { start: '\\x02', end: '\\x03', between: '\\r\\n' },
  examples: [
    { title: 'A scale', bytes: '\\x02W 12.5 kg\\x03\\r\\n\\x02W 12.6 kg\\x03', frames: ['W 12.5 kg', 'W 12.6 kg'] },
  ],
})
