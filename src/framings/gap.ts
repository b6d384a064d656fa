import { defineFraming } from '../contracts/define.ts'
import { duration, z } from '../contracts/schema.ts'
import { createAtEnd } from './at-end.ts'
import { limitOptions, limitsInWords, withLimits } from './limits.ts'

const options = z.strictObject({
  silence: duration()
    .refine((silence) => silence > 0, 'expected a time above zero')
    .describe('How long nothing must arrive, such as 50ms. Required; no default.'),
  ...limitOptions(),
})

/** Frames between which nothing is sent for a while. */
export const gap = defineFraming({
  name: 'gap',
  summary: 'Ends a frame when no byte has come for a while.',
  details:
    'For devices that mark a message by nothing but a pause behind it, such as Modbus RTU over TCP. The end of the ' +
    'connection ends a frame too. What is written goes out as it is.\n\n' +
    'A pause must be seen to count: the network can make one where the device made none, and can join what the device sent ' +
    'apart. So take a silence well below the shortest pause between two messages and well above what the network delays, ' +
    'such as 50ms. While the server does not read, because a destination is slow, pauses are not seen, and messages may ' +
    'be joined. Where a message says how long it is, or how it ends, another framing is better.',
  options,
  short: 'silence',
  examples: [
    {
      title: 'One message',
      options: '50ms',
      bytes: '\\x01\\x03\\x02\\x00\\x2a\\x39\\x9b',
      frames: ['\\x01\\x03\\x02\\x00\\x2a\\x39\\x9b'],
    },
  ],
  inWords: ({ silence, ...limits }) => `of ${silence} ms${limitsInWords(limits)}`,
  alsoCalled: ['silence', 'pause', 'timeout', 'modbus-rtu'],
  create: ({ silence, ...limits }) => withLimits(createAtEnd({ silence }), limits),
})
