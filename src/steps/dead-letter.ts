import { Batch } from '../contracts/batch.ts'
import { contentText } from '../contracts/codec.ts'
import type { DeadLetters } from '../contracts/context.ts'
import type { Failures } from '../contracts/dataflow.ts'
import { defineStep } from '../contracts/define.ts'
import { type FailureCode, failures as failureCodes, SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Message } from '../contracts/message.ts'
import { type Expression, template, z } from '../contracts/schema.ts'

/** Keeps messages in the dead letters. */
export const deadLetter = defineStep({
  name: 'deadLetter',
  summary: 'Keeps the message in the dead letters, where it can be looked at, and ends it here.',
  details:
    'Without any `onError`, a message that fails is kept anyway. An `onError` takes that over, and this step is how it ' +
    'keeps the message all the same. The step has finished when the message is on disk, so an answer to the sender ' +
    'stands before it.',
  options: z.strictObject({
    reason: template()
      .optional()
      .describe('Why it is kept: a text with `${…}`. Default: the error that the message failed with.'),
  }),
  short: 'reason',
  examples: [
    {
      title: 'Set aside what cannot be used',
      config: {
        route: [{ if: 'msg.weight == null', dataflow: [{ reply: 'ERR' }, { deadLetter: 'no weight' }] }],
      },
      given: [{ weight: 5 }, { id: 7 }],
      gives: [{ weight: 5 }],
      replies: ['ERR'],
    },
    {
      title: 'Answer and keep a message that fails',
      config: { map: 'msg.a * 2', onError: [{ reply: 'ERR ${error.code}' }, { deadLetter: {} }] },
      given: [{ a: 2 }, {}],
      gives: [4],
      replies: ['ERR expression_failed'],
    },
  ],
  promise: 'keeps the message in the dead letters',
  keeps: true,
  create({ reason }, { deadLetters, id }) {
    return {
      async runBatch(batch, failures) {
        // All at once: one commit for the batch.
        await Promise.all(batch.messages.map((message) => keep(message, reason, id, deadLetters, failures)))
        return Batch.of([])
      },
    }
  },
})

async function keep(
  message: Message,
  reason: Expression | undefined,
  id: string,
  deadLetters: DeadLetters,
  failures: Failures,
): Promise<void> {
  try {
    await deadLetters.add(message, causeOf(message, reason), message.error?.step ?? id)
  } catch (thrown) {
    failures.add(message, toSluiceError(thrown))
  }
}

/** The error under which a message is kept: the one that it failed with, told in the words of `reason` where given. */
function causeOf(message: Message, reason: Expression | undefined): SluiceError {
  const { error } = message
  const text = reason === undefined ? '' : contentText(reason(message)).toString()
  const code = error !== undefined && isFailureCode(error.code) ? error.code : 'kept_by_step'
  return new SluiceError(code, text || (error?.message ?? 'kept by a deadLetter step'), {
    retryable: error?.retryable ?? false,
  })
}

function isFailureCode(code: string): code is FailureCode {
  return Object.hasOwn(failureCodes, code)
}
