import type { PartDefinition } from '../contracts/define.ts'
import type { z } from '../contracts/schema.ts'
import { describeOptions, type Marker, markerWords, type OptionsSchema } from './options-schema.ts'
import { partKinds, type Registry } from './registry.ts'

/** A JSON Schema, or a part of one. */
export type JsonSchema = Readonly<Record<string, unknown>>

/** What `config/` knows of a configuration besides its parts. */
export interface ConfigSchemas {
  /** The whole configuration; its dataflows, framings and formats carry their markers. */
  readonly config: z.ZodType
  /** The keys that may stand beside the one that names a step. */
  readonly siblings: z.ZodType
  /** The keys that may stand beside the one that names a subscription. */
  readonly subscribe: z.ZodType
}

/**
 * The JSON Schema (2020-12) of configurations that use the parts of a registry, for editors: it completes, explains and
 * underlines. It allows everything that is valid; some mistakes only `sluice check` finds.
 */
export function createJsonSchema(registry: Registry, schemas: ConfigSchemas): JsonSchema {
  return {
    ...createFileSchema('Configuration of Sluice', schemas.config),
    $defs: {
      framing: oneOfParts(registry.list('framing')),
      format: oneOfParts(registry.list('format')),
      dataflow: {
        anyOf: [
          { type: 'string', description: 'The name of an entry of dataflows.' },
          { type: 'array', items: { $ref: '#/$defs/step' } },
        ],
      },
      step: stepSchema(registry, forEditors(describeOptions(schemas.siblings))),
      ...Object.assign({}, ...partKinds.flatMap((kind) => registry.list(kind)).map(ownDefs)),
      subscription: oneOfNamed(registry.list('subscription'), forEditors(describeOptions(schemas.subscribe))),
    },
  }
}

/** The JSON Schema of a file that names no parts. */
export function createFileSchema(title: string, schema: z.ZodType): JsonSchema {
  return { $schema: 'https://json-schema.org/draft/2020-12/schema', title, ...forEditors(describeOptions(schema)) }
}

/** `${env.NAME}` and `${file:…}` may stand for a number or a choice too, so a text that has one is let through. */
const REFERENCE = '\\$\\{'

const OFF = { const: false, description: 'off' } as const

const leaves: Readonly<Record<Marker, (schema: OptionsSchema) => JsonSchema>> = {
  expression: () => ({ type: ['string', 'number', 'boolean'] }),
  condition: () => ({ type: ['string', 'boolean'] }),
  template: () => ({ type: 'string' }),
  bytesTemplate: () => ({ type: 'string' }),
  pathTemplate: () => ({ type: 'string', minLength: 1 }),
  endpoint: () => ({ type: 'string', minLength: 1 }),
  dataflow: () => ({ $ref: '#/$defs/dataflow' }),
  steps: () => ({ type: 'array', items: { $ref: '#/$defs/step' } }),
  subscription: () => ({ $ref: '#/$defs/subscription' }),
  framing: () => ({ $ref: '#/$defs/framing' }),
  format: () => ({ $ref: '#/$defs/format' }),
  duration: ({ off }) => {
    const text = {
      type: 'string',
      pattern: `^\\d+(\\.\\d+)?\\s*(ms|s|m|min|h|d)$|${off ? '^off$|' : ''}${REFERENCE}`,
    }
    return off ? { anyOf: [text, OFF] } : text
  },
  size: () => ({
    type: ['integer', 'string'],
    minimum: 0,
    pattern: `^\\d+(\\.\\d+)?\\s*(B|[kKMG]B|[KMG]iB)$|${REFERENCE}`,
  }),
  bytes: () => ({
    anyOf: [
      { type: 'string' },
      { type: 'object', properties: { hex: { type: 'string' } }, required: ['hex'], additionalProperties: false },
    ],
  }),
  secret: () => ({ type: 'string' }),
}

/** The `$defs` of a part that has options within options of the same kind, under names of its own. */
function ownDefs({ name, options }: PartDefinition): JsonSchema {
  const { $defs = {} } = describeOptions(options)
  return Object.fromEntries(Object.entries($defs).map(([key, def]) => [`${name}-${key}`, forEditors(def, name)]))
}

/**
 * Options with what the markers stand for written out.
 * @param part whose options they are; its name stands in front of the `$defs` that they mean
 */
