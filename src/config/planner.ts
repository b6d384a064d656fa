import { resolve } from 'node:path'
import { EndpointCounters } from '../contracts/counters.ts'
import type { PartDefinition, StepDefinition, SubscriptionDefinition } from '../contracts/define.ts'
import type { DeliveryOptions } from '../contracts/delivery.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Format, FormatContext } from '../contracts/format.ts'
import type { Framing } from '../contracts/framing.ts'
import { type Expression, Unresolved, type UserFunction, type z } from '../contracts/schema.ts'
import { ExpressionError } from '../expression/expression-error.ts'
import type { Registry } from '../registry/registry.ts'
import { suggest } from '../util/suggest.ts'
import { compile } from './compile.ts'
import { type Environment, substitute } from './environment.ts'
import { warnOfLookAlikes } from './look-alikes.ts'
import { resolvePackage } from './packages.ts'
import { functionStep, partInWords, readNamed, readStep, unknownPart, type Written, withoutShortForm } from './parts.ts'
import { PlannedDataflow, type StepPlan } from './planned.ts'
import { type ConfigPath, formatPath } from './problems.ts'
import type { Report } from './report.ts'
import { siblingsSchema } from './schema.ts'
import { isMapping } from './shape.ts'
import { validate } from './validate.ts'
import { truthHint } from './words.ts'

/** Counters by the name of their endpoint. */
export type CountersByName = ReadonlyMap<string, EndpointCounters>

/** Where a dataflow is used, as far as it decides what may stand in it. */
export interface Place {
  /** Why a step that needs its connection cannot do its work here; absent where every step can. */
  readonly unanswerable?: ((step: StepDefinition) => Unanswerable | undefined) | undefined
  /** Given for the `dataflow:` of an endpoint itself, not for what stands inside a step. */
  readonly whole?: { readonly hasKey: boolean } | undefined
  /** Names of the shared dataflows that it stands in. */
  readonly within: readonly string[]
  /** Those of the endpoint. */
  readonly counters: EndpointCounters
  /** Where a shared dataflow is used: its steps take their ids from there, so that each use has its own. */
  readonly usedAt?: ConfigPath
}

/** Why there is nobody to answer, and what to do instead. */
export interface Unanswerable {
  readonly message: string
  readonly hint: string
}

/** A framing or format, made. */
export interface Made<Part> {
  /** Its name and what its options mean. */
  readonly words: string
  readonly part: Part
}

/** Plans what parts are made of. Every mistake goes to the report, and planning goes on. */
export class Planner {
  readonly #registry: Registry
  readonly #report: Report
  readonly #environment: Environment
  readonly #dataflows: Readonly<Record<string, readonly unknown[]>>
  readonly #used = new Set<string>()
  /** Ids that are given in the configuration, and where. */
  readonly #ids = new Map<string, ConfigPath>()
  readonly #counters: CountersByName
  readonly #unready: { readonly path: ConfigPath; readonly ready: Promise<SluiceError | undefined> }[] = []
  #written: unknown[] = []

  /** @param counters of endpoints that are known already: they go on counting there */
  constructor(
    registry: Registry,
    report: Report,
    environment: Environment,
    dataflows: Readonly<Record<string, readonly unknown[]>>,
    counters: CountersByName,
  ) {
    this.#registry = registry
    this.#report = report
    this.#environment = environment
    this.#dataflows = dataflows
    this.#counters = counters
  }

  countersOf(endpoint: string): EndpointCounters {
    return this.#counters.get(endpoint) ?? new EndpointCounters()
  }

  /** All steps and options of parts that were planned since the last call. */
  takeWritten(): readonly unknown[] {
    const written = this.#written
    this.#written = []
    return written
  }

