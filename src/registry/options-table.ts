import { code, inlineValue, table } from './markdown.ts'
import { markerWords, type OptionsSchema } from './options-schema.ts'

/** All options with type, default and meaning; options of options as `outer.inner`. '' when there are none. */
export function optionsTable(schema: OptionsSchema): string {
  const rows = rowsOf(schema, '', new Set())
  if (rows.length > 0) return table(['option', 'type', 'default', 'meaning'], rows)
  const type = typeInWords(schema)
  return schema.properties === undefined || schema.description !== undefined
    ? table(['type', 'meaning'], [[type, schema.description ?? '']])
    : ''
}

/** What a user may write: `duration`, `"big" or "little"`, `list of bytes`. */
export function typeInWords(schema: OptionsSchema): string {
  const { marker, off, anyOf, items, additionalProperties, properties, type } = schema
  if (marker !== undefined) return markerWords[marker].words + (off ? ' or `off`' : '')
  if (anyOf !== undefined) return joined(anyOf.map(alternativeInWords))
  if (schema.enum !== undefined) return joined(schema.enum.map(inlineValue))
  if (schema.const !== undefined) return inlineValue(schema.const)
  if (type === 'array') return items === undefined ? 'list' : `list of ${plural(typeInWords(items))}`
  if (type === 'object' && properties === undefined && typeof additionalProperties === 'object') {
    return `mapping of names to ${plural(typeInWords(additionalProperties))}`
  }
  return type === undefined ? 'any value' : `${SIMPLE[type] ?? type}${range(schema)}`
}

/** Options that are one of several ways to write something are told by their names, if these are few. */
function alternativeInWords(schema: OptionsSchema): string {
  const names = Object.keys(schema.properties ?? {})
  return names.length > 0 && names.length <= 4 ? code(`{ ${names.join(', ')} }`) : typeInWords(schema)
}

const SIMPLE: Readonly<Record<string, string>> = {
  string: 'text',
  boolean: '`true` or `false`',
  integer: 'whole number',
  number: 'number',
  object: 'options',
  array: 'list',
  null: 'nothing',
}

function range({ minimum, maximum }: OptionsSchema): string {
  if (minimum !== undefined && maximum !== undefined) return ` from ${String(minimum)} to ${String(maximum)}`
  if (minimum !== undefined) return ` of at least ${String(minimum)}`
  return maximum === undefined ? '' : ` of at most ${String(maximum)}`
}

function joined(words: readonly string[]): string {
  const [last, ...rest] = [...new Set(words)].reverse()
  return rest.length === 0 ? (last ?? '') : `${rest.reverse().join(', ')} or ${last}`
}

function plural(words: string): string {
  return words.replace(
    /^(text|whole number|number|expression|condition|duration|size|dataflow|framing|format|list|mapping)\b/,
    '$1s',
  )
}

/** Options of options are shown once: the alternatives of a choice often share some. */
function rowsOf(schema: OptionsSchema, prefix: string, shown: Set<string>): string[][] {
  const own = Object.entries(schema.properties ?? {}).flatMap(([name, option]) => {
    const path = `${prefix}${name}`
    const inner = rowsOf(option, `${path}.`, shown)
    if (shown.has(path)) return inner
    shown.add(path)
    return [rowOf(path, option, schema.required?.includes(name) === true), ...inner]
  })
  const { additionalProperties, items } = schema
  return [
    ...own,
    ...(typeof additionalProperties === 'object' ? rowsOf(additionalProperties, `${prefix}NAME.`, shown) : []),
    ...(items === undefined ? [] : rowsOf(items, prefix === '' ? '' : `${prefix.slice(0, -1)}[].`, shown)),
    ...(schema.anyOf ?? []).flatMap((alternative) => rowsOf(alternative, prefix, shown)),
  ]
}

function rowOf(path: string, option: OptionsSchema, required: boolean): string[] {
  const standard = option.default === undefined ? (required ? 'required' : '') : defaultInWords(option)
  return [code(path), typeInWords(option), standard, option.description ?? '']
}

function defaultInWords({ default: value, marker, properties }: OptionsSchema): string {
  if (properties !== undefined) return ''
  return marker !== undefined && typeof value === 'string' ? code(value) : inlineValue(value)
}
