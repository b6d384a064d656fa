import type { PartDefinition, StepDefinition } from '../contracts/define.ts'
import type { DeliveryOptions } from '../contracts/delivery.ts'
import type { Place } from './place.ts'
import type { ConfigPath } from './problems.ts'
import type { Report } from './report.ts'

/** What stands beside the key that names a step, as it is written. */
type Siblings = Readonly<Record<string, unknown>>

/**
 * Reports a step that cannot do its work where it stands, and siblings that have no meaning beside it.
 * @param path of the step
 */
export function checkPlace(
  definition: PartDefinition,
  siblings: Siblings,
  path: ConfigPath,
  place: Place,
  report: Report,
): void {
  const { kind, name } = definition
  if (kind === 'step') checkWhole(definition, siblings, path, place, report)
  const unanswerable = kind === 'step' && definition.answers === true ? place.unanswerable?.(definition) : undefined
  if (unanswerable !== undefined) {
    report.add({ code: 'NO_CONNECTION', path: [...path, name], at: 'key', ...unanswerable })
  }
  if ('else' in siblings && !(kind === 'step' && definition.drops !== undefined)) {
    const message = `${name} drops no messages, so else has no meaning beside it`
    const hint = 'to choose between steps, use route'
    report.add({ code: 'KEY_UNKNOWN', path: [...path, 'else'], at: 'key', message, hint })
  }
  if ('retry' in siblings && kind === 'step') {
    const message = `${name} is no sink, so retry has no meaning beside it`
    report.add({ code: 'KEY_UNKNOWN', path: [...path, 'retry'], at: 'key', message })
  }
}

/**
 * Reports a step without `id` that needs one: what outlives the server must have a name that outlives a change of the
 * configuration.
 * @param path of the options, which ends with the name of the step
 */
export function requireId(definition: PartDefinition, options: unknown, path: ConfigPath, report: Report): void {
  const hint = `write id: NAME beside ${path.at(-1)}, and keep it when you change the configuration`
  if (definition.kind === 'sink' && (options as DeliveryOptions).buffer?.kind === 'disk') {
    const message = 'a step with a disk buffer needs an id, under which its messages are found again after a restart'
    report.add({ code: 'ID_MISSING', path: [...path, 'buffer'], at: 'key', message, hint })
  } else if (definition.kind === 'step' && definition.persists === true) {
    const message = `${definition.name} needs an id, under which what it keeps is found again after a restart`
    report.add({ code: 'ID_MISSING', path, at: 'key', message, hint })
  }
}

/** What a step asks of the endpoint whose messages it follows to their end. */
function checkWhole(
  { name, coversRest = false, needsKey = false }: StepDefinition,
  siblings: Siblings,
  path: ConfigPath,
  { whole }: Place,
  report: Report,
): void {
  if (coversRest && whole === undefined) {
    const message = `${name} follows messages to the end of the dataflow, and here it cannot see that end`
    const hint = `move ${name} to the dataflow of the endpoint itself, out of any other step`
    report.add({ code: 'STEP_MISPLACED', path: [...path, name], at: 'key', message, hint })
  } else if (needsKey && whole?.hasKey === false) {
    const message = `${name} knows a message by its key, and the endpoint has no key`
    const hint =
      'write key: beside the dataflow, an expression that gives the same when a message is sent again, such as msg.id'
    report.add({ code: 'KEY_MISSING', path: [...path, name], at: 'key', message, hint })
  }
  for (const sibling of coversRest ? ['if', 'timeout', 'onError'] : []) {
    if (!(sibling in siblings)) continue
    const message = `${sibling} has no meaning beside ${name}, because it would apply to all steps behind it too`
    report.add({ code: 'KEY_UNKNOWN', path: [...path, sibling], at: 'key', message })
  }
}
