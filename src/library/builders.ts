import type { FormatDefinition, PartDefinition } from '../contracts/define.ts'
import type { z } from '../contracts/schema.ts'
import { formats, framings, sinks } from '../registry/builtins.ts'

declare const valueType: unique symbol

/** A framing in a TypeScript configuration: the mapping that YAML would have, `{ line: {} }`. */
export interface FramingRef {
  readonly [name: string]: unknown
}

/** A format in a TypeScript configuration. It carries the type of the values that it gives. */
export interface FormatRef<Value = unknown> {
  readonly [name: string]: unknown
  readonly [valueType]?: Value
}

declare const stepKind: unique symbol

/** A step in a TypeScript configuration: what would stand in a dataflow. */
export interface StepRef {
  readonly [stepKind]: 'step' | 'sink'
}

/** A sink in a TypeScript configuration. */
export interface SinkRef extends StepRef {
  readonly [stepKind]: 'sink'
}

/** A subscription in a TypeScript configuration: what stands under a name of `subscribe:`, without what is beside it. */
export interface SubscriptionRef {
  readonly [name: string]: unknown
}

/** The type of the values that a format gives. */
export type ValueOf<Ref> = Ref extends FormatRef<infer Value> ? Value : never

/** The framings: `framing.line()`, `framing.lengthPrefix({ bytes: 2 })`. */
export const framing = refs(framings) as {
  readonly [D in (typeof framings)[number] as BuilderName<D>]: Builder<D, FramingRef>
}

/** The formats: `format.json<Reading>()`, `format.text('latin1')`. */
export const format = refs(formats) as {
  readonly [D in (typeof formats)[number] as BuilderName<D>]: FormatBuilder<D>
}

/** The sinks: `sink.sqlite({ file: 'readings.db', table: 'readings' })`. */
export const sink = refs(sinks) as {
  readonly [D in (typeof sinks)[number] as BuilderName<D>]: Builder<D, SinkRef>
}

/**
 * The builder of a part of your own, as `sink.sqlite` is that of a built-in one. The part must also be in the registry
 * that `createServer` is given.
 */
export function part<D extends PartDefinition>(definition: D): PartBuilder<D> {
  return builder(definition) as PartBuilder<D>
}

type PartBuilder<D extends PartDefinition> = D extends FormatDefinition
  ? FormatBuilder<D>
  : Builder<
      D,
      { framing: FramingRef; format: never; step: StepRef; sink: SinkRef; subscription: SubscriptionRef }[D['kind']]
    >

type BuilderName<D extends PartDefinition> = CamelCase<D['name']>

type CamelCase<Name extends string> = Name extends `${infer Head}-${infer Tail}`
  ? `${Head}${Capitalize<CamelCase<Tail>>}`
  : Name

/** The options as a user writes them, or the short form. */
export type Written<D extends PartDefinition> = z.input<D['options']> | ShortForm<D, z.input<D['options']>>

type ShortForm<D extends PartDefinition, Options> = D extends { short?: infer Short extends string }
  ? Short extends keyof Options
    ? Exclude<Options[Short], undefined>
    : never
  : never

/** Options may be left out where none is required. */
type Arguments<D extends PartDefinition> =
  Record<never, never> extends z.input<D['options']> ? [options?: Written<D>] : [options: Written<D>]

type Builder<D extends PartDefinition, Ref> = (...options: Arguments<D>) => Ref

/** A format that knows the type of its values says it; one that does not takes it from the caller. */
type FormatBuilder<D extends PartDefinition> =
  D extends FormatDefinition<string, z.ZodType, string, infer Value>
    ? unknown extends Value
      ? <Value = unknown>(...options: Arguments<D>) => FormatRef<Value>
      : Builder<D, FormatRef<Value>>
    : never

function refs(definitions: readonly PartDefinition[]): unknown {
  return Object.fromEntries(definitions.map((definition) => [camelCase(definition.name), builder(definition)]))
}

function builder({ name }: PartDefinition): unknown {
  return (options: unknown = {}) => ({ [name]: options })
}

function camelCase(name: string): string {
  return name.replaceAll(/-(.)/g, (_, letter: string) => letter.toUpperCase())
}
