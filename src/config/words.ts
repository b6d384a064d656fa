import { z } from '../contracts/schema.ts'
import { nearest } from './cures.ts'
import { alternatives, isMapping, markerOf, metaOf, rawAlternatives } from './shape.ts'

const MARKER_WORDS: Readonly<Record<string, string>> = {
  expression: 'an expression, such as msg.temp * 2',
  condition: 'a condition, such as msg.temp > 30',
  template: 'a text, in which ${…} is evaluated',
  bytesTemplate: 'a text or bytes, such as "\\x02${msg.id}\\r\\n"',
  pathTemplate: 'a path, in which ${…} is evaluated',
  endpoint: 'the name of an entry of listen or connect',
  dataflow: 'a list of steps, or the name of an entry of dataflows',
  framing: 'a framing, such as line or { fixed: { length: 20 } }',
  format: 'a format, such as json or { text: latin1 }',
  subscription: 'a mapping with a subscription, such as { nats: { … }, dataflow: [ … ] }',
  duration: 'a duration with a unit, such as 30s',
  size: 'a size with a unit, such as 64KiB',
  bytes: 'bytes, such as "\\r\\n" or { hex: "0d0a" }',
}

/** What an option takes: "a whole number from 1 to 8". */
export function inWords(schema: z.ZodType): string {
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
  if (schema instanceof z.ZodObject)
    return Object.keys(schema.shape).length === 0 ? '{}' : `a mapping with ${listed(Object.keys(schema.shape), 'and')}`
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
export function show(value: unknown): string {
  if (value === null || value === undefined) return 'empty'
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value)
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  if (Array.isArray(value)) return 'a list'
  return typeof value === 'function' ? 'a function' : 'a mapping'
}

const YES: ReadonlySet<string> = new Set(['yes', 'on', 'y'])
const NO: ReadonlySet<string> = new Set(['no', 'off', 'n'])

/**
 * The cure for the usual slips; undefined when the right value cannot be guessed.
 * @param source a number as it is written, `06` say
 */
export function whatToWrite(schema: z.ZodType, input: unknown, source = String(input)): string | undefined {
  const marker = markerOf(schema)
  if (typeof input === 'number') {
    const markers = alternatives(schema).map(markerOf)
    if (markers.includes('bytes')) return byteHint(source, true)
    if (markers.includes('bytesTemplate')) return byteHint(source, false)
  }
  if (marker === 'dataflow' && isMapping(input)) return `write a list: ${stepsOf(input)}`
  if (marker === 'duration') return unitHint(schema, input, DURATION_UNITS, ['s', 'ms'])
  if (marker === 'size') return unitHint(schema, input, SIZE_UNITS, ['KiB', 'B'])
  const types = rawAlternatives(schema)
  const takes = (test: (branch: z.ZodType) => boolean) => types.some(test)
  if (typeof input === 'string') {
    const word = input.toLowerCase()
    const truth = takes((branch) => branch instanceof z.ZodBoolean) ? truthHint(word) : undefined
    if (truth !== undefined) return truth
    if (takes((branch) => branch instanceof z.ZodBoolean) && /^(true|false)$/i.test(word))
      return `write ${word}, without quotes`
    if (takes((branch) => branch instanceof z.ZodNumber) && /^-?\d+(\.\d+)?$/.test(input))
      return `write ${input}, without quotes`
    const near = nearest(
      input,
      types.flatMap((branch) => (branch instanceof z.ZodEnum ? branch.options.map(String) : [])),
    )
    return near && `did you mean ${near}?`
  }
  if ((typeof input === 'number' || typeof input === 'boolean') && takes((branch) => branch instanceof z.ZodString)) {
    return `put it in quotes: "${source}"`
  }
  return undefined
}

/** The cure for `yes` and its like, where true or false is meant. */
export function truthHint(word: string): string | undefined {
  const lower = word.toLowerCase()
  return YES.has(lower) || NO.has(lower) ? `write ${YES.has(lower)} (YAML 1.2 knows only true and false)` : undefined
}

/** Steps that were written as one mapping, as a list. */
function stepsOf(mapping: Readonly<Record<string, unknown>>): string {
  const shown = (value: unknown) => (typeof value === 'string' && !value.includes('\n') ? value : '…')
  return Object.entries(mapping)
    .map(([key, value]) => `- ${key}: ${shown(value)}`)
    .join(', ')
}

/** How bytes are written that somebody wrote as a number: `06` and `0x06` are hexadecimal, `13` is decimal. */
function byteHint(source: string, takesHex: boolean): string {
  const hex = hexOf(source)
  if (hex === undefined) return `put the characters in quotes: "${source}"; a byte is written as "\\x06"`
  const escaped = hex.replaceAll(/../g, '\\x$&')
  return `write "${escaped}"${takesHex ? ` or { hex: "${hex}" }` : ''}`
}

function hexOf(source: string): string | undefined {
  const digits = /^0x([0-9a-f]+)$/i.exec(source)?.[1] ?? /^0[0-9]+$/.exec(source)?.[0]
  if (digits !== undefined) return (digits.length % 2 === 0 ? digits : `0${digits}`).toLowerCase()
  const value = /^\d{1,3}$/.test(source) ? Number(source) : 256
  return value < 256 ? value.toString(16).padStart(2, '0') : undefined
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

/** The count with a unit as it is written here; undefined when the unit is not what is wrong. */
function unitHint(
  schema: z.ZodType,
  input: unknown,
  known: readonly [RegExp, string][],
  usual: readonly string[],
): string | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(String(input).trim())
  if (match === null) return undefined
  const [, count, unit = ''] = match
  const names = unit === '' ? usual : known.filter(([pattern]) => pattern.test(unit)).map(([, name]) => name)
  const taken = names.map((name) => `${count}${name}`).filter((written) => schema.safeParse(written).success)
  return taken.length === 0 ? undefined : `write ${taken.join(' or ')}`
}
