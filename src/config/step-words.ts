import type { Expression } from '../contracts/schema.ts'
import { describeOptions } from '../registry/options-schema.ts'
import { type EndpointPlan, PlannedDataflow, type StepPlan } from './planned.ts'
import { isMapping } from './shape.ts'

/** Steps that stand inside the options of a step. */
export interface NestedSteps {
  /** What tells them from others of the same step: a name or a condition. '' when they are all of the options. */
  readonly label: string
  readonly steps: readonly StepPlan[]
}

/** All dataflows in the options of a step, wherever they are, in the order in which they are written. */
export function nestedIn(options: unknown, label = ''): NestedSteps[] {
  if (options instanceof PlannedDataflow) return [{ label, steps: options.steps }]
  if (Array.isArray(options)) return options.flatMap((item) => nestedIn(item, label))
  if (!isMapping(options)) return []
  const conditions = Object.entries(options).flatMap(([key, value]) =>
    isExpression(value) ? [`${key} ${showText(value.source)}`] : [],
  )
  return Object.entries(options).flatMap(([key, value]) => nestedIn(value, conditions.join(', ') || key))
}

/** What a definition says of a step: always the same, or by its options. */
export function isTrueFor(said: boolean | ((options: never) => boolean) | undefined, options: unknown): boolean {
  return typeof said === 'function' ? said(options as never) : said === true
}

/** All steps of an endpoint, also those that stand inside others. */
export function stepsOf(endpoint: EndpointPlan): StepPlan[] {
  return allSteps(dataflowsOf(endpoint))
}

/** The steps of a dataflow, and after each those that stand inside it. */
export function allSteps(dataflow: readonly StepPlan[]): StepPlan[] {
  return dataflow.flatMap((step) => [
    step,
    ...allSteps([...(step.otherwise ?? []), ...(step.onError ?? [])]),
    ...nestedIn(step.options).flatMap(({ steps }) => allSteps(steps)),
  ])
}

/** The steps of all dataflows of an endpoint, one after the other, in the order in which they are created. */
export function dataflowsOf(endpoint: EndpointPlan): readonly StepPlan[] {
  const { dataflow = [], onError = [] } = endpoint
  if (endpoint.kind === 'subscribe' || endpoint.kind === 'schedule') return [...onError, ...dataflow]
  const { onConnect = [], onDisconnect = [] } = endpoint
  const relay = endpoint.kind === 'listen' ? endpoint.relay : undefined
  const { toServer = [], toClient = [] } = relay ?? {}
  const { compare = [] } = relay?.mirror ?? {}
  return [...onError, ...dataflow, ...onConnect, ...onDisconnect, ...toServer, ...toClient, ...compare]
}

/** What a step writes, as it is in the configuration: `"OK ${msg.id}"`. Undefined when it writes nothing. */
export function contentOf({ definition, options }: StepPlan): string | undefined {
  if (!isMapping(options)) return undefined
  if (definition.kind === 'step' && definition.inWords !== undefined) return definition.inWords(options)
  for (const [key, value] of Object.entries(options)) {
    if (!isExpression(value) || !(key === definition.short || CONTENTS.has(key))) continue
    const shown = value.isFunction === true ? 'what your function gives' : `"${showText(value.source)}"`
    return key === definition.short ? shown : `${key} ${shown}`
  }
  return undefined
}

/** Options that say what a step writes or waits for. */
const CONTENTS: ReadonlySet<string> = new Set(['text', 'value', 'raw', 'match'])

/** The expression that is all of a step's options. */
export function sourceOf(options: unknown): string | undefined {
  return isExpression(options) ? showText(options.source) : undefined
}

/** Where a sink delivers to: its first options that name something, secrets not among them. */
export function targetOf({ definition, options }: StepPlan): string {
  if (!isMapping(options)) return ''
  const properties = describeOptions(definition.options).properties ?? {}
  const names = Object.entries(properties).flatMap(([name, { marker, type, default: standard }]) => {
    const value = options[name]
    if (marker === 'pathTemplate') return isExpression(value) ? [value.source] : []
    const isName = marker === undefined && standard === undefined && (type === 'string' || type === 'integer')
    return isName && (typeof value === 'string' || typeof value === 'number') ? [String(value)] : []
  })
  return names.slice(0, 2).join(' ')
}

/** Whether a function of a TypeScript configuration is among the options; those of nested steps are theirs. */
export function isFunctionIn(options: unknown): boolean {
  if (isExpression(options)) return options.isFunction === true
  if (Array.isArray(options)) return options.some(isFunctionIn)
  return isMapping(options) && Object.values(options).some(isFunctionIn)
}

function isExpression(value: unknown): value is Expression {
  return typeof value === 'function' && 'source' in value && typeof value.source === 'string'
}

/** On one line, with what cannot be seen as an escape. */
function showText(text: string): string {
  return text
    .replaceAll('\r', '\\r')
    .replaceAll('\n', '\\n')
    .replaceAll('\t', '\\t')
    .replaceAll(/\p{Cc}/gu, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`)
}
