import { z } from '../contracts/schema.ts'
import { suggest } from '../util/suggest.ts'
import { parseDuration, parseSize } from '../util/units.ts'
import { type ConfigPath, formatPath } from './problems.ts'
import type { Finding, Report } from './report.ts'
import {
  alternatives,
  childOf,
  isMapping,
  keysOf,
  markerOf,
  metaOf,
  rawAlternatives,
  schemaAt,
  valueAt,
} from './shape.ts'

/**
 * Checks a value against its schema and reports every mistake.
 *
 * So that one mistake does not hide others, what is wrong is left out and the rest is read again: the output then is that
 * of the value without its mistakes.
 * @param path where the value stands in the configuration
 * @returns the output, or undefined when what is left cannot be used
 */
export function validate<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  path: ConfigPath,
  report: Report,
): { readonly output: z.output<Schema> } | undefined {
  const first = schema.safeParse(value)
  if (first.success) return { output: first.data }
  const context: Context = { schema, value, path }
  for (const issue of first.error.issues) for (const finding of explain(issue, context)) report.add(finding)
  let rest = value
  let issues: readonly Issue[] = first.error.issues
  while (issues.every(({ path: at, code }) => at.length > 0 || code === 'unrecognized_keys')) {
    for (const issue of issues) {
      for (const wrong of wrongPaths(issue, rest)) rest = without(rest, wrong)
    }
    const next = schema.safeParse(rest)
    if (next.success) return { output: next.data }
    issues = next.error.issues
  }
  return undefined
}

type Issue = z.core.$ZodIssue

interface Context {
  readonly schema: z.ZodType
  readonly value: unknown
  readonly path: ConfigPath
}

/** What to leave out because of an issue; of a mapping that lacks a key, all of it. */
function wrongPaths(issue: Issue, value: unknown): ConfigPath[] {
  const path = issue.path as ConfigPath
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => [...path, key])
  return [valueAt(value, path) === undefined ? path.slice(0, -1) : path]
}

function without(value: unknown, [key, ...rest]: ConfigPath): unknown {
  if (key === undefined) return undefined
  if (Array.isArray(value)) {
    if (rest.length === 0) return value.filter((_item, index) => index !== key)
    return value.map((item, index) => (index === key ? without(item, rest) : item))
  }
  if (!isMapping(value)) return value
  const entries = Object.entries(value)
  if (rest.length === 0) return Object.fromEntries(entries.filter(([name]) => name !== key))
  return Object.fromEntries(entries.map(([name, item]) => [name, name === key ? without(item, rest) : item]))
}

function explain(issue: Issue, context: Context): Finding[] {
  const at = issue.path as ConfigPath
  const path = [...context.path, ...at]
  const input = valueAt(context.value, at)
  const schema = schemaAt(context.schema, at)
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey(key, path, schema))
  if (issue.code === 'invalid_key') {
    const expected = issue.issues[0]?.message.replace(/^expected /, '')
    return [{ code: 'VALUE_INVALID', path, at: 'key', message: `${String(at.at(-1))} cannot be a name`, expected }]
  }
  if (input === undefined && at.length > 0) return [missingKey(path, schema)]
  if (at.at(-1) === 'hex' && typeof input === 'number') return [hexNotQuoted(path)]
  const marker = schema && markerOf(schema)
  if (issue.code === 'invalid_union' && (marker === undefined || isMapping(input))) {
    const entered = enteredBranch(issue)
    if (entered !== undefined) {
      return entered.flatMap((inner) => explain({ ...inner, path: [...at, ...inner.path] } as Issue, context))
    }
  }
  const shown = marker === 'secret' ? 'a value that it cannot have' : show(input)
  const said = issue.code === 'custom' ? issue.message : undefined
  if (said !== undefined && !said.startsWith('expected '))
    return [{ code: 'VALUE_INVALID', path, message: `${nameOf(path)}: ${said}` }]
  return [
    {
      code: 'VALUE_INVALID',
      path,
      message: `${nameOf(path)} is ${shown}`,
      expected: said?.slice('expected '.length) ?? (schema && inWords(schema)),
      hint: schema && marker !== 'secret' ? whatToWrite(schema, input) : undefined,
    },
  ]
}