  /** Finds the mistakes of shared dataflows that nothing uses, and says so. To be called last. */
  finish(): void {
    for (const [name, steps] of Object.entries(this.#dataflows)) {
      if (this.#used.has(name)) continue
      const path = ['dataflows', name]
      const whole = { hasKey: true }
      this.dataflow(steps, path, { whole, within: [name], counters: new EndpointCounters() })
      const message = `nothing uses the dataflow ${name}`
      this.#report.add({ code: 'DATAFLOW_UNUSED', severity: 'warning', path, at: 'key', message })
    }
  }

  /** Waits for the formats that take their time, and reports those that cannot be used. */
  async ready(): Promise<void> {
    for (const { path, ready } of this.#unready) {
      const error = await ready
      if (error !== undefined) this.#reportUnusable(error, path)
    }
  }

  /** @param value steps, or the name of a shared dataflow */
  dataflow(value: unknown, path: ConfigPath, place: Place): readonly StepPlan[] {
    if (typeof value === 'string') return this.#shared(value, path, place)
    if (!Array.isArray(value)) return []
    const steps: StepPlan[] = []
    let here = place
    for (const [i, element] of value.entries()) {
      const step = this.#step(element, [...path, i], here)
      if (step === undefined) continue
      steps.push(step)
      if (step.definition.kind === 'step' && step.definition.holds) here = { ...here, unanswerable: heldBy(step.name) }
    }
    return steps
  }

  /** @returns undefined when there is a mistake, which has been reported */
  framing(value: unknown, path: ConfigPath): Made<Framing> | undefined {
    const found = this.#named('framing', value, path)
    return found && this.#made(found, path, () => found.definition.create(found.options))
  }

  /** @returns undefined when there is a mistake, which has been reported */
  format(value: unknown, path: ConfigPath): Made<Format> | undefined {
    const { baseDir } = this.#environment
    const context: FormatContext = {
      resolvePath: (file) => resolve(baseDir, file),
      resolvePackage: (name) => resolvePackage(name, baseDir),
    }
    const found = this.#named('format', value, path)
    const made = found && this.#made(found, path, () => found.definition.create(found.options, context))
    if (made?.part.ready !== undefined) this.#unready.push({ path, ready: made.part.ready })
    return made
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
    const valid = this.#options(definition, written, path)
    if (valid === undefined) return undefined
    const options = this.resolve(valid.output, path, place)
    if (this.#report.errors === errors) this.#check(definition, options, path)
    return { options, written: valid.output }
  }

  /** Checks a mapping whose keys are no part's own, with the values of the environment put in. */
  validated<Schema extends z.ZodType>(schema: Schema, value: unknown, path: ConfigPath) {
    const substituted = substitute(value, schema, path, this.#environment, this.#report)
    warnOfLookAlikes(substituted, schema, path, this.#report)
    const valid = validate(schema, substituted, path, this.#report)
    this.#written.push(valid?.output)
    return valid
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

  #shared(name: string, path: ConfigPath, place: Place): readonly StepPlan[] {
    const steps = Object.hasOwn(this.#dataflows, name) ? this.#dataflows[name] : undefined
    if (steps === undefined) {
      const near = suggest(name, Object.keys(this.#dataflows))
      const hint = near === undefined ? `write it: dataflows: { ${name}: [ … ] }` : `did you mean ${near}?`
      this.#report.add({ code: 'DATAFLOW_UNKNOWN', path, message: `there is no ${name} under dataflows`, hint })
      return []
    }
    this.#used.add(name)
    if (place.within.includes(name)) {
      const message = `the dataflow ${name} contains itself: ${[...place.within, name].join(' → ')}`
      const hint = 'a message would never come out; take one of these uses away'
      this.#report.add({ code: 'DATAFLOW_RECURSIVE', path, message, hint })
      return []
    }
    const usedAt = idPath(path, place)
    return this.dataflow(steps, ['dataflows', name], { ...place, within: [...place.within, name], usedAt })
  }

  #step(element: unknown, path: ConfigPath, place: Place): StepPlan | undefined {
    this.#written.push(element)
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
    const given = this.validated(siblingsSchema, siblings, path)?.output
    const inside = { ...place, whole: undefined }
    const around = given === undefined ? undefined : (this.resolve(given, path, inside) as Siblings)
    const definition = step && this.#registry.find(step.name)
    if (step === undefined || definition === undefined) return undefined
    this.#checkPlace(definition, siblings, path, place)
    const id = this.#takeId(given?.id, path) ?? defaults.id
    const optionsPath = [...path, step.name]
    const options = this.#options(definition, step, optionsPath)
    if (options === undefined || around === undefined) return undefined
    const retry = definition.kind === 'sink' ? retryOf(around) : defaults.retry
    const resolved = this.resolve(options.output, optionsPath, inside)
    if (given?.id === undefined) this.#requireId(definition, resolved, optionsPath)
    if (this.#report.errors === errors) this.#check(definition, resolved, optionsPath)
    return {
      ...defaults,
      id,
      name: step.name,
      definition,
      options: resolved,
      condition: around.if,
      otherwise: around.else?.steps,
      onError: around.onError?.steps,
      timeout: around.timeout,
      retry,
    }
  }

  /** What outlives the server must have a name that outlives a change of the configuration. */
  #requireId(definition: PartDefinition, options: unknown, path: ConfigPath): void {
    const hint = `write id: NAME beside ${path.at(-1)}, and keep it when you change the configuration`
    if (definition.kind === 'sink' && (options as DeliveryOptions).buffer?.kind === 'disk') {
      const message = 'a step with a disk buffer needs an id, under which its messages are found again after a restart'
      this.#report.add({ code: 'ID_MISSING', path: [...path, 'buffer'], at: 'key', message, hint })
    } else if (definition.kind === 'step' && definition.persists === true) {
      const message = `${definition.name} needs an id, under which what it keeps is found again after a restart`
      this.#report.add({ code: 'ID_MISSING', path, at: 'key', message, hint })
    }
  }

  /** Reports what the part itself has against its options. */
  #check(definition: PartDefinition, options: unknown, path: ConfigPath): void {
    const { baseDir } = this.#environment
    const problems = definition.check?.(options, { resolvePath: (file) => resolve(baseDir, file) }) ?? []
    for (const problem of problems) {
      this.#report.add({ code: 'VALUE_INVALID', ...problem, path: [...path, ...problem.path] })
    }
  }

  #checkPlace(
    definition: PartDefinition,
    siblings: Readonly<Record<string, unknown>>,
    path: ConfigPath,
    place: Place,
  ): void {
    const { kind, name } = definition
    if (kind === 'step') this.#checkWhole(definition, siblings, path, place)
    const unanswerable = kind === 'step' && definition.answers === true ? place.unanswerable?.(definition) : undefined
    if (unanswerable !== undefined) {
      this.#report.add({ code: 'NO_CONNECTION', path: [...path, name], at: 'key', ...unanswerable })
    }
    if ('else' in siblings && !(kind === 'step' && definition.drops !== undefined)) {
      const message = `${name} drops no messages, so else has no meaning beside it`
      const hint = 'to choose between steps, use route'
      this.#report.add({ code: 'KEY_UNKNOWN', path: [...path, 'else'], at: 'key', message, hint })
    }
    if ('retry' in siblings && kind === 'step') {
      const message = `${name} is no sink, so retry has no meaning beside it`
      this.#report.add({ code: 'KEY_UNKNOWN', path: [...path, 'retry'], at: 'key', message })
    }
  }

  /** What a step asks of the endpoint whose messages it follows to their end. */
  #checkWhole(
    { name, coversRest = false, needsKey = false }: StepDefinition,
    siblings: Readonly<Record<string, unknown>>,
    path: ConfigPath,
    { whole }: Place,
  ): void {
    if (coversRest && whole === undefined) {
      const message = `${name} follows messages to the end of the dataflow, and here it cannot see that end`
      const hint = `move ${name} to the dataflow of the endpoint itself, out of any other step`
      this.#report.add({ code: 'STEP_MISPLACED', path: [...path, name], at: 'key', message, hint })
    } else if (needsKey && whole?.hasKey === false) {
      const message = `${name} knows a message by its key, and the endpoint has no key`
      const hint =
        'write key: beside the dataflow, an expression that gives the same when a message is sent again, such as msg.id'
      this.#report.add({ code: 'KEY_MISSING', path: [...path, name], at: 'key', message, hint })
    }
    for (const sibling of coversRest ? ['if', 'timeout', 'onError'] : []) {
      if (!(sibling in siblings)) continue
      const message = `${sibling} has no meaning beside ${name}, because it would apply to all steps behind it too`
      this.#report.add({ code: 'KEY_UNKNOWN', path: [...path, sibling], at: 'key', message })
    }
  }

  #takeId(id: string | undefined, path: ConfigPath): string | undefined {
    if (id === undefined) return undefined
    const origin = this.#report.originOf(path)
    const first = this.#ids.get(id) ?? origin
    this.#ids.set(id, first)
    // A shared dataflow, and one of defaults, is planned once for each use; that is the same step.
    if (formatPath(first) !== formatPath(origin)) {
      const message = `the id ${id} is taken by the step at ${formatPath(first)}`
      this.#report.add({ code: 'ID_TAKEN', path: [...path, 'id'], message, hint: 'give each step an id of its own' })
    }
    return id
  }

  /** A framing of a part, which may have one for each direction as an endpoint may. */
  #framingOption(value: unknown, path: ConfigPath): Framing | undefined {
    if (!isMapping(value) || Object.keys(value).toSorted().join() !== 'in,out') return this.framing(value, path)?.part
    const incoming = this.framing(value['in'], [...path, 'in'])?.part
    const outgoing = this.framing(value['out'], [...path, 'out'])?.part
    return incoming && outgoing && { ...bound(outgoing), createDecoder: incoming.createDecoder.bind(incoming) }
  }

  #named<Kind extends 'framing' | 'format'>(kind: Kind, value: unknown, path: ConfigPath) {
    const written = readNamed(kind, value, path)
    if ('code' in written) {
      this.#report.add(written)
      return undefined
    }
    const definition = this.#registry.get(kind, written.name)
    if (definition === undefined) {
      const at = typeof value === 'string' ? path : [...path, written.name]
      const finding = unknownPart(kind, written.name, at, this.#registry)
      this.#report.add(typeof value === 'string' ? finding : { ...finding, at: 'key' })
      return undefined
    }
    const at = typeof value === 'string' ? path : [...path, written.name]
    const options = this.#options(definition, written, at)
    if (options === undefined) return undefined
    this.#check(definition, options.output, at)
    return { definition, options: options.output }
  }

  /** @returns undefined when they cannot be used; the output itself may be anything */
  #options(definition: PartDefinition, { options }: Written, path: ConfigPath): { output: unknown } | undefined {
    return this.validated(definition.options, withoutShortForm(definition, options), path)
  }

  #made<Part>({ definition, options }: Named, path: ConfigPath, create: () => Part): Made<Part> | undefined {
    try {
      return { words: partInWords(definition, options), part: create() }
    } catch (error) {
      if (!(error instanceof SluiceError)) throw error
      this.#reportUnusable(error, path)
      return undefined
    }
  }

  #reportUnusable({ message, hint }: SluiceError, path: ConfigPath): void {
    this.#report.add({ code: 'VALUE_INVALID', path, message, hint })
  }

