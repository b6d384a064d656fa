import type { SourceSpec } from '../source/spec.ts'
import { createTimer } from '../source/timer.ts'
import { buildDataflow } from './build-dataflow.ts'
import { type Building, createScope } from './build-scope.ts'
import { createPartContext } from './part-context.ts'
import { placed } from './placed.ts'
import type { SourcePlan } from './planned.ts'
import { formatPath } from './problems.ts'

/** Builds an endpoint without connections: a subscription, or an entry of `schedule:`. */
export async function buildSource(plan: SourcePlan, building: Building): Promise<SourceSpec> {
  const scope = createScope(plan, building)
  const { codec, entryPoints } = scope
  const { name, counters } = plan
  // First, because what cannot be delivered from a buffer ends there.
  scope.onError = await buildDataflow(plan.onError, scope)
  const dataflow = await buildDataflow(plan.dataflow, scope, plan.key)
  entryPoints.dataflow = dataflow
  const spec = { name, format: plan.formatIn, codec, dataflow, onError: scope.onError, counters }
  if (plan.kind === 'schedule') {
    const { timing } = plan
    const { events, clock } = building.world
    const subscription = createTimer(timing, clock, () => events.emit('schedule.skipped', { endpoint: name }))
    return { ...spec, kind: 'schedule', maxQueued: 0, subscription, identity: timing }
  }
  const { maxQueued, identity, definition, options } = plan
  const context = createPartContext(formatPath(plan.path), scope)
  const subscription = await placed(plan, definition.name, () => definition.create(options, context))
  return { ...spec, kind: 'subscribe', maxQueued, subscription, identity }
}