/** The branch of a union that was meant: its type fits, and what is wrong is inside. */
function enteredBranch(union: z.core.$ZodIssueInvalidUnion): Issue[] | undefined {
  const entered = union.errors.flatMap((issues) => {
    const inner = issues.flatMap((issue) => {
      const nested = issue.code === 'invalid_union' && issue.path.length === 0 ? enteredBranch(issue) : undefined
      return nested ?? [issue]
    })
    return inner.every(({ path, code }) => path.length > 0 || !WRONG_TYPE.has(code)) ? [inner] : []
  })
  return entered.sort((a, b) => a.length - b.length)[0]
}

const WRONG_TYPE: ReadonlySet<string> = new Set(['invalid_type', 'invalid_union', 'custom', 'invalid_value'])

function unknownKey(key: string, path: ConfigPath, schema: z.ZodType | undefined): Finding {
  const known = schema === undefined ? [] : keysOf(schema)
  const deeper = schema && known.find((name) => keysOf(childOf(schema, name)!).includes(key))
  const near = suggest(key, known)
  const hint =
    deeper !== undefined
      ? `write it under ${deeper}: ${deeper}: { ${key}: … }`
      : near !== undefined
        ? `did you mean ${near}?`
        : known.length > 0
          ? `there are ${known.join(', ')}`
          : 'there are no options here'
  return { code: 'KEY_UNKNOWN', path: [...path, key], at: 'key', message: `${nameOf(path)} has no option ${key}`, hint }
}

function missingKey(path: ConfigPath, schema: z.ZodType | undefined): Finding {
  const key = String(path.at(-1))
  return {
    code: 'KEY_MISSING',
    path,
    message: `${nameOf(path.slice(0, -1))} needs ${key}`,
    expected: schema && inWords(schema),
    hint: schema?.description && `${key}: ${schema.description}`,
  }
}

function hexNotQuoted(path: ConfigPath): Finding {
  return {
    code: 'HEX_NOT_QUOTED',
    path,
    message: 'without quotes these digits are read as a number, which loses zeros',
    expected: 'pairs of hexadecimal digits in quotes',
    hint: 'put the digits in quotes: hex: "0d0a"',
  }
}

/** A path for a message; the whole configuration has no name. */
function nameOf(path: ConfigPath): string {
  return formatPath(path) || 'the configuration'
}

const MARKER_WORDS: Readonly<Record<string, string>> = {
  expression: 'an expression, such as msg.temp * 2',
  condition: 'a condition, such as msg.temp > 30',
  template: 'a text, in which ${…} is evaluated',
  bytesTemplate: 'a text or bytes, such as "\\x02${msg.id}\\r\\n"',
  dataflow: 'a list of steps, or the name of an entry of dataflows',
  framing: 'a framing, such as line or { fixed: { length: 20 } }',
  format: 'a format, such as json or { csv: { … } }',
  duration: 'a duration with a unit, such as 30s',
  size: 'a size with a unit, such as 64KiB',
  bytes: 'bytes, such as "\\r\\n" or { hex: "0d0a" }',
}

/** What an option takes: "a whole number from 1 to 8". */
function inWords(schema: z.ZodType): string {
  const all = alternatives(schema).flatMap((one) => markerInWords(one) ?? typeInWords(one) ?? [])
  return [...new Set(all)].join(', or ')
}

function markerInWords(schema: z.ZodType): string | undefined {
  const words = MARKER_WORDS[markerOf(schema) ?? '']
  return words !== undefined && metaOf(schema, 'off') === true ? `${words}, or off` : words
}

function typeInWords(schema: z.ZodType): string | undefined {
  if (schema instanceof z.ZodNumber) return numberInWords(schema)
  if (schema instanceof z.ZodString) return 'a text'
  if (schema instanceof z.ZodBoolean) return 'true or false'
  if (schema instanceof z.ZodArray) return 'a list'
  if (schema instanceof z.ZodRecord) return 'a mapping'
  if (schema instanceof z.ZodObject) return `a mapping with ${listed(Object.keys(schema.shape), 'and')}`
  if (schema instanceof z.ZodEnum) return listed(schema.options.map(String), 'or')
  if (schema instanceof z.ZodLiteral) return listed([...schema.values].map(String), 'or')
  return undefined
}

