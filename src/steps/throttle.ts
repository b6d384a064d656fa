import { Batch } from '../contracts/batch.ts'
import { contentText } from '../contracts/codec.ts'
import type { PartContext } from '../contracts/context.ts'
import type { Failures } from '../contracts/dataflow.ts'
import { defineStep, scopeOption } from '../contracts/define.ts'
import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Message } from '../contracts/message.ts'
import { duration, type Expression, expr, z } from '../contracts/schema.ts'
import { keptKey } from '../util/kept-key.ts'
import { formatDuration } from '../util/units.ts'
import { hold } from './hold.ts'
import { identityOf } from './identity.ts'
import { RateLimit } from './rate-limit.ts'

const options = z.strictObject({
  max: z.int().min(1).describe('How many messages may pass in the time that `every` says.'),
  every: duration()
    .prefault('1s')
    .refine((time) => time > 0, 'a rate needs a time, such as 1s')
    .describe('The time for max. Default: 1s.'),
  burst: z
    .int()
    .min(1)
    .optional()
    .describe(
      'How many may pass at once after a pause. 1 spaces messages evenly: with max 10 there are 100ms between two. Default: max.',
    ),
  per: expr()
    .optional()
    .describe(
      'An expression: messages for which it gives the same share a limit, as with `client.ip`. Default: all do.',
    ),
  whenFull: z
    .enum(['wait', 'drop', 'error'])
    .default('wait')
    .describe(
      'What becomes of a message that comes too soon: `wait` holds it back, and its connection with it; `drop` ends it, through `else` where there is one; `error` fails it with `rate_exceeded`. Default: wait.',
    ),
  maxKeys: z
    .int()
    .min(1)
    .max(10_000_000)
    .default(100_000)
    .describe(
      'With per: most keys that are limited at the same time. A message with one more fails with `rate_exceeded`, or is dropped. Default: 100000.',
    ),
  ...scopeOption,
})

type Options = z.output<typeof options>

/** Lets so many messages pass in a time. */
export const throttle = defineStep({
  name: 'throttle',
  summary: 'Lets so many messages pass in a time; the others wait, are dropped, or fail.',
  details: `For a destination that takes only so much, or a sender that sends too much. The limit is a token bucket: after a pause up to \`burst\` messages pass at once. It holds for all connections of the endpoint together, unless \`per\` says otherwise: \`per: client.id\` limits each connection.

With \`whenFull: wait\` messages pass in the order in which they came, one in a run, and a sender that goes on sending is held back when \`limits.maxQueued\` bytes wait. Nothing is stored meanwhile. When the server stops, it waits up to the deadline of the stop; what is then still held back has failed with \`step_timeout\`.

A reload that leaves the step as it is leaves its buckets, too; after another each is full again.`,
  options,
  short: 'max',
  alsoCalled: ['rateLimit', 'limit', 'rate'],
  examples: [
    { title: 'At most ten a second', config: { throttle: 10 }, given: ['a', 'b'], gives: ['a', 'b'] },
    {
      title: 'One a minute from each device, the rest is told so',
      config: {
        throttle: { max: 1, every: '1m', per: 'msg.device', whenFull: 'drop' },
        else: [{ reply: 'too soon' }],
      },
      given: [{ device: 'a' }, { device: 'a' }, { device: 'b' }],
      gives: [{ device: 'a' }, { device: 'b' }],
      replies: ['too soon'],
    },
  ],
  spansConnections: true,
  drops: ({ whenFull }) => whenFull === 'drop',
  waits: ({ whenFull }) => whenFull === 'wait',
  promise(given) {
    const { max, every, per, whenFull } = given
    const each = per === undefined ? '' : ` for each ${per.source}`
    return `lets ${max} messages pass in ${formatDuration(every)}${each}, ${burstOf(given)} at once; ${WHEN_FULL[whenFull]}`
  },
  create(given, context) {
    const rate = { ...given, burst: burstOf(given) }
    const shared = context.share(`throttle ${identityOf(given, context)}`, () => new RateLimit(rate, given.maxKeys))
    const { value: limit, release: close } = shared
    const { whenFull, per } = given
    if (whenFull === 'wait') {
      return { runBatch: (batch, failures) => waitForEach(batch, per, limit, context, failures), close }
    }
    return {
      close,
      run(message) {
        const passes = limit.take(keyOf(message, per), context.clock.elapsed())
        if (passes === true) return message
        if (whenFull === 'drop') return undefined
        throw passes === undefined
          ? tooManyKeys()
          : new SluiceError('rate_exceeded', tooSoon(given), { retryable: true })
      },
    }
  },
})

const WHEN_FULL = {
  wait: 'others wait, and their connections with them',
  drop: 'others are dropped',
  error: 'others fail',
} as const

function burstOf({ burst, max }: Options): number {
  return burst ?? max
}

/** One after the other, in their order. */
async function waitForEach(
  { messages }: Batch,
  per: Expression | undefined,
  limit: RateLimit,
  context: PartContext,
  failures: Failures,
): Promise<Batch> {
  const passed: Message[] = []
  for (const message of messages) {
    try {
      const time = limit.reserve(keyOf(message, per), context.clock.elapsed())
      if (time === undefined) throw tooManyKeys()
      if (time > 0) await hold(context, time, failures.signal)
      passed.push(message)
    } catch (thrown) {
      failures.add(message, toSluiceError(thrown))
    }
  }
  return Batch.of(passed)
}

function keyOf(message: Message, per: Expression | undefined): string {
  return per === undefined ? '' : keptKey(contentText(per(message)).toString('latin1'))
}

function tooSoon({ max, every, per }: Options): string {
  return `more than ${max} messages in ${formatDuration(every)}${per === undefined ? '' : ` for one ${per.source}`}`
}

function tooManyKeys(): SluiceError {
  const hint = 'Raise maxKeys, or group more messages under one key.'
  return new SluiceError('rate_exceeded', 'more keys are limited at once than maxKeys allows', {
    retryable: true,
    hint,
  })
}
