import { z } from '../contracts/schema.ts'
import { suggest } from '../util/suggest.ts'
import { type ConfigPath, formatPath } from './problems.ts'
import type { Finding } from './report.ts'
import { alternatives, childOf, entriesOf, isMapping, keysOf, markerOf, schemaAt, unwrap, valueAt } from './shape.ts'

/** What to write instead of a key that there is not, or of a value that stands in the wrong place. */

/** Words that people use for the same thing. */
const SYNONYMS: readonly (readonly string[])[] = [
  ['file', 'path', 'filename'],
  ['dir', 'folder', 'directory', 'path'],
  ['socket', 'path', 'unix'],
  ['host', 'address', 'hostname', 'ip', 'bind'],
  ['dataflow', 'then', 'do', 'steps', 'flow', 'pipeline'],
  ['if', 'when', 'where', 'condition'],
  ['else', 'otherwise'],
  ['every', 'interval', 'period'],
  ['cert', 'certificate', 'crt'],
  ['length', 'size'],
  ['big', 'BE', 'network'],
  ['little', 'LE'],
]

/** The known word that was probably meant: one of the same meaning, else one that looks alike. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const same = SYNONYMS.filter((words) => words.some((one) => one.toLowerCase() === word.toLowerCase()))
  return known.find((one) => same.some((words) => words.includes(one))) ?? suggest(word, known)
}

/** A key that a mapping cannot have, with what was probably meant. */
export function unknownKey(key: string, path: ConfigPath, schema: z.ZodType | undefined): Finding {
  const known = schema === undefined ? [] : keysOf(schema)
  const within = (name: string) => childOf(schema!, name)!
  const place = known.find((name) => [...keysOf(within(name)), ...entryKeys(within(name))].includes(key))
  const isEntry = place !== undefined && entryKeys(within(place)).includes(key)
  const near = nearest(key, known)
  const meant = place ?? near
  const hint =
    place !== undefined
      ? `write it under ${place}: ${isEntry ? `{ NAME: { ${key}: … } }` : `{ ${key}: … }`}`
      : near !== undefined
        ? `did you mean ${near}?`
        : known.length > 0
          ? `there are ${known.join(', ')}`
          : 'there are no options here'
  return {
    code: 'KEY_UNKNOWN',
    path: [...path, key],
    at: 'key',
    message: `${formatPath(path) || 'the configuration'} has no option ${key}`,
    hint,
    hideLine: near !== undefined && markerOf(within(near)) === 'secret',
    means: meant === undefined ? undefined : [...path, meant],
  }
}

/**
 * Options that stand where the name of an entry should: `listen: { port: 9100 }`.
 * @param at what is wrong, within the value
 */
export function entryWithoutName(schema: z.ZodType, value: unknown, at: ConfigPath, base: ConfigPath): Finding[] {
  for (let depth = 0; depth < at.length; depth++) {
    const here = at.slice(0, depth)
    const inner = depth === 0 ? schema : schemaAt(schema, here)
    const mapping = valueAt(value, here)
    if (inner === undefined || !isMapping(mapping)) continue
    const options = entryKeys(inner)
    const option = Object.keys(mapping).find((key) => options.includes(key) && !isMapping(mapping[key]))
    if (option === undefined) continue
    const path = [...base, ...here]
    const below = indentedAsTheirEntry(mapping, option, options, path)
    if (below.length > 0) return below
    const last = String(path.at(-1))
    const message = `${option} stands where ${formatPath(path)} has names`
    const hint = `${nameIt(inner)}: ${last}: { NAME: { ${option}: … } }`
    return [{ code: 'VALUE_INVALID', path, at: 'key', message, hint }]
  }
  return []
}

/** Options in the column of the name that they stand behind; none where there is no such name. */
function indentedAsTheirEntry(
  mapping: Readonly<Record<string, unknown>>,
  option: string,
  options: readonly string[],
  path: ConfigPath,
): Finding[] {
  const keys = Object.keys(mapping)
  const isName = (key: string) => !options.includes(key)
  const at = keys.slice(0, keys.indexOf(option)).findLastIndex(isName)
  const name = keys[at]
  if (name === undefined || !(mapping[name] === null || isMapping(mapping[name]))) return []
  const behind = keys.slice(at + 1)
  const next = behind.findIndex(isName)
  return behind.slice(0, next === -1 ? undefined : next).map((key) => ({
    code: 'VALUE_INVALID',
    path: [...path, key],
    at: 'key',
    message: `${key} stands where ${formatPath(path)} has names`,
    hint: `indent it below ${name}`,
    means: [...path, name, key],
  }))
}

/** What to write where a mapping is needed and its value stands alone: `{ file: readings.db, table: … }`. */
export function asMapping(schema: z.ZodType, input: unknown): string | undefined {
  const branches = alternatives(schema)
  if (Array.isArray(input)) {
    const named = branches.find((branch) => entriesOf(branch) !== undefined && entryKeys(branch).length > 0)
    return named && `${nameIt(named)}: { NAME: { … } }`
  }
  if (typeof input !== 'string' && typeof input !== 'number') return undefined
  const mapping = branches.map(unwrap).find((branch) => branch instanceof z.ZodObject)
  if (mapping === undefined) return undefined
  const { shape } = mapping
  const address = /^(?:\[([^\]]+)\]|([^:\s]+)):(\d+)$/.exec(String(input))
  if (address !== null && 'host' in shape && 'port' in shape) {
    return `write { host: ${address[1] ?? address[2]}, port: ${address[3]} }`
  }
  const required = Object.keys(shape).filter((key) => !isOptional(shape[key] as z.ZodType))
  const takes = (key: string) => (shape[key] as z.ZodType).safeParse(input).success
  const first = (required.length > 0 ? required : Object.keys(shape)).find(takes)
  if (first === undefined) return required.length === 0 ? undefined : `write { ${required.map(open).join(', ')} }`
  const others = required.filter((key) => key !== first)
  return `write { ${[`${first}: ${input}`, ...others.map(open)].join(', ')} }`
}

/** Keys that every entry of a mapping of names may have. */
function entryKeys(schema: z.ZodType): string[] {
  const entry = entriesOf(schema)
  return entry === undefined ? [] : keysOf(entry.value)
}

function nameIt(schema: z.ZodType): string {
  const what = entriesOf(schema)?.key.meta()?.['entry']
  return `give ${typeof what === 'string' ? `the ${what}` : 'it'} a name`
}

function isOptional(schema: z.ZodType): boolean {
  return schema.safeParse(undefined).success
}

function open(key: string): string {
  return `${key}: …`
}
