import { Batch } from '../contracts/batch.ts'
import type { PartContext } from '../contracts/context.ts'
import type { Dataflow, Failures } from '../contracts/dataflow.ts'
import { defineStep } from '../contracts/define.ts'
import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { ErrorInfo, Message } from '../contracts/message.ts'
import { condition, dataflow, duration, type Expression, z } from '../contracts/schema.ts'
import { Share } from '../util/turns.ts'
import { hold } from './hold.ts'

/** Takes a message through a dataflow again and again. */
export const repeat = defineStep({
  name: 'repeat',
  summary: 'Takes a message through a dataflow, and again until a condition holds.',
  details: `For a device that has to be asked more than once: until it is ready, until it has understood, until it answers at all.

With \`until\`, what comes out of the dataflow is looked at, and it is also what goes through the next time. A failure inside fails the message, as in any other step. Without \`until\` the message goes through again when it has failed, as it was before; so a \`request\` without an answer asks again. When neither has come to its end after \`max\` times, the message has failed: with the last failure, or because the condition does not hold.

The dataflow always runs once before the condition is looked at. Whatever it has done by then, such as a row in a sink, is done again with each time. A message that it drops ends there. Messages go one after the other, each with all its times; \`pause\` holds back those behind it on the same connection, too.`,
  options: z.strictObject({
    dataflow: dataflow().describe('The steps, or the name of an entry of `dataflows:`.'),
    until: condition()
      .optional()
      .describe(
        'The condition with which it ends, on what has come out: `msg.answer == "ready"`. Default: it ends when nothing has failed.',
      ),
    max: z
      .int()
      .min(1)
      .max(10_000)
      .default(10)
      .describe('How often a message goes through, the first time included. Default: 10.'),
    pause: duration().default(0).describe('How long to wait before it goes through again. Default: not at all.'),
  }),
  alsoCalled: ['again', 'while', 'retry', 'until'],
  examples: [
    {
      title: 'Until it is small enough',
      config: { repeat: { until: 'msg <= 10', dataflow: [{ map: 'msg / 2' }] } },
      given: [32, 4],
      gives: [8, 2],
    },
    {
      title: 'When the condition does not come to hold, the message has failed',
      config: {
        repeat: { until: 'msg == "aaaa"', max: 3, dataflow: [{ map: 'msg + "a"' }] },
        onError: [{ reply: '${error.message}' }],
      },
      given: ['a', 'b'],
      gives: ['aaaa'],
      replies: ['repeat: after 3 times it is not so that msg == "aaaa"'],
    },
  ],
  afterInner: () => 'whole',
  waits: true,
  promise: ({ until, max }) =>
    `takes a message through its steps up to ${max} times, until ${until === undefined ? 'nothing has failed' : until.source}`,
  create: (options, context) => ({
    async runBatch(batch, failures) {
      const passed: Message[] = []
      const share = new Share(context.clock)
      for (const message of batch.messages) {
        if (failures.signal?.aborted) break
        try {
          const result = await runRepeatedly(message, options, failures, context, share)
          if (result !== undefined) passed.push(result)
        } catch (thrown) {
          failures.add(message, toSluiceError(thrown, 'expression_failed'))
        }
      }
      return Batch.of(passed)
    },
  }),
})

interface Options {
  readonly dataflow: Dataflow
  readonly until?: Expression<boolean> | undefined
  readonly max: number
  /** Milliseconds. */
  readonly pause: number
}

/**
 * @returns what came out in the end; undefined when the message has ended, or is among the failures
 * @throws what the condition throws, and SluiceError `step_timeout` when a pause was cut short
 */
async function runRepeatedly(
  message: Message,
  options: Options,
  failures: Failures,
  context: PartContext,
  share: Share,
): Promise<Message | undefined> {
  const { until, max, pause } = options
  let given = message
  for (let times = 1; ; times++) {
    const { result, failure } = await runOnce(given, options, failures.signal)
    if (failure === undefined) {
      if (result === undefined || until === undefined || until(result)) return result
      given = result
    }
    if (times === max || failures.signal?.aborted || (failure !== undefined && until !== undefined)) {
      fail(message, failure ?? notSo(until!, max), failures)
      return undefined
    }
    if (pause > 0) await hold(context, pause, failures.signal)
    else if (share.isUsed) await share.next()
  }
}

interface Failure {
  readonly error: SluiceError
  readonly step?: string | undefined
  /** Of a message that has had its chance in an `onError`. */
  readonly handled?: ErrorInfo | undefined
}

/** One time through the dataflow. Whatever has failed in it came of the one message that it was given. */
async function runOnce(
  message: Message,
  { dataflow: flow }: Options,
  signal: AbortSignal | undefined,
): Promise<{ readonly result: Message | undefined; readonly failure: Failure | undefined }> {
  let failure: Failure | undefined
  const { messages } = await flow.run(Batch.of([message]), {
    signal,
    add(failed, error, step) {
      failure ??= { error, step, handled: failed.error }
    },
  })
  if (messages.length > 1) {
    const text = `repeat: its dataflow has made ${messages.length} messages of one`
    failure ??= { error: new SluiceError('step_failed', text, { hint: 'Put the step that does so behind it.' }) }
  }
  return { result: messages[0], failure }
}

/** The message fails as it came. One chance in an `onError`: one that it has had inside counts. */
function fail(message: Message, { error, step, handled }: Failure, failures: Failures): void {
  failures.add(handled === undefined ? message : message.withError(handled), error, step)
}

function notSo({ source }: Expression<boolean>, max: number): Failure {
  return { error: new SluiceError('step_failed', `repeat: after ${max} times it is not so that ${source}`) }
}
