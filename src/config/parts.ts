import { isDeepStrictEqual } from 'node:util'
import type { PartDefinition, StepDefinition } from '../contracts/define.ts'
import { defineStep } from '../contracts/define.ts'
import type { Message } from '../contracts/message.ts'
import { type UserFunction, z } from '../contracts/schema.ts'
import type { StepResult } from '../contracts/step.ts'
import { type Registry, siblingKeys } from '../registry/registry.ts'
import { formatBytes } from '../util/escapes.ts'
import { suggest } from '../util/suggest.ts'
import type { ConfigPath } from './problems.ts'
import type { Finding } from './report.ts'
import { isMapping, keysOf, rawAlternatives, valueAt } from './shape.ts'

/** How a part is written: its name, and what stands under it. */
export interface Written {
  readonly name: string
  readonly options: unknown
}

/** The options of a part with its short form written out: `delimiter: "|"` is `delimiter: { any: "|" }`. */
export function withoutShortForm({ options, short }: PartDefinition, written: unknown): unknown {
  if (written === null || written === undefined) {
    if (options.safeParse(null).success) return null
    return rawAlternatives(options).some((one) => one instanceof z.ZodObject) ? {} : null
  }
  return short === undefined || isMapping(written) ? written : { [short]: written }
}

/** Reads `line` or `{ fixed: { … } }`. @returns the finding when it is neither */
export function readNamed(kind: 'framing' | 'format', value: unknown, path: ConfigPath): Written | Finding {
  if (typeof value === 'string') return { name: value, options: undefined }
  const [name, ...more] = isMapping(value) ? Object.keys(value) : []
  const code = kind === 'framing' ? 'FRAMING_INVALID' : 'FORMAT_INVALID'
  const example = kind === 'framing' ? 'line, or { fixed: { length: 20 } }' : 'json, or { text: latin1 }'
  const expected = `one ${kind}, such as ${example}; or { in: …, out: … } with one each`
  if (name !== undefined && more.length === 0 && name !== 'in' && name !== 'out') {
    return { name, options: (value as Record<string, unknown>)[name] }
  }
  if (more.length === 0 && (name === 'in' || name === 'out')) {
    const missing = name === 'in' ? 'out' : 'in'
    const hint = 'give both: { in: …, out: … }'
    return { code, path, at: 'key', message: `the ${kind} has ${name}, and ${missing} is missing`, hint }
  }
  const message =
    more.length > 0
      ? `a ${kind} has one name, and this has ${[name, ...more].join(' and ')}`
      : `a ${kind} has no name here`
  return { code, path, at: 'key', message, expected }
}

/** A framing or format that does not exist, with what was probably meant. */
export function unknownPart(kind: 'framing' | 'format', name: string, path: ConfigPath, registry: Registry): Finding {
  const code = kind === 'framing' ? 'FRAMING_UNKNOWN' : 'FORMAT_UNKNOWN'
  const other = kind === 'framing' ? 'format' : 'framing'
  const known = registry.names(kind)
  const near = nearestPart(name, registry.list(kind))
  const hint = registry.get(other, name)
    ? `${name} is a ${other}: write ${other}: ${name}`
    : near !== undefined
      ? `did you mean ${near}?`
      : undefined
  return { code, path, message: `there is no ${kind} ${name}`, expected: `one of ${known.join(', ')}`, hint }
}

/** The name of a part and what its options mean: `delimiter "\\r"`, `length-prefix 2 bytes, big endian`. */
export function partInWords(definition: PartDefinition, options: unknown): string {
  const words = definition.inWords?.(options) ?? givenInWords(definition, options)
  return words === '' ? definition.name : `${definition.name} ${words}`
}

/** The options that differ from their defaults; of the short form only the value. */
function givenInWords(definition: PartDefinition, options: unknown): string {
  if (!isMapping(options)) return ''
  const defaults = definition.options.safeParse({})
  const usual: unknown = defaults.success ? defaults.data : {}
  const differs = ([key, value]: [string, unknown]) =>
    value !== undefined && !isDeepStrictEqual(value, valueAt(usual, [key]))
  return Object.entries(options)
    .filter(differs)
    .map(([key, value]) => (key === definition.short ? showOption(value) : `${key} ${showOption(value)}`))
    .join(', ')
}

