import { duration, size, z } from './schema.ts'
import type { Batching } from './sink.ts'

/** What happens to a message for which a buffer has no room. */
export type WhenFull = 'wait' | 'drop' | 'error'

/** What stands between a step and its sink. */
export interface BufferOptions {
  readonly kind: 'memory' | 'disk'
  /** Most bytes that may wait. */
  readonly maxSize: number
  /** Milliseconds after which a message is given up; 0 for never. */
  readonly maxAge: number
  readonly whenFull: WhenFull
}

/** How a sink is delivered to, as its options say: beside what is the sink's own. */
export interface DeliveryOptions extends Partial<Batching> {
  /** Undefined for none. */
  readonly buffer?: BufferOptions | undefined
}

/** {@link DeliveryOptions} as a user writes them. */
export interface DeliveryInput {
  readonly buffer?: z.input<ReturnType<typeof bufferOption>>
  readonly maxBatch?: number
  readonly maxWait?: string | false
  readonly maxInFlight?: number
}

/** The defaults of a sink that takes merged writes. */
export type BatchingDefaults = Pick<Batching, 'maxBatch'> & Partial<Batching>

/**
 * Adds to the options of a sink those that every sink has.
 * @param options a mapping
 * @param batching given where the sink takes merged writes
 */
export function withDeliveryOptions(options: z.ZodType, batching: BatchingDefaults | undefined): z.ZodType {
  if (!(options instanceof z.ZodObject))
    throw new TypeError('the options of a sink are a mapping: z.strictObject({ … })')
  return options.safeExtend({ ...(batching && batchingOptions(batching)), buffer: bufferOption() })
}

function bufferOption() {
  const whenFull = z
    .enum(['wait', 'drop', 'error'])
    .default('wait')
    .describe(
      'What happens when there is no room: `wait` holds the senders back, `drop` loses the message and counts it, ' +
        '`error` fails the message. Default: wait.',
    )
  const memory = z.strictObject({
    maxSize: size().prefault('64MiB').describe('Most bytes that may wait. Default: 64MiB.'),
    whenFull,
  })
  const disk = z.strictObject({
    maxSize: size().prefault('10GiB').describe('Most bytes that may wait. Default: 10GiB.'),
    maxAge: duration({ off: true })
      .prefault('off')
      .describe('Time after which a message that could not be delivered goes to the dead letters. Default: off.'),
    whenFull,
  })
  return z
    .union([
      z.enum(['none', 'memory', 'disk']),
      z.strictObject({ memory: memory.describe('Wait in memory.') }),
      z.strictObject({ disk: disk.describe('Wait on disk.') }),
    ])
    .transform((given): BufferOptions | undefined => {
      if (given === 'none') return undefined
      if (given === 'memory') return { kind: 'memory', maxAge: 0, ...memory.parse({}) }
      if (given === 'disk') return { kind: 'disk', ...disk.parse({}) }
      return 'memory' in given ? { kind: 'memory', maxAge: 0, ...given.memory } : { kind: 'disk', ...given.disk }
    })
    .optional()
    .describe(
      'What may stand between this step and its destination. `none`: the step has finished when the destination has ' +
        'confirmed. `memory`: when the message is queued; a crash loses it. `disk`: when it is on the disk, and it is ' +
        'delivered behind that, in order, for as long as it takes; the step then needs an `id`. Default: none.',
    )
}

function batchingOptions({ maxBatch, maxWait = 0, maxInFlight = 1 }: BatchingDefaults) {
  const wait = maxWait === 0 ? 'off' : `${maxWait}ms`
  return {
    maxBatch: z
      .int()
      .min(1)
      .max(MOST)
      .default(maxBatch)
      .describe(`Most messages of one write; those of many connections are written together. Default: ${maxBatch}.`),
    maxWait: duration({ off: true })
      .prefault(wait)
      .describe(`How long a write that is not full waits for more messages. Default: ${wait}.`),
    maxInFlight: z
      .int()
      .min(1)
      .max(MOST)
      .default(maxInFlight)
      .describe(
        `Most writes that are under way at once; the messages of one connection keep their order. Default: ${maxInFlight}.`,
      ),
  }
}

const MOST = 100_000