function numberInWords({ minValue, maxValue, isInt }: z.ZodNumber): string {
  const known = (bound: number | null) =>
    bound !== null && Math.abs(bound) < Number.MAX_SAFE_INTEGER ? bound : undefined
  const [from, to] = [known(minValue), known(maxValue)]
  const range =
    from !== undefined && to !== undefined
      ? ` from ${from} to ${to}`
      : from !== undefined
        ? ` of at least ${from}`
        : to !== undefined
          ? ` of at most ${to}`
          : ''
  return `a ${isInt ? 'whole ' : ''}number${range}`
}

function listed(words: readonly string[], conjunction: string): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} ${conjunction} ${words.at(-1)}`
}

/** A value as it stands in a message: short, and mappings not at all. */
function show(value: unknown): string {
  if (value === null || value === undefined) return 'empty'
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value)
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  if (Array.isArray(value)) return 'a list'
  return typeof value === 'function' ? 'a function' : 'a mapping'
}

const YES: ReadonlySet<string> = new Set(['yes', 'on', 'y'])
const NO: ReadonlySet<string> = new Set(['no', 'off', 'n'])

/** The cure for the usual slips; undefined when the right value cannot be guessed. */
function whatToWrite(schema: z.ZodType, input: unknown): string | undefined {
  const marker = markerOf(schema)
  if (marker === 'duration') return unitHint(input, DURATION_UNITS, ['s', 'ms'], parseDuration)
  if (marker === 'size') return unitHint(input, SIZE_UNITS, ['KiB', 'B'], parseSize)
  const types = rawAlternatives(schema)
  const takes = (test: (branch: z.ZodType) => boolean) => types.some(test)
  if (typeof input === 'string') {
    const word = input.toLowerCase()
    if (takes((branch) => branch instanceof z.ZodBoolean) && (YES.has(word) || NO.has(word))) {
      return `write ${YES.has(word)} (YAML 1.2 knows only true and false)`
    }
    if (takes((branch) => branch instanceof z.ZodBoolean) && /^(true|false)$/i.test(word))
      return `write ${word}, without quotes`
    if (takes((branch) => branch instanceof z.ZodNumber) && /^-?\d+(\.\d+)?$/.test(input))
      return `write ${input}, without quotes`
    const near = suggest(
      input,
      types.flatMap((branch) => (branch instanceof z.ZodEnum ? branch.options.map(String) : [])),
    )
    return near && `did you mean ${near}?`
  }
  if ((typeof input === 'number' || typeof input === 'boolean') && takes((branch) => branch instanceof z.ZodString)) {
    return `put it in quotes: "${input}"`
  }
  return undefined
}

/** Units as people write them, and as they are written here. */
const DURATION_UNITS: readonly [RegExp, string][] = [
  [/^(?:msecs?|milliseconds?|millis)$/i, 'ms'],
  [/^(?:secs?|seconds?|S)$/i, 's'],
  [/^(?:mins?|minutes?|M)$/i, 'm'],
  [/^(?:hrs?|hours?|H)$/i, 'h'],
  [/^(?:days?|D)$/i, 'd'],
]
const SIZE_UNITS: readonly [RegExp, string][] = [
  [/^(?:b|bytes?)$/i, 'B'],
  [/^(?:k|kb|kib)$/i, 'KiB'],
  [/^(?:m|mb|mib)$/i, 'MiB'],
  [/^(?:g|gb|gib)$/i, 'GiB'],
]

function unitHint(
  input: unknown,
  known: readonly [RegExp, string][],
  usual: readonly string[],
  parse: (text: string) => number | undefined,
): string | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(String(input).trim())
  if (match === null) return undefined
  const [, count, unit = ''] = match
  if (unit === '') return `write ${usual.map((name) => `${count}${name}`).join(' or ')}`
  const name = known.find(([pattern]) => pattern.test(unit))?.[1]
  return name !== undefined && parse(`${count}${name}`) !== undefined ? `write ${count}${name}` : undefined
}
