import { Batch } from '../contracts/batch.ts'
import type { Failures } from '../contracts/dataflow.ts'
import { defineStep } from '../contracts/define.ts'
import { toSluiceError } from '../contracts/errors.ts'
import type { Message } from '../contracts/message.ts'
import { pathTemplate, z } from '../contracts/schema.ts'
import { type Payload, payloadOf, payloadOptions, requireOne } from './payload.ts'
import { sendFile } from './reply-file.ts'

/** Answers the sender. */
export const reply = defineStep({
  name: 'reply',
  summary: 'Answers the sender of the message.',
  details:
    'Behind a sink the answer is a promise that the sink has delivered; before it, that the message has arrived. ' +
    'Answers leave in the order of the messages that caused them. The message goes on unchanged.\n\n' +
    '`file` answers with the content of a file as it is, neither formatted nor framed, from the first byte to the last one ' +
    'that it has when it is opened. It is read as fast as the client reads, so it may be of any size. A value in its path ' +
    'is a part of one name, and cannot lead elsewhere. A file that is not there, or is none, fails the message before ' +
    'anything is sent (`step_failed`); where it cannot be read to its end, or the time of the step is over, the connection is reset, so ' +
    'that half of it is not taken for the whole. A connection takes its messages one by one where such a step is. It cannot stand behind ' +
    '`dedupe` or a buffer, and a broker gets no files.',
  options: z
    .strictObject({
      ...payloadOptions,
      file: pathTemplate()
        .optional()
        .describe(
          'Path of a file whose content is the answer: a text in which `${…}` is evaluated. Relative paths start at the ' +
            "configuration's folder.",
        ),
    })
    .superRefine((options, context) => requireOne(options, ['text', 'value', 'raw', 'file'], context)),
  short: 'text',
  examples: [
    {
      title: 'Answer with a text',
      config: { reply: 'OK ${msg.id}' },
      given: [{ id: 7 }],
      gives: [{ id: 7 }],
      replies: ['OK 7'],
    },
    {
      title: "Answer with a value, in the endpoint's format",
      config: { reply: { value: '{"id": msg.id, "ok": true}' } },
      given: [{ id: 7 }],
      gives: [{ id: 7 }],
      replies: ['{"id":7,"ok":true}'],
    },
    { title: 'Echo', config: { reply: '${msg}' }, given: ['a', 'b'], gives: ['a', 'b'], replies: ['a', 'b'] },
  ],
  answers: true,
  promise: 'answers',
  waits: ({ file }) => file !== undefined,
  create(options, { codec, resolvePath }) {
    const { file } = options
    if (file !== undefined) {
      return {
        async run(message, over) {
          await sendFile(message, resolvePath(file(message)), over)
          return message
        },
      }
    }
    const payload = payloadOf(options)
    const echoes = payload.kind === 'text' && payload.content.isMessage && codec.format.encodeText === undefined
    return {
      runBatch: (batch, failures) => (echoes && echo(batch) ? batch : replyToEach(batch, payload, failures)),
    }
  },
})

/** Answers what was read and nobody touched with itself, where the text of each message is its frame. */
function echo({ frames, format, source }: Batch): boolean {
  if (frames === undefined || source === undefined) return false
  return format?.identity === true && source.echo(frames)
}

function replyToEach(batch: Batch, { kind, content }: Payload, failures: Failures): Batch {
  const messages = batch.messages
  let failed: Set<Message> | undefined
  for (let i = 0; i < messages.length; i++) {
    const message = messages[i]!
    try {
      message.source.reply(message.sequence, kind, content(message))
    } catch (thrown) {
      failed = (failed ?? new Set()).add(message)
      failures.add(message, toSluiceError(thrown))
    }
  }
  return failed === undefined ? batch : Batch.of(messages.filter((message) => !failed.has(message)))
}
