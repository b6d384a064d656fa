import { contentText } from '../contracts/codec.ts'
import { defineStep, scopeOption } from '../contracts/define.ts'
import type { Message } from '../contracts/message.ts'
import { condition, duration, type Expression, expr, z } from '../contracts/schema.ts'
import { keepValue } from '../util/kept-value.ts'
import { formatDuration } from '../util/units.ts'
import { type Bucket, Holder, holderOptions } from './holder.ts'

/** Collects messages into one. */
export const group = defineStep({
  name: 'group',
  summary: 'Collects messages into one: a list of their values, or one text.',
  details: `For what belongs together and comes in pieces: the lines of a report, the positions of an order. A group ends with \`count\` messages, \`every\` after its first one, or with the message that \`until\` says; with several of them, by what comes first.

A message ends here, and counts as delivered, as soon as it is in its group. When the group ends, a new message goes on. It comes from no connection (\`event == "timer"\`), so a \`reply\` stands before this step.

**Groups are held in memory: a crash loses what is in them.** Store the messages before this step, or in a \`fork\`, where that matters. When the server stops, and when a reload changes this step, groups end early and go on first. What fails behind goes to the \`onError\` of its step, else to the dead letters.

The step stands in the dataflow of the endpoint itself. It groups the messages of all connections of the endpoint; \`per: client.id\` keeps them apart.`,
  options: z
    .strictObject({
      count: z.int().min(1).optional().describe('How many messages a group has.'),
      every: duration()
        .refine((time) => time > 0, 'a group needs a time, such as 5s')
        .optional()
        .describe('How long after its first message a group ends.'),
      until: condition()
        .optional()
        .describe('A condition: the message for which it is true is the last of its group, such as `msg == "END"`.'),
      per: expr()
        .optional()
        .describe(
          'An expression: messages for which it gives the same share a group, as with `client.id`. Default: all do.',
        ),
      join: z
        .string()
        .optional()
        .describe('The values become one text, with this between them. Default: a list of the values.'),
      maxHeld: z
        .int()
        .min(1)
        .max(10_000_000)
        .default(100_000)
        .describe('Most messages that are held in all groups; beyond it the oldest group ends early. Default: 100000.'),
      ...holderOptions,
      ...scopeOption,
    })
    .superRefine(({ count, every, until }, context) => {
      if (count !== undefined || every !== undefined || until !== undefined) return
      context.addIssue({ code: 'custom', message: 'count, every or until is missing, such as count: 10' })
    }),
  short: 'count',
  alsoCalled: ['collect', 'batch', 'join', 'merge'],
  examples: [
    {
      title: 'Pairs',
      config: { group: 2 },
      given: [1, 2],
      gives: [[1, 2]],
    },
    {
      title: 'Lines up to the last one, for each printer',
      config: { group: { until: 'msg.line == "END"', per: 'msg.printer' } },
      given: [
        { printer: 'a', line: 'x' },
        { printer: 'b', line: 'END' },
        { printer: 'a', line: 'END' },
      ],
      gives: [
        [{ printer: 'b', line: 'END' }],
        [
          { printer: 'a', line: 'x' },
          { printer: 'a', line: 'END' },
        ],
      ],
    },
  ],
  coversRest: true,
  holds: true,
  spansConnections: true,
  promise({ count, every, until, per }) {
    const ends = [count && `${count} messages`, every && formatDuration(every), until && `up to ${until.source}`]
    const end = ends.filter((one) => one !== undefined).join(' or ')
    const each = per === undefined ? '' : `, for each ${per.source}`
    return `collects messages into one (${end}${each}); they are held in memory and count as delivered: a crash loses them`
  },
  create(given, context) {
    const { count = Number.POSITIVE_INFINITY, every, until, per, join, maxHeld, maxSize } = given
    const open = () => new Group(count, until, join)
    return new Holder({ per, every, aligned: false, max: maxHeld, maxSize, open }, given, context)
  },
})

class Group implements Bucket {
  bytes = GROUP_COST
  readonly #values: unknown[] = []
  readonly #most: number
  readonly #until: Expression<boolean> | undefined
  readonly #join: string | undefined

  constructor(most: number, until: Expression<boolean> | undefined, join: string | undefined) {
    this.#most = most
    this.#until = until
    this.#join = join
  }

  get size(): number {
    return this.#values.length
  }

  add(message: Message): boolean {
    const isLast = this.#until?.(message) === true
    const { msg, raw } = message
    const { value, size } = keepValue(this.#join === undefined ? msg : contentText(msg).toString(), raw.length)
    this.#values.push(value)
    this.bytes += size
    return isLast || this.#values.length >= this.#most
  }

  value(): unknown {
    return this.#join === undefined ? this.#values : this.#values.join(this.#join)
  }
}

/** Bytes that a group takes besides its values, with its key. */
const GROUP_COST = 256