  #resolveOne(waiting: Unresolved, path: ConfigPath, place: Place): unknown {
    const { kind, value } = waiting
    if (kind === 'dataflow') return new PlannedDataflow(this.dataflow(value, path, place))
    if (kind === 'framing') return this.#framingOption(value, path)
    if (kind === 'format') return this.format(value, path)?.part
    try {
      return compile(waiting, this.#environment.env, place.counters)
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error
      const { message, start } = error
      const hint = (kind === 'condition' ? truthHint(String(value)) : undefined) ?? error.hint
      this.#report.add({ code: 'EXPRESSION_INVALID', path, message, hint, at: start })
      return undefined
    }
  }
}

/** A framing or format that was looked up. */
interface Named {
  readonly definition: PartDefinition
  readonly options: unknown
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

/** Why nobody can be answered behind a step that holds messages. */
function heldBy(holder: string): Place['unanswerable'] {
  return ({ name }) => ({
    message: `${name} needs a connection, and what ${holder} makes of many messages comes from none`,
    hint: `move ${name} before ${holder}`,
  })
}

/** What a framing writes with. */
function bound(framing: Framing): Pick<Framing, 'encode' | 'encodeFrames'> {
  return {
    encode: framing.encode.bind(framing),
    ...(framing.encodeFrames && { encodeFrames: framing.encodeFrames.bind(framing) }),
  }
}

/** The path that an id is made of: that of the use, for a step of a shared dataflow. */
function idPath(path: ConfigPath, { usedAt }: Place): ConfigPath {
  return usedAt === undefined ? path : [...usedAt, ...path.slice(2)]
}