function showOption(value: unknown): string {
  if (value instanceof Uint8Array) return `"${formatBytes(value)}"`
  if (Array.isArray(value)) return value.map(showOption).join(' or ')
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

/** A step with what stands beside it, or what is wrong with how it is written. */
export interface ReadStep {
  readonly step: Written | undefined
  readonly siblings: Readonly<Record<string, unknown>>
  readonly findings: readonly Finding[]
}

/** Takes an element of a dataflow apart: one key names the step, the rest are siblings such as `if`. */
export function readStep(element: unknown, path: ConfigPath, registry: Registry): ReadStep {
  if (typeof element === 'string' && registry.find(element) !== undefined) {
    return { step: { name: element, options: undefined }, siblings: {}, findings: [] }
  }
  if (!isMapping(element)) {
    const hint = typeof element === 'string' ? unknownStepHint(element, registry) : undefined
    const message = typeof element === 'string' ? `${JSON.stringify(element)} is no step` : 'this is no step'
    return {
      step: undefined,
      siblings: {},
      findings: [{ code: 'STEP_INVALID', path, message, expected: A_STEP, hint }],
    }
  }
  const isSibling = (key: string) => (siblingKeys as readonly string[]).includes(key)
  const keys = Object.keys(element)
  const siblings = Object.fromEntries(keys.filter(isSibling).map((key) => [key, element[key]]))
  const names = keys.filter((key) => !isSibling(key))
  const astray = optionsBeside(element, names, registry)
  const others = names.filter((name) => !astray.includes(name))
  const known = others.filter((name) => registry.find(name) !== undefined)
  const [name] = known
  const step =
    name === undefined || known.length > 1 || astray.length > 0 ? undefined : { name, options: element[name] }
  const findings = others.length === 1 && known.length === 1 ? [] : badNames(others, known, path, registry)
  return { step, siblings, findings: [...indentedTooLittle(name, astray, path), ...findings] }
}

/** The definition of a function that stands in a dataflow of a TypeScript configuration. */
export function functionStep(run: UserFunction): StepDefinition {
  return defineStep({
    name: 'function',
    summary: 'Runs a function of the configuration.',
    options: z.unknown(),
    examples: [],
    drops: true,
    runsUserCode: () => true,
    create: () => ({
      run(message) {
        const value: unknown = run(message.msg as never, message)
        return value instanceof Promise ? value.then((settled) => resultOf(message, settled)) : resultOf(message, value)
      },
    }),
  })
}

const A_STEP = 'a step, such as - filter: msg.temp > 30'

/** As for a script: what the function returns is the new value, and undefined ends the message. */
function resultOf(message: Message, value: unknown): StepResult {
  return value === undefined ? undefined : message.with(value)
}

/** Parts that are also called so, else the one whose name looks alike: `stdout or log`. */
function nearestPart(name: string, definitions: readonly PartDefinition[]): string | undefined {
  const isCalled = (other: string) => other.toLowerCase() === name.toLowerCase()
  const called = definitions.filter(({ alsoCalled }) => alsoCalled?.some(isCalled))
  if (called.length > 0) return called.map((definition) => definition.name).join(' or ')
  return suggest(
    name,
    definitions.map((definition) => definition.name),
  )
}

/** Options of a step in the column of its name, below which they should stand: it has then nothing of its own. */
function optionsBeside(
  element: Readonly<Record<string, unknown>>,
  [step, ...beside]: readonly string[],
  registry: Registry,
): readonly string[] {
  if (step === undefined || element[step] !== null) return []
  const options = optionsOf(step, registry)
  return beside.filter((name) => options.includes(name))
}

function indentedTooLittle(step: string | undefined, options: readonly string[], path: ConfigPath): Finding[] {
  const [first] = options
  if (step === undefined || first === undefined) return []
  const names = options.join(' and ')
  const [are, them] = options.length === 1 ? ['is an option', 'it'] : ['are options', 'them']
  const written = `${step}: { ${options.map((option) => `${option}: …`).join(', ')} }`
  const message = `${names} can not stand beside ${step}`
  const hint = `${names} ${are} of ${step}: write ${written}, or indent ${them} deeper than ${step}`
  return [{ code: 'KEY_UNKNOWN', path: [...path, first], at: 'key', message, hint }]
}

function optionsOf(step: string, registry: Registry): readonly string[] {
  const definition = registry.find(step)
  return definition === undefined ? [] : keysOf(definition.options)
}

function badNames(names: readonly string[], known: readonly string[], path: ConfigPath, registry: Registry): Finding[] {
  if (names.length === 0) {
    const message = 'no key names the step here'
    const hint = 'if and else stand beside the key that names a step; to choose between several, use route'
    return [{ code: 'STEP_INVALID', path, at: 'key', message, expected: A_STEP, hint }]
  }
  if (known.length > 1) {
    const message = `${known.join(' and ')} are steps of their own, and stand in one`
    return [
      {
        code: 'STEP_INVALID',
        path: [...path, known[1]!],
        at: 'key',
        message,
        hint: `begin each with a dash: - ${known[1]}: …`,
      },
    ]
  }
  if (known.length === 0) {
    const [first = ''] = names
    const message = `there is no step or sink ${first}`
    const hint = unknownStepHint(first, registry)
    return [{ code: 'STEP_UNKNOWN', path: [...path, first], at: 'key', message, hint }]
  }
  const [step = ''] = known
  const options = optionsOf(step, registry)
  return names
    .filter((name) => name !== step)
    .map((name) => {
      const near = suggest(name, siblingKeys)
      const hint = options.includes(name)
        ? `${name} is an option of ${step}: write ${step}: { …, ${name}: … }`
        : near === undefined
          ? `beside a step there are ${siblingKeys.join(', ')}`
          : `did you mean ${near}?`
      const message = `${name} can not stand beside ${step}`
      return { code: 'KEY_UNKNOWN', path: [...path, name], at: 'key', message, hint }
    })
}

function unknownStepHint(name: string, registry: Registry): string {
  const definitions = [...registry.list('step'), ...registry.list('sink')]
  const known = definitions.map((definition) => definition.name)
  const near = nearestPart(name, definitions)
  if (near !== undefined) return `did you mean ${near}?`
  if (registry.get('framing', name)) return `${name} is a framing: write framing: ${name} at the endpoint`
  if (registry.get('format', name)) return `${name} is a format: write format: ${name} at the endpoint`
  return `there are ${known.join(', ')}`
}
