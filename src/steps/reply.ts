import { defineStep } from '../contracts/define.ts'
import { toSluiceError } from '../contracts/errors.ts'
import { Batch, type Failures, type Message } from '../contracts/message.ts'
import { z } from '../contracts/schema.ts'
import { type Payload, payloadOf, payloadOptions, requireOnePayload } from './payload.ts'

/** Answers the sender. */
export const reply = defineStep({
  name: 'reply',
  summary: 'Answers the sender of the message.',
  details:
    'Behind a sink the answer is a promise that the sink has delivered; before it, that the message has arrived. ' +
    'Answers leave in the order of the messages that caused them. The message goes on unchanged.',
  options: z.strictObject(payloadOptions).superRefine(requireOnePayload),
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
  create(options, { codec }) {
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
