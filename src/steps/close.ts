import { defineStep } from '../contracts/define.ts'
import { z } from '../contracts/schema.ts'

/** Closes the connection of a message. */
export const close = defineStep({
  name: 'close',
  summary: 'Closes the connection, once the answers that are queued have been sent.',
  details: 'The message goes on to the next step. Messages of this connection that have already arrived are still run.',
  options: z
    .union([z.strictObject({}), z.null(), z.literal(true)])
    .describe('There are no options: write `close: {}` or `close: true`.'),
  examples: [
    {
      title: 'Say goodbye',
      config: { dataflow: [{ reply: 'BYE' }, { close: {} }] },
      given: ['QUIT'],
      gives: ['QUIT'],
      replies: ['BYE'],
    },
  ],
  answers: true,
  closes: true,
  promise: 'closes the connection',
  create: () => ({
    run(message) {
      message.source.close()
      return message
    },
  }),
})
