import type { EndpointPlan, StepPlan } from './planned.ts'
import type { Report } from './report.ts'
import { isMapping } from './shape.ts'
import { stepsOf } from './step-words.ts'

/** Reports steps that remember something for several connections where these are spread over several workers. */
export function checkScopes(workers: number, endpoints: readonly EndpointPlan[], report: Report): void {
  if (workers === 1) return
  // Two endpoints may use one step, written once.
  const written = new Map(
    // All connections of an endpoint that dials are in one worker.
    endpoints.filter(({ kind }) => kind === 'listen').flatMap((one) => stepsOf(one).map((step) => [step.id, step])),
  )
  for (const { name, path, options } of Array.from(written.values()).filter(needsScope)) {
    const message = `${name} remembers for all connections, and each of ${workers} workers would remember for its own only`
    const hint = `write scope: worker in ${name} if that is enough, or workers: 1`
    report.add({ code: 'SCOPE_MISSING', path: isMapping(options) ? [...path, name] : path, at: 'key', message, hint })
  }
}

function needsScope({ definition, options }: StepPlan): boolean {
  if (definition.kind !== 'step' || definition.spansConnections !== true) return false
  return !(isMapping(options) && options['scope'] === 'worker')
}
