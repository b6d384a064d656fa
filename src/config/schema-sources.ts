import { dataflow, duration, expr, formatOption, size, z } from '../contracts/schema.ts'
import { isTimeZone } from '../util/daily.ts'
import { directions, messageDataflow, messageOnError } from './schema-options.ts'

/** What may stand beside the key that names a subscription; `subscribeKeys` of the registry lists the same keys. */
export const subscribeSchema = z.strictObject({
  format: directions(formatOption, 'Format')
    .prefault('text')
    .describe('How a payload becomes a value, and an answer a payload: a format, or { in, out }.'),
  key: expr()
    .optional()
    .describe(
      'What a message is known by when it is sent again: an expression. Default: what the broker itself knows it by, where ' +
        'it has such a name.',
    ),
  dataflow: messageDataflow(),
  onError: messageOnError(),
  limits: z
    .strictObject({
      maxQueued: size()
        .prefault('16MiB')
        .describe('Most bytes that may wait for the dataflow where the broker keeps nothing; what comes then is lost.'),
    })
    .prefault({})
    .describe('Bounds of the subscription.'),
})

const timeOfDay = z
  .string()
  .regex(/^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?$/, 'expected a time of day in quotes, such as "02:30"')
  .transform((text) => Date.parse(`1970-01-01T${text}Z`))

/** An entry of `schedule:`. */
export const scheduleSchema = z.strictObject({
  every: duration().optional().describe('Time from one run to the next. The first is when it has passed once.'),
  at: z
    .union([timeOfDay.transform((time) => [time]), z.array(timeOfDay).min(1)])
    .optional()
    .describe('Instead of every: a time of day, such as "02:30", or a list of them.'),
  timezone: z
    .string()
    .refine(isTimeZone, 'expected a time zone, such as Europe/Berlin')
    .optional()
    .describe('Time zone of at. Default UTC.'),
  runAtStart: z.boolean().prefault(false).describe('Run also when the server starts, or a reload brings the entry.'),
  format: directions(formatOption, 'Format')
    .prefault('text')
    .describe('What sinks that write bytes write with: a format.'),
  dataflow: dataflow()
    .optional()
    .describe('Steps that run, with event == "timer" and msg == null, or the name of an entry of dataflows.'),
  onError: dataflow().optional().describe('Steps for a run that failed, with error in scope. It ends there.'),
})

export type ScheduleOutput = z.output<typeof scheduleSchema>
