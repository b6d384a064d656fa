import { z } from '../contracts/schema.ts'
import type { ConfigPath } from './problems.ts'

/**
 * Looks into schemas. Validation needs it to say in words what an option takes, and the environment to know which texts
 * are templates; both ask here, so that only this file knows how the schema library nests.
 */

/** What the options of a part say by `.meta({ marker })`; see `contracts/schema.ts`. */
export function markerOf(schema: z.ZodType): string | undefined {
  const marker = metaOf(schema, 'marker')
  return typeof marker === 'string' ? marker : undefined
}

/** What a schema, or one that it wraps, says by `.meta` under a key. */
export function metaOf(schema: z.ZodType, key: string): unknown {
  for (let inner: z.ZodType | undefined = schema; inner !== undefined; inner = inside(inner)) {
    const value = inner.meta()?.[key]
    if (value !== undefined) return value
  }
  return undefined
}

/** The schema without what only makes it optional, gives it a default or changes its result. */
export function unwrap(schema: z.ZodType): z.ZodType {
  let inner = schema
  for (let next = inside(inner); next !== undefined; next = inside(inner)) inner = next
  return inner
}

/** The schemas of which any may hold; just the one, unwrapped, when it is no union. One with a marker stays whole. */
export function alternatives(schema: z.ZodType): z.ZodType[] {
  if (markerOf(schema) !== undefined) return [schema]
  const inner = unwrap(schema)
  return inner instanceof z.ZodUnion ? inner.options.flatMap((option) => alternatives(option as z.ZodType)) : [inner]
}

/** As {@link alternatives}, but with what a marker stands on: a duration is a text or false. */
export function rawAlternatives(schema: z.ZodType): z.ZodType[] {
  const inner = unwrap(schema)
  return inner instanceof z.ZodUnion ? inner.options.flatMap((option) => rawAlternatives(option as z.ZodType)) : [inner]
}

/**
 * The schema of what stands under a key of a mapping or at an index of a list; undefined when nothing may, or when it is
 * not for this schema to say, as within the options of a framing. Where a key such as `type` tells several mappings apart,
 * it may be what any of them says.
 */
export function childOf(schema: z.ZodType, key: string | number): z.ZodType | undefined {
  const children = new Set<z.ZodType>()
  for (const alternative of alternatives(schema)) {
    const marker = markerOf(alternative)
    if (marker !== undefined && marker !== 'bytes') continue
    for (const branch of rawAlternatives(alternative)) {
      const child = childOfOne(branch, key) as z.ZodType | undefined
      if (child !== undefined && !(child instanceof z.ZodNever)) children.add(child)
    }
  }
  const [first, ...others] = children
  return others.length > 0 && isDiscriminator(schema, key) ? z.union([first!, ...others]) : first
}

function isDiscriminator(schema: z.ZodType, key: string | number): boolean {
  const inner = unwrap(schema)
  return inner instanceof z.ZodDiscriminatedUnion && inner.def.discriminator === key
}

/** The schema at a path; undefined when the schema says nothing of it. */
export function schemaAt(schema: z.ZodType, path: ConfigPath): z.ZodType | undefined {
  let found: z.ZodType | undefined = schema
  for (const key of path) found = found && childOf(found, key)
  return found
}

/** The keys that a mapping may have, if it has a fixed set of them. */
export function keysOf(schema: z.ZodType): string[] {
  return alternatives(schema)
    .map(unwrap)
    .flatMap((branch) => (branch instanceof z.ZodObject ? Object.keys(branch.shape) : []))
}

/** The schemas of a key and a value of a mapping whose keys the user chooses; undefined when it is none. */
export function entriesOf(schema: z.ZodType): { readonly key: z.ZodType; readonly value: z.ZodType } | undefined {
  const record = alternatives(schema)
    .map(unwrap)
    .find((branch) => branch instanceof z.ZodRecord)
  return record && { key: record.keyType as z.ZodType, value: record.valueType as z.ZodType }
}

/** What stands at a path of a value; undefined when nothing does. */
export function valueAt(value: unknown, path: ConfigPath): unknown {
  let found = value
  for (const key of path) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, key)) return undefined
    found = (found as Record<string | number, unknown>)[key]
  }
  return found
}

/** True for what YAML calls a mapping. */
export function isMapping(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

function inside(schema: z.ZodType): z.ZodType | undefined {
  if (
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodNullable ||
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault ||
    schema instanceof z.ZodReadonly ||
    schema instanceof z.ZodLazy
  ) {
    return schema.unwrap() as z.ZodType
  }
  if (schema instanceof z.ZodPipe) {
    return (schema.in instanceof z.ZodTransform ? schema.out : schema.in) as z.ZodType
  }
  return undefined
}

function childOfOne(schema: z.ZodType, key: string | number): unknown {
  if (schema instanceof z.ZodObject) {
    return Object.hasOwn(schema.shape, key) ? schema.shape[key] : schema.def.catchall
  }
  if (schema instanceof z.ZodRecord) return schema.valueType
  if (schema instanceof z.ZodArray) return typeof key === 'number' ? schema.element : undefined
  if (schema instanceof z.ZodTuple)
    return typeof key === 'number' ? (schema.def.items[key] ?? schema.def.rest) : undefined
  return undefined
}
