import type { Dataflow } from '../contracts/dataflow.ts'
import type { SinkDefinition } from '../contracts/define.ts'
import type { BufferOptions, DeliveryOptions } from '../contracts/delivery.ts'
import type { Batching, Sink } from '../contracts/sink.ts'
import type { Delivery } from '../delivery/deliverer.ts'
import { withLateDeliveries } from '../delivery/late-deliveries.ts'
import { withMerging } from '../delivery/merging.ts'
import { type RetryOptions, withRetry } from '../delivery/retry.ts'
import { type Buffered, createBuffered } from './buffers.ts'
import type { Scope } from './build-scope.ts'
import { createPartContext } from './part-context.ts'
import { placed } from './placed.ts'
import type { StepPlan } from './planned.ts'
import { createSettle } from './undelivered.ts'

/**
 * Creates a sink and what stands around it: merged writes, attempts, a buffer.
 * @param options those of the plan, with their dataflows bound
 * @param onError of its step, for what cannot be delivered from its buffer
 */
export async function buildSink(
  plan: StepPlan,
  definition: SinkDefinition,
  options: unknown,
  scope: Scope,
  onError: Dataflow | undefined,
): Promise<Sink> {
  const { opened, world } = scope.building
  const { events, signal } = world
  const sink = await placed(plan, plan.name, () => definition.create(options, createPartContext(plan.id, scope)))
  const merged = definition.batching === undefined ? sink : withMerging(sink, options as Batching)
  const retry: RetryOptions = {
    ...plan.retry,
    step: plan.id,
    signal,
    onRetry: (attempt, error, retryIn) => events.emit('sink.retried', { step: plan.id, attempt, error, retryIn }),
  }
  const onLate = (messages: number) => events.emit('sink.deliveredLate', { step: plan.id, messages })
  const { buffer } = options as DeliveryOptions
  if (buffer === undefined) {
    opened.add({ close: () => merged.close() })
    return withLateDeliveries(withRetry(merged, retry), onLate)
  }
  const buffered = await placed(plan, plan.name, () => putBuffer(plan, merged, buffer, retry, scope, onError))
  opened.add({ activate: () => buffered.activate(), close: () => buffered.sink.close() })
  return withLateDeliveries(buffered.sink, onLate)
}

/** Puts a buffer before a sink, which is closed where that is not possible. */
async function putBuffer(
  { id: step, name }: StepPlan,
  sink: Sink,
  buffer: BufferOptions,
  retry: RetryOptions,
  scope: Scope,
  onError: Dataflow | undefined,
): Promise<Buffered> {
  const { world, buffers, scopes } = scope.building
  const { clock, storage, data, events, deadLetters, share, signal: late } = world
  const around = { step, name, endpoint: scope.plan.name, clock, storage, data, share, events, late }
  // The uses of a shared dataflow, which may belong to several endpoints, have one buffer.
  const scopeOf = (endpoint: string) => scopes.get(endpoint) ?? scope
  const delivery: Delivery = {
    sink,
    buffer,
    retry,
    formatOf: (endpoint) => scopeOf(endpoint).plan.formatIn,
    settle: createSettle(around, buffer.kind, deadLetters, (endpoint) => {
      const { onError: ofEndpoint, plan } = scopeOf(endpoint)
      return { onError: onError ?? ofEndpoint, counters: plan.counters }
    }),
  }
  try {
    const buffered = await createBuffered(delivery, around)
    buffers.add(buffered.counters)
    return buffered
  } catch (thrown) {
    await sink.close()
    throw thrown
  }
}
