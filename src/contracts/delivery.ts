import { duration, z } from './schema.ts'
import type { Batching } from './sink.ts'

/** How a sink is delivered to, as its options say: beside what is the sink's own. */
export type DeliveryOptions = Partial<Batching>

/** {@link DeliveryOptions} as a user writes them. */
export interface DeliveryInput {
  readonly maxBatch?: number
  readonly maxWait?: string | false
  readonly maxInFlight?: number
}

/**
 * Adds to the options of a sink those that every sink has.
 * @param options a mapping
 * @param batching given where the sink takes merged writes
 */
export function withDeliveryOptions(
  options: z.ZodType,
  batching: (Pick<Batching, 'maxBatch'> & Partial<Batching>) | undefined,
): z.ZodType {
  if (batching === undefined) return options
  if (!(options instanceof z.ZodObject))
    throw new TypeError('the options of a sink are a mapping: z.strictObject({ … })')
  return options.safeExtend(batchingOptions(batching))
}

function batchingOptions({ maxBatch, maxWait = 0, maxInFlight = 1 }: Pick<Batching, 'maxBatch'> & Partial<Batching>) {
  return {
    maxBatch: z
      .int()
      .min(1)
      .max(MOST)
      .default(maxBatch)
      .describe(`Most messages of one write; those of many connections are written together. Default: ${maxBatch}.`),
    maxWait: duration({ off: true })
      .prefault(maxWait === 0 ? 'off' : `${maxWait}ms`)
      .describe(
        `How long a write that is not full waits for more messages. Default: ${maxWait === 0 ? 'off' : `${maxWait}ms`}.`,
      ),
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
