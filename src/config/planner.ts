import { EndpointCounters } from '../contracts/counters.ts'
import type { SubscriptionDefinition } from '../contracts/define.ts'
import { type Expression, Unresolved, type UserFunction } from '../contracts/schema.ts'
import { ExpressionError } from '../expression/expression-error.ts'
import type { Registry } from '../registry/registry.ts'
import { compile } from './compile.ts'
import type { EndpointNames } from './endpoint-names.ts'
import type { Environment } from './environment.ts'
import { PartPlanner } from './part-planner.ts'
import { functionStep, readStep, type Written } from './parts.ts'
import { behindHolder, idPath, insideStep, type Place } from './place.ts'
import { PlannedDataflow, type StepPlan } from './planned.ts'
import { type ConfigPath, formatPath } from './problems.ts'
import type { Report } from './report.ts'
import { siblingsSchema } from './schema-step.ts'
import { isMapping } from './shape.ts'
import { SharedDataflows } from './shared-dataflows.ts'
import { StepIds } from './step-ids.ts'
import { checkPlace, requireId } from './step-rules.ts'
import { truthHint } from './words.ts'

/** Counters by the name of their endpoint. */
export type CountersByName = ReadonlyMap<string, EndpointCounters>

/** Plans dataflows and whatever else waits in options to be resolved. Every mistake goes to the report, and planning goes on. */
export class Planner {
  readonly parts: PartPlanner
  readonly #registry: Registry
  readonly #report: Report
  readonly #env: Environment['env']
  readonly #shared: SharedDataflows
  readonly #ids: StepIds
  readonly #names: EndpointNames
  readonly #counters: CountersByName

  /** @param counters of endpoints that are known already: they go on counting there */
  constructor(
    registry: Registry,
    report: Report,
    environment: Environment,
    dataflows: Readonly<Record<string, readonly unknown[]>>,
    names: EndpointNames,
    counters: CountersByName,
  ) {
    this.parts = new PartPlanner(registry, report, environment)
    this.#registry = registry
    this.#report = report
    this.#env = environment.env
    this.#shared = new SharedDataflows(dataflows, report)
    this.#ids = new StepIds(report)
    this.#names = names
    this.#counters = counters
  }

  countersOf(endpoint: string): EndpointCounters {
    return this.#counters.get(endpoint) ?? new EndpointCounters()
  }

