import type { StepDefinition, SubscriptionDefinition } from '../contracts/define.ts'
import type { Expression } from '../contracts/schema.ts'
import { type Registry, subscribeKeys } from '../registry/registry.ts'
import { nearest } from './cures.ts'
import type { Place, Unanswerable } from './place.ts'
import type { SubscribePlan } from './planned.ts'
import type { Planner } from './planner.ts'
import type { ConfigPath } from './problems.ts'
import type { Report } from './report.ts'
import { subscribeSchema } from './schema-sources.ts'

/** Plans an entry of `subscribe:`. @returns undefined when there is a mistake that leaves nothing to plan */
export function planSubscribe(
  name: string,
  entry: Readonly<Record<string, unknown>>,
  planner: Planner,
  registry: Registry,
  report: Report,
): SubscribePlan | undefined {
  const path = ['subscribe', name]
  const isBeside = (key: string) => (subscribeKeys as readonly string[]).includes(key)
  const keys = Object.keys(entry)
  const beside = Object.fromEntries(keys.filter(isBeside).map((key) => [key, entry[key]]))
  const definition = findSubscription(
    keys.filter((key) => !isBeside(key)),
    path,
    registry,
    report,
  )
  const given = planner.parts.validated(subscribeSchema, beside, path)?.output
  const counters = planner.countersOf(name)
  const place: Place = { within: [], counters }
  const written = definition && { name: definition.name, options: entry[definition.name] }
  const read = written && planner.subscription(definition, written, [...path, definition.name], place)
  if (given === undefined) return undefined
  const { unanswerable, identifies } = definition ?? {}
  const inside: Place = {
    ...place,
    unanswerable: (step) => (read === undefined ? undefined : notHere(step, name, unanswerable?.(read.options))),
  }
  const hasKey = given.key !== undefined || (read !== undefined && identifies?.(read.options) === true)
  const key = planner.resolve(given.key, [...path, 'key'], place) as Expression | undefined
  const dataflow = planner.steps(given.dataflow, [...path, 'dataflow'], { ...inside, whole: { hasKey } })
  const onError = planner.steps(given.onError, [...path, 'onError'], inside)
  if (dataflow === undefined && !report.isWrong([...path, 'dataflow'])) {
    const message = `${name} does nothing with its messages`
    const hint = 'add dataflow: with at least one step'
    report.add({ code: 'DATAFLOW_MISSING', severity: 'warning', path, at: 'key', message, hint })
  }
  const format = planner.parts.formats(given.format, [...path, 'format'])
  // A message of a broker is whole already.
  const framing = planner.parts.framing('raw', [])
  if (definition === undefined || read === undefined || format === undefined || framing === undefined) return undefined
  return {
    kind: 'subscribe',
    name,
    path,
    position: report.positionOf(path),
    definition,
    options: read.options,
    identity: [definition.name, read.written],
    framingOut: framing.part,
    formatIn: format.in.part,
    formatOut: format.out.part,
    formatWords: { in: format.in.words, out: format.out.words },
    key,
    dataflow,
    onError,
    maxQueued: given.limits.maxQueued,
    written: planner.parts.takeWritten(),
    counters,
  }
}

/** The part that the one key names which is no other's. */
function findSubscription(
  names: readonly string[],
  path: ConfigPath,
  registry: Registry,
  report: Report,
): SubscriptionDefinition | undefined {
  const known = registry.names('subscription')
  const found = names.flatMap((name) => registry.get('subscription', name) ?? [])
  const expected = `one of ${known.join(', ')}, with its options`
  const [first, another] = found
  if (another !== undefined) {
    const message = `${first!.name} and ${another.name} are subscriptions of their own, and stand in one`
    const hint = 'give each an entry of its own under subscribe'
    report.add({ code: 'SUBSCRIPTION_INVALID', path: [...path, another.name], at: 'key', message, hint })
  }
  const own = String(path[1])
  if (first === undefined && names.length > 0 && known.includes(own)) {
    const message = `${own} stands where the name of an endpoint should`
    report.add({
      code: 'SUBSCRIPTION_INVALID',
      path,
      at: 'key',
      message,
      hint: `write subscribe: { NAME: { ${own}: … } }`,
    })
    return undefined
  }
  for (const name of names.filter((one) => !known.includes(one))) {
    const choices = first === undefined ? [...known, ...subscribeKeys] : subscribeKeys
    const near = nearest(name, choices)
    const hint =
      near === undefined ? `there are ${(first === undefined ? known : choices).join(', ')}` : `did you mean ${near}?`
    const code = first === undefined ? 'SUBSCRIPTION_UNKNOWN' : 'KEY_UNKNOWN'
    const message =
      first === undefined ? `there is no subscription ${name}` : `${name} can not stand beside ${first.name}`
    const means = near === undefined ? undefined : [...path, near]
    report.add({ code, path: [...path, name], at: 'key', message, hint, means })
  }
  if (names.length === 0) {
    const message = `${path[1]} does not say what it subscribes to`
    report.add({ code: 'SUBSCRIPTION_INVALID', path, at: 'key', message, expected })
  }
  return another === undefined ? first : undefined
}

/** Why a step that needs its connection cannot do its work behind a subscription. */
function notHere(step: StepDefinition, name: string, unanswerable: Unanswerable | undefined): Unanswerable | undefined {
  // What follows a message to its end gives the answers of others, and may do without them.
  if (step.coversRest === true) return undefined
  if (step.closes !== true) return unanswerable
  return { message: `${step.name} ends a connection, and ${name} has none that is its own`, hint: 'take it away' }
}
