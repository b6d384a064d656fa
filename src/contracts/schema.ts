/**
 * Options and their markers. This is the one file that names the schema library.
 *
 * A part declares its options with `z` and with the markers below. A marker says what a text in the configuration
 * stands for; `config/` resolves it, so that the part receives a compiled function, a built framing or plain bytes and
 * never the text.
 */
import { z } from 'zod'
import { EscapeError, parseBytes } from '../util/escapes.ts'
import { hostProblem } from '../util/host.ts'
import { parseDuration, parseSize } from '../util/units.ts'
import type { Dataflow } from './dataflow.ts'
import type { Format } from './format.ts'
import type { Framing } from './framing.ts'
import type { Message } from './message.ts'

export { z }

/** A compiled expression: gives the value for a message. @throws SluiceError `expression_failed` */
export interface Expression<T = unknown> {
  (message: Message): T
  /** As it was written. */
  readonly source: string
  /** True when it gives the value of the message itself, unchanged: `msg`. */
  readonly isMessage: boolean
  /** True for a function of a TypeScript configuration: it runs on the server's own thread, unprotected. */
  readonly isFunction?: boolean
}

/** A compiled text with `${…}` in it. A text that is exactly one `${…}` gives the value with its type. */
export type Template = Expression

/**
 * A compiled path with `${…}` in it, whose values cannot leave their place in it.
 * @throws SluiceError `expression_failed`, also for a value that cannot be a part of a path
 */
export interface PathTemplate extends Expression<string> {
  /** The path, where it is the same for every message. */
  readonly fixed: string | undefined
}

/** What a marker stands for until `config/` resolves it. */
export type MarkerKind =
  | 'expression'
  | 'condition'
  | 'template'
  | 'bytesTemplate'
  | 'pathTemplate'
  | 'endpoint'
  | 'dataflow'
  | 'framing'
  | 'format'

/** A value of the configuration that waits to be resolved. */
export class Unresolved {
  readonly kind: MarkerKind
  readonly value: unknown
  /** Decode `\r`, `\x02` and the like in the literal parts of a template. */
  readonly escapes: boolean
  /** Show bytes inside a template with escapes, whatever they are. */
  readonly showBytes: boolean

  constructor(kind: MarkerKind, value: unknown, { escapes = false, showBytes = false }: TemplateMarker = {}) {
    this.kind = kind
    this.value = value
    this.escapes = escapes
    this.showBytes = showBytes
  }
}

/** What a template is for. */
interface TemplateMarker {
  /** `\r` and `\x02` in it mean those bytes. Default false. */
  readonly escapes?: boolean
  /** It is for people: bytes inside appear with escapes. Default false: they are UTF-8 text, or the message fails. */
  readonly showBytes?: boolean
}

/** A function of a TypeScript configuration, which may stand wherever an expression may. */
export type UserFunction<T = unknown> = (msg: never, message: Message) => T | void

const userFunction = z.custom<UserFunction>((value) => typeof value === 'function', 'expected a function')

function marker<Out, In>(input: z.ZodType<In>, kind: MarkerKind, options?: TemplateMarker): z.ZodType<Out, In> {
  const waiting = input.transform((value) => new Unresolved(kind, value, options))
  return waiting.meta({ marker: kind }) as unknown as z.ZodType<Out, In>
}

/** An expression whose value is used: `msg.temp * 2`. */
export function expr(): z.ZodType<Expression, string | number | boolean | UserFunction> {
  return marker(z.union([z.string(), z.number(), z.boolean(), userFunction]), 'expression')
}

/** An expression that decides: `msg.temp > 30`. Ordering against a missing key is false here. */
export function condition(): z.ZodType<Expression<boolean>, string | boolean | UserFunction> {
  return marker(z.union([z.string(), z.boolean(), userFunction]), 'condition')
}

/** A text in which `${…}` is evaluated. */
export function template(options: TemplateMarker = {}): z.ZodType<Template, string | UserFunction> {
  return marker(z.union([z.string(), userFunction]), 'template', options)
}

/** Bytes in which `${…}` is evaluated: `\xHH` is one byte, texts are UTF-8, bytes stay as they are. Gives a Buffer. */
export function bytesTemplate(): z.ZodType<Expression<Buffer>, string | UserFunction> {
  return marker(z.union([z.string(), userFunction]), 'bytesTemplate', { escapes: true })
}

/**
 * A path in which `${…}` is evaluated: each value is a part of a name, so that no message can lead elsewhere. `${env.NAME}`
 * and `${file:PATH}` are put in when the file is loaded, and may hold whole paths.
 */
export function pathTemplate(): z.ZodType<PathTemplate, string> {
  return marker(z.string().min(1), 'pathTemplate')
}

/** The name of an endpoint that has clients: of an entry of `listen:` or `connect:`. */
export function endpointName(): z.ZodType<string, string> {
  return marker(z.string().min(1), 'endpoint')
}

/** Steps, or the name of an entry of `dataflows:`. */
export function dataflow(): z.ZodType<Dataflow, unknown> {
  return marker(z.union([z.string(), z.array(z.unknown())]), 'dataflow')
}

