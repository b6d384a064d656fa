import type { Dataflow } from '../contracts/dataflow.ts'
import type { StepDefinition } from '../contracts/define.ts'
import type { Expression } from '../contracts/schema.ts'
import { createHooks } from '../delivery/burial.ts'
import type { StageSpec } from '../engine/dataflow.ts'
import { bindDataflows } from './bind-dataflows.ts'
import type { Scope } from './build-scope.ts'
import { buildSink } from './build-sink.ts'
import { type Behind, Level, type Place } from './entry-points.ts'
import { withKeys } from './keys.ts'
import { oneByOne } from './one-by-one.ts'
import { createPartContext } from './part-context.ts'
import { placed } from './placed.ts'
import type { StepPlan } from './planned.ts'
import { allSteps, isTrueFor } from './step-words.ts'

/**
 * Creates the steps and sinks of a dataflow of an endpoint and binds them.
 * @param key stands before the first step
 * @returns undefined where there is no dataflow
 * @throws what a part's `create` throws, with its place
 */
export async function buildDataflow(
  steps: readonly StepPlan[] | undefined,
  scope: Scope,
  key?: Expression,
): Promise<Dataflow | undefined> {
  if (steps === undefined) return undefined
  const { plan, keyStep } = scope
  const bound = await bindSteps(steps, scope)
  const whole = key === undefined ? bound : withKeys(bound, key, keyStep, plan.counters)
  // What fails in it comes to the onError of the endpoint in the same run.
  if (hasStep([...steps, ...(plan.onError ?? [])], ({ waits }, options) => isTrueFor(waits, options))) {
    return { ...oneByOne(whole), oneMessage: true }
  }
  return asItsSteps(steps, whole)
}

/** @param behind where a message goes that comes out of it; undefined when it ends there */
async function bindSteps(steps: readonly StepPlan[], scope: Scope, behind?: Behind): Promise<Dataflow> {
  const level = new Level(createHooks(scope.plan.counters, scope.building.world.events), behind)
  const stages: StageSpec[] = []
  for (const [index, step] of steps.entries()) {
    const place = { level, index }
    scope.entryPoints.add(step.id, place)
    stages.push(await buildStage(step, scope, place))
  }
  return level.bind(stages)
}

async function buildStage(plan: StepPlan, scope: Scope, place: Place): Promise<StageSpec> {
  const { definition, id, condition, timeout } = plan
  const { world, opened } = scope.building
  const around = {
    id,
    condition,
    timeout,
    otherwise: plan.otherwise && (await bindSteps(plan.otherwise, scope)),
    onError: plan.onError && (await bindSteps(plan.onError, scope)),
  }
  if (definition.kind === 'sink') {
    const replaced = world.replaceSink?.(plan)
    if (replaced !== undefined) return { ...around, sink: replaced }
    const options = await bindDataflows(plan.options, ({ steps }) => bindSteps(steps, scope))
    return { ...around, sink: await buildSink(plan, definition, options, scope, around.onError) }
  }
  const options = await bindDataflows(plan.options, async ({ steps }, path) => {
    const then = definition.afterInner?.(plan.options, path)
    const bound = await bindSteps(steps, scope, then === 'end' ? undefined : { place, then, word: plan.name })
    // A step may make several messages of the one that the dataflow around it has taken.
    return asItsSteps(steps, bound)
  })
  const step = await placed(plan, plan.name, () => definition.create(options, createPartContext(id, scope)))
  opened.add({ flush: () => step.flush?.(), close: () => step.close?.() })
  return { ...around, step }
}

/** One message after the other, where one of its steps asks for that. */
function asItsSteps(steps: readonly StepPlan[], bound: Dataflow): Dataflow {
  return hasStep(steps, (definition) => definition.oneByOne === true) ? oneByOne(bound) : bound
}

/** Whether a step, or one in a dataflow that it holds, is of a kind. */
function hasStep(steps: readonly StepPlan[], is: (definition: StepDefinition, options: unknown) => boolean): boolean {
  return allSteps(steps).some(({ definition, options }) => definition.kind === 'step' && is(definition, options))
}