function forEditors(schema: OptionsSchema, part = ''): JsonSchema {
  const { marker, off: _, $defs, $ref, ...rest } = schema
  if (marker !== undefined) {
    const description = [schema.description, markerWords[marker].hint].filter((text) => text !== undefined).join(' ')
    return { ...rest, description, ...leaves[marker](schema) }
  }
  const { properties, additionalProperties, items, anyOf } = rest
  const inner = (one: OptionsSchema) => forEditors(one, part)
  return {
    ...withReference(rest),
    ...($ref !== undefined && { $ref: $ref.replace('#/$defs/', `#/$defs/${part}-`) }),
    ...(properties && { properties: mapValues(properties, inner) }),
    ...(typeof additionalProperties === 'object' && { additionalProperties: inner(additionalProperties) }),
    ...(items && { items: inner(items) }),
    ...(anyOf && { anyOf: anyOf.map(inner) }),
  }
}

function withReference(schema: OptionsSchema): OptionsSchema | JsonSchema {
  const { type } = schema
  if (type !== 'integer' && type !== 'number' && type !== 'boolean') return schema
  if (schema.const !== undefined) return schema
  return { ...schema, type: [type, 'string'], pattern: REFERENCE }
}

/** A part by its name alone, if it needs no options, or as a mapping with the name as its one key. */
function oneOfParts(definitions: readonly PartDefinition[]): JsonSchema {
  return {
    anyOf: [
      ...namesAlone(definitions),
      {
        type: 'object',
        properties: Object.fromEntries(definitions.map((definition) => [definition.name, partSchema(definition)])),
        minProperties: 1,
        maxProperties: 1,
        additionalProperties: false,
      },
    ],
  }
}

function namesAlone(definitions: readonly PartDefinition[]): JsonSchema[] {
  const alone = definitions.filter(({ options }) => options.safeParse({}).success)
  return alone.map(({ name, summary }) => ({ const: name, description: summary }))
}

/** What stands behind a part's name: its options, or the short form. */
function partSchema(definition: PartDefinition): JsonSchema {
  const options = describeOptions(definition.options)
  const long = forEditors(options, definition.name)
  const about = { description: definition.summary, ...examplesOf(definition) }
  const short = definition.short === undefined ? undefined : options.properties?.[definition.short]
  const nothing = definition.options.safeParse({}).success ? [{ type: 'null' }] : []
  if (short === undefined && nothing.length === 0) {
    const description = [definition.summary, long['description']].filter((text) => text !== undefined).join(' ')
    return { ...long, ...about, description }
  }
  return { ...about, anyOf: [...(short ? [forEditors(short, definition.name)] : []), long, ...nothing] }
}

function examplesOf(definition: PartDefinition): JsonSchema {
  const examples =
    definition.kind === 'step' || definition.kind === 'sink' || definition.kind === 'subscription'
      ? definition.examples.map(({ config }) => config[definition.name])
      : definition.examples.map(({ options }) => options)
  const written = examples.filter((example) => example !== undefined && !hasCode(example))
  return written.length === 0 ? {} : { examples: written }
}

/** Functions and binary values of an example for TypeScript have no place in JSON. */
function hasCode(value: unknown): boolean {
  if (typeof value === 'function' || value instanceof Uint8Array) return true
  return typeof value === 'object' && value !== null && Object.values(value).some(hasCode)
}

/** One mapping with all names as its keys, so that an editor completes them; of the names exactly one is there. Or a name alone. */
function stepSchema(registry: Registry, siblings: JsonSchema): JsonSchema {
  const parts = [...registry.list('step'), ...registry.list('sink')]
  return { anyOf: [oneOfNamed(parts, siblings), ...namesAlone(parts)] }
}

/** A mapping in which exactly one key names a part, and the others are those beside it. */
function oneOfNamed(parts: readonly PartDefinition[], beside: JsonSchema): JsonSchema {
  const own = Object.fromEntries(parts.map((definition) => [definition.name, partSchema(definition)]))
  return {
    type: 'object',
    properties: { ...own, ...(beside['properties'] as JsonSchema) },
    additionalProperties: false,
    ...(parts.length > 0 && { oneOf: parts.map(({ name }) => ({ required: [name] })) }),
  }
}

function mapValues<From, To>(values: Readonly<Record<string, From>>, change: (value: From) => To): Record<string, To> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, change(value)]))
}