/** A framing by name, or with options: `line`, `{ fixed: { length: 20 } }`. */
export function framingOption(): z.ZodType<Framing, string | Record<string, unknown>> {
  return marker(z.union([z.string(), z.record(z.string(), z.unknown())]), 'framing')
}

/** A format by name, or with options. */
export function formatOption(): z.ZodType<Format, string | Record<string, unknown>> {
  return marker(z.union([z.string(), z.record(z.string(), z.unknown())]), 'format')
}

/** Milliseconds in 24 days. A timer of Node.js that is longer than 2^31-1 ms (24.8 days) ends after 1 ms. */
const LONGEST_DURATION = 24 * 24 * 3_600_000

/** Milliseconds in 10,000 days, some 27 years. */
const LONGEST_AGE = 10_000 * 24 * 3_600_000

/**
 * A time with its unit, at most 24 days; the part receives milliseconds. `off` (0) only with `off: true`. With `age: true`
 * it is compared with the clock and given to no timer, so it may be longer.
 */
export function duration(options: { off?: boolean; age?: boolean } = {}): z.ZodType<number, string | false> {
  const expected = `expected a duration with a unit, such as 30s${options.off ? ', or off' : ''}`
  return z
    .union([z.string(), z.literal(false)])
    .transform((value, context) => {
      if (options.off && (value === false || value === 'off')) return 0
      const milliseconds = value === false ? undefined : parseDuration(value)
      if (milliseconds !== undefined && milliseconds <= (options.age ? LONGEST_AGE : LONGEST_DURATION)) {
        return milliseconds
      }
      const longest = options.age ? '10000 days (10000d)' : '24 days (24d)'
      const message = milliseconds === undefined ? expected : `a duration can be at most ${longest}`
      context.addIssue({ code: 'custom', message })
      return z.NEVER
    })
    .meta({ marker: 'duration', ...(options.off ? { off: true } : {}) })
}

/**
 * The name or the address of a host, without a port, a scheme or blanks.
 * @param options `socketFolder`: an absolute path, the folder of a Unix socket, may stand in its place
 */
export function host({ socketFolder = false } = {}): z.ZodString {
  return z
    .string()
    .min(1)
    .superRefine((text, context) => {
      if (!socketFolder || !text.startsWith('/')) requireHost(text, context)
    })
}

/** Reports a text that cannot be a {@link host}. For `superRefine`. */
export function requireHost(text: string, context: z.core.$RefinementCtx): void {
  const problem = hostProblem(text)
  if (problem === undefined) return
  context.addIssue({ code: 'custom', message: problem.message, params: { hint: problem.hint } })
}

/** A number of bytes with its unit; the part receives bytes. */
export function size(): z.ZodType<number, string | number> {
  return z
    .union([z.string(), z.int().nonnegative()])
    .transform((value, context) => {
      const bytes = typeof value === 'number' ? value : parseSize(value)
      if (bytes !== undefined) return bytes
      context.addIssue({ code: 'custom', message: 'expected a size with a unit, such as 64KiB' })
      return z.NEVER
    })
    .meta({ marker: 'size' })
}

/** Bytes, written with escapes (`"\r\n"`, `"\x02"`) or as `{ hex: "0d0a" }`. At least one byte. */
export function bytes(): z.ZodType<Buffer, string | { hex: string } | Uint8Array> {
  const hex = z.strictObject({ hex: z.string() })
  const binary = z.custom<Uint8Array>((value) => value instanceof Uint8Array, 'expected bytes')
  return z
    .union([z.string(), hex, binary])
    .transform((value, context) => {
      const result = toBytes(value)
      if (typeof result === 'string') context.addIssue({ code: 'custom', message: result })
      else if (result.length === 0) context.addIssue({ code: 'custom', message: 'expected at least one byte' })
      else return result
      return z.NEVER
    })
    .meta({ marker: 'bytes' })
}

/**
 * A schema of a mapping whose keys the user chooses, or of a union with one. Zod leaves the key `__proto__` out without
 * a word; here it is refused.
 */
export function withoutProto<Schema extends z.ZodType>(schema: Schema): z.ZodType<z.output<Schema>, z.input<Schema>> {
  const checked = z.preprocess((value, context) => {
    if (typeof value === 'object' && value !== null && Object.hasOwn(value, '__proto__')) {
      const message = '__proto__ cannot be used as a name'
      context.addIssue({ code: 'custom', message, path: ['__proto__'], params: { at: 'key' } })
    }
    return value
  }, schema)
  return checked as unknown as z.ZodType<z.output<Schema>, z.input<Schema>>
}

/** A text that must never appear in an error, a log or a dump. */
export function secret(): z.ZodType<string, string> {
  return z.string().meta({ marker: 'secret' })
}

function toBytes(value: string | { hex: string } | Uint8Array): Buffer | string {
  if (value instanceof Uint8Array) return Buffer.from(value)
  if (typeof value !== 'string') {
    const digits = value.hex.replaceAll(/\s/g, '')
    if (!/^([0-9a-f]{2})*$/i.test(digits)) return 'expected pairs of hexadecimal digits, such as hex: "0d0a"'
    return Buffer.from(digits, 'hex')
  }
  try {
    return parseBytes(value)
  } catch (error) {
    if (error instanceof EscapeError) return error.message
    throw error
  }
}
