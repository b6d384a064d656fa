import { defineStep, scopeOption } from '../contracts/define.ts'
import type { Message } from '../contracts/message.ts'
import { duration, expr, withoutProto, z } from '../contracts/schema.ts'
import { type Kept, keepValue } from '../util/kept-value.ts'
import { formatDuration } from '../util/units.ts'
import { type Bucket, Holder, holderOptions } from './holder.ts'
import { type Accumulator, accumulatorFor, windowValue } from './window-values.ts'

/** What every window gives. */
const OWN = ['key', 'from', 'to']

const options = z
  .strictObject({
    every: duration()
      .refine((time) => time > 0, 'a window needs a time, such as 1m')
      .optional()
      .describe('How long a window is. Windows end at multiples of it in UTC: those of `1m` at full minutes.'),
    count: z.int().min(1).optional().describe('How many messages a window has. With every: what comes first ends it.'),
    per: expr()
      .optional()
      .describe(
        'An expression: messages for which it gives the same share a window, as with `msg.device`. Default: all do.',
      ),
    values: withoutProto(z.record(z.string(), windowValue))
      .default({ count: 'count' })
      .describe(
        'What is found out, by name: `count`, or `{ sum: … }`, `{ min: … }`, `{ max: … }`, `{ avg: … }`, `{ first: … }`, `{ last: … }` with an expression. Default: `{ count: count }`.',
      ),
    maxKeys: z
      .int()
      .min(1)
      .max(1_000_000)
      .default(10_000)
      .describe('Most windows that are open at once; beyond it the oldest ends early. Default: 10000.'),
    ...holderOptions,
    ...scopeOption,
  })
  .superRefine(({ every, count, values }, context) => {
    if (every === undefined && count === undefined) {
      context.addIssue({ code: 'custom', message: 'every or count is missing, such as every: 1m' })
    }
    for (const name of OWN.filter((own) => Object.hasOwn(values, own))) {
      const message = `${name} is what every window gives; choose another name`
      context.addIssue({ code: 'custom', message, path: ['values', name] })
    }
  })

type Options = z.output<typeof options>

/** Makes one message of those of a time. */
export const window = defineStep({
  name: 'window',
  summary:
    'Makes one message of all that came in a time or of a number of them: how many, sum, mean, smallest, greatest, first, last.',
  details: `A message ends here, and counts as delivered, as soon as it is in its window. When the window ends, a new message goes on: an object with \`values\`, with \`from\` and \`to\`, the times of its first and last message, and with \`key\`, what \`per\` gave. It comes from no connection (\`event == "timer"\`), so a \`reply\` stands before this step. A time in which nothing came gives no message.

Values that are missing are left out of sum, min, max and avg, and what is no number fails the message.

**Windows are held in memory: a crash loses what is in them.** Store the messages before this step, or in a \`fork\`, where that matters. When the server stops, and when a reload changes this step, windows end early and go on first. What fails behind goes to the \`onError\` of its step, else to the dead letters.

The step stands in the dataflow of the endpoint itself. It makes windows of the messages of all connections of the endpoint; \`per: client.id\` keeps them apart.`,
  options,
  alsoCalled: ['aggregate', 'summarize', 'reduce'],
  examples: [
    {
      title: 'The mean of three',
      config: { window: { count: 3, values: { n: 'count', mean: { avg: 'msg.temp' }, hottest: { max: 'msg.temp' } } } },
      given: [{ temp: 20 }, { temp: 21 }, { temp: 25 }],
      gives: [
        { from: new Date('2026-01-01T00:00:00Z'), to: new Date('2026-01-01T00:00:00Z'), n: 3, mean: 22, hottest: 25 },
      ],
    },
  ],
  coversRest: true,
  holds: true,
  spansConnections: true,
  promise: ({ every, count, per }) =>
    `makes one message of those of ${endOf({ every, count })}${per === undefined ? '' : `, for each ${per.source}`}; ` +
    'they are held in memory and count as delivered: a crash loses them',
  create(given, context) {
    const makers = Object.entries(given.values).map(([name, value]) => [name, accumulatorFor(value)] as const)
    const { per, every, count = Number.POSITIVE_INFINITY, maxKeys, maxSize } = given
    const open = (key: unknown, { raw }: Message) => {
      const values = new Map(makers.map(([name, make]) => [name, make()]))
      return new Window(keepValue(key, raw.length), values, count)
    }
    return new Holder({ per, every, aligned: true, max: maxKeys, maxSize, open }, given, context)
  },
})

/** "1m", "100 messages" or both. */
function endOf({ every, count }: Pick<Options, 'every' | 'count'>): string {
  const ends = [every && formatDuration(every), count && `${count} messages`]
  return ends.filter((end) => end !== undefined).join(' or ')
}

class Window implements Bucket {
  readonly size = 1
  readonly #key: Kept
  readonly #values: ReadonlyMap<string, Accumulator>
  readonly #most: number
  #count = 0
  #from = 0
  #to = 0

  constructor(key: Kept, values: ReadonlyMap<string, Accumulator>, most: number) {
    this.#key = key
    this.#values = values
    this.#most = most
  }

  get bytes(): number {
    let bytes = WINDOW_COST + this.#key.size
    for (const value of this.#values.values()) bytes += value.bytes
    return bytes
  }

  add(message: Message): boolean {
    // All are read before the first is added, so that a message which fails has left no trace.
    const read = Array.from(this.#values.values(), (value) => value.read(message))
    let i = 0
    for (const value of this.#values.values()) value.add(read[i++])
    if (this.#count === 0) this.#from = message.time
    this.#to = message.time
    return ++this.#count >= this.#most
  }

  value(): unknown {
    const key = this.#key.value
    const values = Array.from(this.#values, ([name, { result }]) => [name, result] as const)
    const own = { from: new Date(this.#from), to: new Date(this.#to) }
    return { ...(key === undefined ? {} : { key }), ...own, ...Object.fromEntries(values) }
  }
}

/** Bytes that a window takes besides its key and its values. */
const WINDOW_COST = 512
