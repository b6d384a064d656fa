import { defineStep } from '../contracts/define.ts'
import { z } from '../contracts/schema.ts'
import { intoOption, withResult } from './into.ts'
import { codecOptions, requireSingleFrames, waitOf, waitOptions } from './wait-options.ts'

/** Waits for what the client sends next. */
export const expect = defineStep({
  name: 'expect',
  summary: 'Waits for the next message of the same client that matches, and goes on with it.',
  details: `For dialogues: a login before the data, ENQ and ACK, an answer to a question that a \`reply\` has asked. What does not match goes the usual way, behind the message that waits. When nothing comes in time, the message fails with \`wait_failed\`; in \`onConnect\` that closes the connection.

With \`framing\` the bytes are read another way until one frame is there, and that frame has to match: a tracker that logs in with 17 bytes and then sends lines. In \`onConnect\` no byte is missed, as long as every \`expect\` before it has a \`framing\`, too. Elsewhere, what has arrived already has been read with the framing of the endpoint.

A frame that \`whenTooLong: truncate\` has cut is a message like any other, and what is waited for may be such a one. A \`framing\` of the step's own must not cut: the message fails.

A connection gives a dataflow with this step one message at a time.`,
  options: z.strictObject({ ...waitOptions, ...codecOptions, into: intoOption }),
  examples: [
    {
      title: 'Two messages that belong together',
      config: { expect: { match: 'answer.weightOf == msg.barcode', into: 'scale' } },
      given: [{ barcode: 'A7' }, { weightOf: 'A7', kg: 2.5 }],
      gives: [{ barcode: 'A7', scale: { weightOf: 'A7', kg: 2.5 } }],
    },
  ],
  waits: true,
  answers: true,
  promise: ({ timeout }) => `waits up to ${timeout / 1000} s for another message of the client`,
  create(options, { codec }) {
    requireSingleFrames(options.framing)
    return {
      async run(message, over) {
        const arrived = await message.source.wait(waitOf(message, options, codec, over))
        return withResult(message, options.into, arrived.msg)
      },
    }
  },
})
