import type { Clock } from '../../contracts/clock.ts'
import { isMap } from '../values.ts'

/** A kind of argument: what it accepts and what it turns it into. */
export interface Kind<T> {
  /** As the reference shows it. */
  readonly name: string
  /** As an error says it: "takes a number". */
  readonly expected: string
  /** The value as the function gets it; undefined when it is refused. */
  accept(value: unknown): T | undefined
  /** The accepted texts, where there are only some, and what they are names of. */
  readonly choices?: { readonly noun: string; readonly words: readonly string[] }
}

export interface Param<T = unknown> {
  readonly name: string
  readonly kind: Kind<T>
  /** May be left out; the function then gets undefined. */
  readonly optional?: true
  /** Takes all further arguments, at least one. */
  readonly rest?: true
}

type Arguments<P> = P extends readonly [infer First, ...infer Others]
  ? First extends { rest: true; kind: Kind<infer T> }
    ? [T, ...T[]]
    : First extends { optional: true; kind: Kind<infer T> }
      ? [(T | undefined)?, ...Arguments<Others>]
      : First extends { kind: Kind<infer T> }
        ? [T, ...Arguments<Others>]
        : never
  : []

/** A function of the expression language, with what the reference page says of it. */
export interface FunctionDefinition {
  readonly params: readonly Param[]
  /** One sentence. */
  readonly summary: string
  /** An expression, and its result as an expression. Both are run by the tests. */
  readonly example: string
  readonly result: string
  /** A test that is false in a condition when its first argument is missing, like an ordering. */
  readonly predicate: boolean
  /** @throws ValueError; the caller adds which call it was */
  readonly run: (clock: Clock, args: readonly unknown[]) => unknown
}

interface Definition<P> {
  readonly params: P
  readonly summary: string
  readonly example: string
  readonly result: string
  readonly predicate?: boolean
}

/** A function refuses a value. It names neither itself nor the argument. */
export class ValueError extends Error {
  override readonly name = 'ValueError'
  /** What to write instead, given the first argument as it was written. */
  readonly cure: ((argument: string) => string) | undefined

  constructor(message: string, cure?: (argument: string) => string) {
    super(message)
    this.cure = cure
  }
}

/** Declares a function of its arguments alone. */
export function define<const P extends readonly Param[]>(
  definition: Definition<P> & { readonly run: (...args: Arguments<P>) => unknown },
): FunctionDefinition {
  const run = definition.run as (...args: readonly unknown[]) => unknown
  return { ...definition, predicate: definition.predicate ?? false, run: (_, args) => run(...args) }
}

/** Declares a function that takes time, identity or sequence from the message's clock. */
export function defineClocked<const P extends readonly Param[]>(
  definition: Definition<P> & { readonly run: (clock: Clock, ...args: Arguments<P>) => unknown },
): FunctionDefinition {
  const run = definition.run as (clock: Clock, ...args: readonly unknown[]) => unknown
  return { ...definition, predicate: definition.predicate ?? false, run: (clock, args) => run(clock, ...args) }
}

export function param<T>(name: string, kind: Kind<T>): { name: string; kind: Kind<T> } {
  return { name, kind }
}

export function optional<T>(name: string, kind: Kind<T>): { name: string; kind: Kind<T>; optional: true } {
  return { name, kind, optional: true }
}

export function rest<T>(name: string, kind: Kind<T>): { name: string; kind: Kind<T>; rest: true } {
  return { name, kind, rest: true }
}

/** Any value, also a missing one, which is null. */
export const anything: Kind<unknown> = { name: 'value', expected: 'a value', accept: (value) => value }

/** Any value that is there. */
export const present: Kind<unknown> = {
  name: 'value',
  expected: 'a value',
  accept: (value) => (value === null ? undefined : value),
}

/** A text. Numbers and booleans are taken as they are written. */
export const text: Kind<string> = {
  name: 'text',
  expected: 'a text',
  accept(value) {
    if (typeof value === 'string') return value
    return typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined
  },
}

export const number: Kind<number> = {
  name: 'number',
  expected: 'a number',
  accept: (value) => (typeof value === 'number' ? value : undefined),
}

/** A count or a place: a whole number. */
export const whole: Kind<number> = {
  name: 'whole number',
  expected: 'a whole number',
  accept: (value) => (Number.isSafeInteger(value) ? (value as number) : undefined),
}

/** Bytes. A text stands for its UTF-8 bytes. */
export const bytes: Kind<Buffer> = { name: 'bytes', expected: 'bytes or a text', accept: toBuffer }

export const textOrBytes: Kind<string | Buffer> = {
  name: 'text or bytes',
  expected: 'a text or bytes',
  accept: (value) => text.accept(value) ?? toBuffer(value),
}

export const list: Kind<readonly unknown[]> = {
  name: 'list',
  expected: 'a list',
  accept: (value) => (Array.isArray(value) ? value : undefined),
}

export const map: Kind<Readonly<Record<string, unknown>>> = {
  name: 'map',
  expected: 'a map',
  accept: (value) => (isMap(value) ? value : undefined),
}

/** A time; a number is milliseconds since 1970. */
export const time: Kind<Date> = {
  name: 'time',
  expected: 'a time',
  accept(value) {
    if (value instanceof Date) return value
    return typeof value === 'number' && Math.abs(value) <= 8.64e15 ? new Date(value) : undefined
  },
}

/** One of a few words. `noun` says what they are names of. */
export function choice<const T extends string>(noun: string, words: readonly T[]): Kind<T> {
  return {
    name: words.map((each) => `"${each}"`).join(' | '),
    expected: `one of ${words.join(', ')}`,
    choices: { noun, words },
    accept: (value) => (words.includes(value as T) ? (value as T) : undefined),
  }
}

function toBuffer(value: unknown): Buffer | undefined {
  if (Buffer.isBuffer(value)) return value
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  return typeof value === 'string' ? Buffer.from(value, 'utf8') : undefined
}
