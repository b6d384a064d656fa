import { Batch } from '../contracts/batch.ts'
import type { PartContext } from '../contracts/context.ts'
import type { Failures } from '../contracts/dataflow.ts'
import { defineStep } from '../contracts/define.ts'
import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Message } from '../contracts/message.ts'
import { duration, type Expression, expr, z } from '../contracts/schema.ts'
import { formatDuration } from '../util/units.ts'
import { hold } from './hold.ts'

/** Holds messages back for a time. */
export const delay = defineStep({
  name: 'delay',
  summary: 'Holds a message back for a time, or until a time that stands in it.',
  details: `The messages behind it on the same connection wait too, so their order stays, and a sender that goes on sending is held back when \`limits.maxQueued\` bytes wait. Other connections do not wait. To space messages out, use [throttle](throttle.md).

Nothing is stored: a crash loses what waits, unless the sender sends again what was not answered. When the server stops, it waits up to the deadline of the stop; what is then still held back has failed with \`step_timeout\`, and goes to \`onError\` or the dead letters.`,
  options: z
    .strictObject({
      for: duration().optional().describe('How long, from when the message comes to this step.'),
      until: expr()
        .optional()
        .describe(
          'An expression that gives the time at which the message goes on, such as `msg.at`: a time, or a text in RFC 3339 such as `2026-01-31T08:00:00Z`. A time that has passed holds nothing back.',
        ),
      max: duration()
        .prefault('1h')
        .describe('With until: a message that would be held back longer fails at once. At most 24d. Default: 1h.'),
    })
    .superRefine(({ for: time, until }, context) => {
      if ((time === undefined) !== (until === undefined)) return
      const message = time === undefined ? 'for or until is missing, such as delay: 5s' : 'only one of for and until'
      context.addIssue({ code: 'custom', message })
    }),
  short: 'for',
  alsoCalled: ['sleep', 'wait', 'pause'],
  examples: [
    { title: 'A pause before the answer', config: { delay: '200ms' }, given: ['a', 'b'], gives: ['a', 'b'] },
    {
      title: 'Until a time in the message; what names none fails',
      config: { delay: { until: 'msg.at' } },
      given: [{ at: '2026-01-01T00:10:00Z' }, { at: '2025-12-31T00:00:00Z' }, { at: 'soon' }],
      gives: [{ at: '2026-01-01T00:10:00Z' }, { at: '2025-12-31T00:00:00Z' }],
    },
  ],
  waits: true,
  promise: ({ for: time, until, max }) =>
    until === undefined
      ? `holds each message back for ${formatDuration(time!)}`
      : `holds each message back until ${until.source}, at most ${formatDuration(max)}`,
  create({ for: time, until, max }, context) {
    return {
      async runBatch(batch, failures) {
        if (until !== undefined)
          return holdEach(batch, (message) => timeUntil(message, until, max, context), context, failures)
        await hold(context, time!, failures.signal)
        return batch
      },
    }
  },
})

/** One after the other, so that their order stays. */
async function holdEach(
  { messages }: Batch,
  timeOf: (message: Message) => number,
  context: PartContext,
  failures: Failures,
): Promise<Batch> {
  const passed: Message[] = []
  for (const message of messages) {
    try {
      await hold(context, timeOf(message), failures.signal)
      passed.push(message)
    } catch (thrown) {
      failures.add(message, toSluiceError(thrown))
    }
  }
  return Batch.of(passed)
}

/** @returns milliseconds; 0 or less where it has come already */
function timeUntil(message: Message, until: Expression, max: number, { clock }: PartContext): number {
  const value = until(message)
  const time = value instanceof Date ? value.getTime() : typeof value === 'string' ? parseTime(value) : Number.NaN
  if (Number.isNaN(time)) {
    const hint = 'Give a time, such as parseTime(msg.at, "DD.MM.YYYY HH:mm"), or a text such as 2026-01-31T08:00:00Z.'
    throw new SluiceError('step_failed', `until gives no time: ${until.source}`, { hint })
  }
  const left = time - clock.now()
  if (left <= max) return left
  const text = `the message would be held back for ${formatDuration(Math.round(left))}, and max is ${formatDuration(max)}`
  throw new SluiceError('step_failed', text)
}

/** Milliseconds since 1970 of an RFC 3339 text, which names its offset; NaN for any other. */
function parseTime(text: string): number {
  return /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/.test(text) ? Date.parse(text) : Number.NaN
}
