import { z } from '../contracts/schema.ts'
import { formatBytes } from '../util/escapes.ts'
import { formatDuration, formatSize } from '../util/units.ts'

/** What a text in the configuration stands for: the markers of `contracts/schema.ts`, in words. */
export const markerWords = {
  expression: { words: 'expression', hint: 'An expression, such as msg.temp * 2.' },
  condition: { words: 'condition', hint: 'An expression that decides, such as msg.temp > 30.' },
  template: { words: 'text with `${…}`', hint: 'A text in which ${…} is evaluated.' },
  bytesTemplate: { words: 'bytes with `${…}`', hint: 'A text in which ${…} is evaluated and \\xHH is one byte.' },
  pathTemplate: { words: 'path with `${…}`', hint: 'A path in which ${…} is evaluated.' },
  endpoint: { words: 'name of an endpoint', hint: 'The name of an entry of listen or connect.' },
  steps: { words: 'list of steps', hint: 'Steps.' },
  dataflow: { words: 'dataflow', hint: 'Steps, or the name of an entry of dataflows.' },
  subscription: { words: 'subscription', hint: 'The key that names a subscription, and what is beside it.' },
  framing: { words: 'framing', hint: 'A framing by name, or with its options.' },
  format: { words: 'format', hint: 'A format by name, or with its options.' },
  duration: { words: 'duration', hint: 'A duration with its unit, such as 30s.' },
  size: { words: 'size', hint: 'A number of bytes with its unit, such as 64KiB.' },
  bytes: { words: 'bytes', hint: 'Bytes with escapes, such as "\\r\\n" or "\\x02", or { hex: "0d0a" }.' },
  secret: {
    words: 'secret text',
    hint: 'A secret: it appears in no log, error or dump. Use ${env.NAME} or ${file:…}.',
  },
} as const satisfies Record<string, { words: string; hint: string }>

export type Marker = keyof typeof markerWords

/**
 * Options as data: JSON Schema 2020-12, in which a value with a marker is one leaf `{ marker, description, … }`.
 * Functions, which only a TypeScript configuration can hold, are left out.
 */
export interface OptionsSchema {
  readonly marker?: Marker
  /** For a duration: `off` is allowed. */
  readonly off?: boolean
  readonly type?: string
  readonly description?: string
  readonly default?: unknown
  readonly examples?: readonly unknown[]
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly anyOf?: readonly OptionsSchema[]
  readonly properties?: Readonly<Record<string, OptionsSchema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: OptionsSchema | boolean
  readonly items?: OptionsSchema
  /** Options that contain others of their own kind: where in `$defs` they are. */
  readonly $ref?: string
  /** At the top alone. */
  readonly $defs?: Readonly<Record<string, OptionsSchema>>
  readonly [keyword: string]: unknown
}

/** Options as a user writes them, from their schema. */
export function describeOptions(schema: z.ZodType): OptionsSchema {
  const described = z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => {
      const { def } = zodSchema._zod
      if (def.type === 'custom') jsonSchema['marker'] = CODE
      if (def.type !== 'default') return
      const value = (def as z.core.$ZodDefaultDef).defaultValue
      jsonSchema.default = showDefault(value, jsonSchema['marker']) as typeof jsonSchema.default
    },
  })
  const { $schema: _, $defs, ...options } = tidy(described as OptionsSchema)
  if ($defs === undefined) return options
  return { ...options, $defs: Object.fromEntries(Object.entries($defs).map(([name, schema]) => [name, tidy(schema)])) }
}

/** What a schema is: the one that its `$ref` names, if it has one. */
export function resolveRef(schema: OptionsSchema, $defs: OptionsSchema['$defs']): OptionsSchema {
  const { $ref, ...rest } = schema
  return $ref === undefined ? schema : { ...$defs?.[$ref.slice('#/$defs/'.length)], ...rest }
}

/** What stands for a function until `tidy` takes it away. */
const CODE = 'code'

const LEAF = ['marker', 'off', 'description', 'default', 'examples'] as const

/** A default as a user would write it: 30000 as a duration is `30s`. */
function showDefault(value: unknown, marker: unknown): unknown {
  if (marker === 'duration' && typeof value === 'number') return value === 0 ? 'off' : formatDuration(value)
  if (marker === 'size' && typeof value === 'number') return formatSize(value)
  if (value instanceof Uint8Array) return formatBytes(value, Number.POSITIVE_INFINITY)
  return value
}

function tidy(schema: OptionsSchema): OptionsSchema {
  if (schema.marker !== undefined && Object.hasOwn(markerWords, schema.marker)) {
    return Object.fromEntries(LEAF.flatMap((key) => (key in schema ? [[key, schema[key]]] : [])))
  }
  const { oneOf, propertyNames, minimum, maximum, ...rest } = schema
  const alternatives = (rest.anyOf ?? (oneOf as OptionsSchema['anyOf']))?.filter((one) => !isCode(one)).map(tidy)
  const properties = Object.entries(rest.properties ?? {}).filter(([, property]) => !isCode(property))
  const tidied: OptionsSchema = {
    ...rest,
    ...(isLimit(minimum) ? { minimum } : {}),
    ...(isLimit(maximum) ? { maximum } : {}),
    ...(isObject(propertyNames) && 'enum' in propertyNames ? { propertyNames } : {}),
    ...(rest.properties && {
      properties: Object.fromEntries(properties.map(([name, property]) => [name, tidy(property)])),
    }),
    ...(rest.required && { required: rest.required.filter((name) => properties.some(([known]) => known === name)) }),
    ...(isObject(rest.additionalProperties) && { additionalProperties: tidy(rest.additionalProperties) }),
    ...(rest.items && { items: tidy(rest.items) }),
    ...(alternatives && { anyOf: alternatives }),
  }
  if (alternatives?.length !== 1) return tidied
  const { anyOf, ...outer } = tidied
  return { ...alternatives[0], ...outer }
}

function isCode(schema: OptionsSchema): boolean {
  return (schema.marker as unknown) === CODE
}

/** Zod writes the range of safe integers, which tells a reader nothing. */
function isLimit(value: unknown): boolean {
  return typeof value === 'number' && Math.abs(value) !== Number.MAX_SAFE_INTEGER
}

function isObject(value: unknown): value is OptionsSchema {
  return typeof value === 'object' && value !== null
}