  /** Finds the mistakes of shared dataflows that nothing uses, and says so. To be called last. */
  finish(): void {
    this.#shared.reportUnused((name, steps) => {
      const place = { whole: { hasKey: true }, within: [name], counters: new EndpointCounters() }
      this.dataflow(steps, ['dataflows', name], place)
    })
  }

  /** @param value steps, or the name of a shared dataflow */
  dataflow(value: unknown, path: ConfigPath, place: Place): readonly StepPlan[] {
    if (typeof value === 'string') return this.#sharedDataflow(value, path, place)
    if (!Array.isArray(value)) return []
    const steps: StepPlan[] = []
    let here = place
    for (const [i, element] of value.entries()) {
      const step = this.#step(element, [...path, i], here)
      if (step === undefined) continue
      steps.push(step)
      if (step.definition.kind === 'step' && step.definition.holds) here = behindHolder(here, step.name)
    }
    return steps
  }

  /**
   * Reads a subscription and its options.
   * @returns undefined when there is a mistake, which has been reported; `written` are the options before they are resolved
   */
  subscription(
    definition: SubscriptionDefinition,
    written: Written,
    path: ConfigPath,
    place: Place,
  ): { readonly options: unknown; readonly written: unknown } | undefined {
    const errors = this.#report.errors
    const valid = this.parts.options(definition, written, path)
    if (valid === undefined) return undefined
    const options = this.resolve(valid.output, path, place)
    if (this.#report.errors === errors) this.parts.check(definition, options, path)
    return { options, written: valid.output }
  }

  /** Replaces all that waits to be resolved, wherever it is in a value. */
  resolve(value: unknown, path: ConfigPath, place: Place): unknown {
    if (value instanceof Unresolved) return this.#resolveOne(value, path, place)
    if (Array.isArray(value)) return value.map((item, i) => this.resolve(item, [...path, i], place))
    if (!isMapping(value)) return value
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, this.resolve(item, [...path, key], place)]),
    )
  }

  /** The steps of an option that may hold a dataflow. */
  steps(option: unknown, path: ConfigPath, place: Place): readonly StepPlan[] | undefined {
    return (this.resolve(option, path, place) as PlannedDataflow | undefined)?.steps
  }

  #resolveOne(waiting: Unresolved, path: ConfigPath, place: Place): unknown {
    const { kind, value } = waiting
    if (kind === 'dataflow') return new PlannedDataflow(this.dataflow(value, path, insideStep(place, path)))
    if (kind === 'endpoint') return this.#endpoint(String(value), path)
    if (kind === 'framing') return this.parts.framingOption(value, path)
    if (kind === 'format') return this.parts.format(value, path)?.part
    try {
      return compile(waiting, this.#env, place.counters)
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error
      const { message, start } = error
      const hint = (kind === 'condition' ? truthHint(String(value)) : undefined) ?? error.hint
      this.#report.add({ code: 'EXPRESSION_INVALID', path, message, hint, at: start })
      return undefined
    }
  }

  #endpoint(name: string, path: ConfigPath): string {
    this.#names.checkUse(name, path)
    return name
  }

  #sharedDataflow(name: string, path: ConfigPath, place: Place): readonly StepPlan[] {
    const { within } = place
    const steps = this.#shared.use(name, path, within)
    if (steps === undefined) return []
    const usedAt = idPath(path, place)
    return this.dataflow(steps, ['dataflows', name], { ...place, within: [...within, name], usedAt })
  }

  #step(element: unknown, path: ConfigPath, place: Place): StepPlan | undefined {
    this.parts.keepWritten(element)
    const position = this.#report.positionOf(path)
    const defaults = { id: formatPath(idPath(path, place)), path, position, retry: { forMs: 0 } } as const
    const errors = this.#report.errors
    const none = { condition: undefined, otherwise: undefined, onError: undefined, timeout: undefined }
    if (typeof element === 'function') {
      const definition = functionStep(element as UserFunction)
      return { ...defaults, ...none, name: definition.name, definition, options: undefined }
    }
    const { step, siblings, findings } = readStep(element, path, this.#registry)
    for (const finding of findings) this.#report.add(finding)
    const given = this.parts.validated(siblingsSchema, siblings, path)?.output
    const inside = { ...place, whole: undefined }
    const around = given === undefined ? undefined : (this.resolve(given, path, inside) as Siblings)
    const definition = step && this.#registry.find(step.name)
    if (step === undefined || definition === undefined) return undefined
    checkPlace(definition, siblings, path, place, this.#report)
    if (given?.id !== undefined) this.#ids.take(given.id, path)
    const optionsPath = [...path, step.name]
    const options = this.parts.options(definition, step, optionsPath)
    if (options === undefined || around === undefined) return undefined
    const outer = { definition, options: options.output, path: optionsPath }
    const resolved = this.resolve(options.output, optionsPath, { ...inside, step: outer })
    if (given?.id === undefined) requireId(definition, resolved, optionsPath, this.#report)
    if (this.#report.errors === errors) this.parts.check(definition, resolved, optionsPath)
    return {
      ...defaults,
      id: given?.id ?? defaults.id,
      name: step.name,
      definition,
      options: resolved,
      condition: around.if,
      otherwise: around.else?.steps,
      onError: around.onError?.steps,
      timeout: around.timeout,
      retry: definition.kind === 'sink' ? retryOf(around) : defaults.retry,
    }
  }
}

/** What stands beside a step, resolved. */
interface Siblings {
  readonly if?: Expression<boolean>
  readonly else?: PlannedDataflow
  readonly onError?: PlannedDataflow
  readonly timeout?: number
  readonly retry?: { readonly for: number; readonly max?: number }
}

/** Milliseconds for which a sink tries again unless told otherwise. */
const RETRY_FOR = 10_000

function retryOf({ retry }: Siblings): StepPlan['retry'] {
  return { forMs: retry?.for ?? RETRY_FOR, ...(retry?.max !== undefined && { max: retry.max }) }
}
