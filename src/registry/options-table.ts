import { code, inlineValue, table } from './markdown.ts'
import { markerWords, type OptionsSchema, resolveRef } from './options-schema.ts'

/** All options with type, default and meaning; options of options as `outer.inner`. '' when there are none. */
export function optionsTable(schema: OptionsSchema): string {
  const rows = rowsOf(schema, '', { paths: new Set(), refs: new Set(), $defs: schema.$defs })
  if (rows.length > 0) return table(['option', 'type', 'default', 'meaning'], rows)
  const type = typeInWords(schema)
  return schema.properties === undefined || schema.description !== undefined
    ? table(['type', 'meaning'], [[type, schema.description ?? '']])
    : ''
}

/** What a user may write: `duration`, `"big" or "little"`, `list of bytes`. */
export function typeInWords(given: OptionsSchema, $defs?: OptionsSchema['$defs']): string {
  const schema = resolveRef(given, $defs)
  const words = (inner: OptionsSchema) => typeInWords(inner, $defs)
  const { marker, off, anyOf, items, additionalProperties, properties, type } = schema
  if (marker !== undefined) return markerWords[marker].words + (off ? ' or `off`' : '')
  if (anyOf !== undefined) {
    const isFew = anyOf.filter((one) => one.properties !== undefined).length <= 4
    return joined(anyOf.map((one) => (isFew ? alternativeInWords(one, words) : words(one))))
  }
  if (schema.enum !== undefined) return joined(schema.enum.map(inlineValue))
  if (schema.const !== undefined) return inlineValue(schema.const)
  if (type === 'array') return items === undefined ? 'list' : `list of ${plural(words(items))}`
  if (type === 'object' && properties === undefined && typeof additionalProperties === 'object') {
    // Where its values may be whatever JSON has, that it is a mapping says it all.
    if (Object.keys(additionalProperties).length === 0) return 'mapping'
    return `mapping of names to ${plural(words(additionalProperties))}`
  }
  return type === undefined ? 'any value' : `${SIMPLE[type] ?? type}${range(schema)}`
}

/** Options that are one of several ways to write something are told by their names, if these are few. */
function alternativeInWords(schema: OptionsSchema, words: (schema: OptionsSchema) => string): string {
  const names = Object.keys(schema.properties ?? {})
  return names.length > 0 && names.length <= 4 ? code(`{ ${names.join(', ')} }`) : words(schema)
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

/** What has rows already. */
interface Shown {
  readonly paths: Set<string>
  readonly refs: Set<string>
  readonly $defs: OptionsSchema['$defs']
}

/** Options of options are shown once: the alternatives of a choice often share some, and some contain themselves. */
function rowsOf(given: OptionsSchema, prefix: string, shown: Shown): string[][] {
  if (given.$ref !== undefined && shown.refs.has(given.$ref)) return []
  if (given.$ref !== undefined) shown.refs.add(given.$ref)
  const schema = joinObjects(resolveRef(given, shown.$defs), shown.$defs)
  const own = Object.entries(schema.properties ?? {}).flatMap(([name, option]) => {
    const path = `${prefix}${name}`
    const isNew = !shown.paths.has(path)
    shown.paths.add(path)
    const row = rowOf(path, resolveRef(option, shown.$defs), schema.required?.includes(name) === true, shown.$defs)
    return [...(isNew ? [row] : []), ...rowsOf(option, `${path}.`, shown)]
  })
  const { additionalProperties, items } = schema
  return [
    ...own,
    ...(typeof additionalProperties === 'object' ? rowsOf(additionalProperties, `${prefix}NAME.`, shown) : []),
    ...(items === undefined ? [] : rowsOf(items, prefix === '' ? '' : `${prefix.slice(0, -1)}[].`, shown)),
    ...(schema.anyOf ?? []).flatMap((alternative) => rowsOf(alternative, prefix, shown)),
  ]
}

/**
 * A choice of mappings, told apart by what a key such as `type` says, as one mapping with the keys of all: a row then has
 * all that a key may mean.
 */
function joinObjects(schema: OptionsSchema, $defs: OptionsSchema['$defs']): OptionsSchema {
  const { anyOf, ...rest } = schema
  const objects = anyOf?.flatMap(({ properties, required }) => (properties ? [{ properties, required }] : [])) ?? []
  if (objects.length < 2 || objects.length !== anyOf!.length) return schema
  const names = [...new Set(objects.flatMap(({ properties }) => Object.keys(properties)))]
  const properties = names.map((name) => {
    const options = objects.flatMap((one): OptionsSchema[] => (one.properties[name] ? [one.properties[name]] : []))
    return [name, joinOptions(options, $defs)]
  })
  const required = names.filter((name) => objects.every((one) => one.required?.includes(name)))
  return { ...rest, properties: Object.fromEntries(properties), required }
}

function joinOptions(options: readonly OptionsSchema[], $defs: OptionsSchema['$defs']): OptionsSchema {
  const different = [...new Map(options.map((option) => [JSON.stringify(option), option])).values()]
  if (different.length === 1) return different[0]!
  const descriptions = different.flatMap((option) => resolveRef(option, $defs).description ?? [])
  const description = [...new Set(descriptions)].join(' ')
  return { anyOf: different.map(({ description: _, default: __, ...option }) => option), description }
}

function rowOf(path: string, option: OptionsSchema, required: boolean, $defs: OptionsSchema['$defs']): string[] {
  const standard = option.default === undefined ? (required ? 'required' : '') : defaultInWords(option)
  return [code(path), typeInWords(option, $defs), standard, option.description ?? '']
}

function defaultInWords({ default: value, marker, properties }: OptionsSchema): string {
  if (properties !== undefined) return ''
  return marker !== undefined && typeof value === 'string' ? code(value) : inlineValue(value)
}
