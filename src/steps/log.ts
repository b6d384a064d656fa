import { contentText } from '../contracts/codec.ts'
import { defineStep } from '../contracts/define.ts'
import { template, z } from '../contracts/schema.ts'
import { formatBytes } from '../util/escapes.ts'

/** Writes a line to the log. */
export const log = defineStep({
  name: 'log',
  alsoCalled: ['console', 'print'],
  summary: "Writes a line to the server's log.",
  details: 'Bytes are shown with escapes, such as `\\x02`. The message goes on unchanged.',
  options: z.strictObject({
    text: template({ showBytes: true }).describe('The line: a text with `${…}`.'),
    level: z
      .enum(['debug', 'info', 'warn', 'error'])
      .default('info')
      .describe('How important it is: debug, info, warn or error. Default info.'),
  }),
  short: 'text',
  examples: [
    { title: 'Note what comes in', config: { log: 'from ${client.ip}: ${msg}' }, given: ['hello'], gives: ['hello'] },
    {
      title: 'A warning',
      config: { log: { text: 'hot: ${msg.temp}', level: 'warn' }, if: 'msg.temp > 30' },
      given: [{ temp: 35 }],
      gives: [{ temp: 35 }],
    },
  ],
  create({ text, level }, context) {
    return {
      run(message) {
        const line = contentText(text(message))
        context.log(level, typeof line === 'string' ? line : formatBytes(line, MAX_BYTES), message)
        return message
      },
    }
  },
})

/** How many bytes of a value that is nothing but bytes a line shows. */
const MAX_BYTES = 1024
