import { type Code, js } from '../codegen/code.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { FieldFault } from './struct-bytes.ts'
import {
  asVariable,
  cut,
  type Fixed,
  indexOf,
  NOTHING,
  type Place,
  type Reading,
  type Variable,
  type Writing,
} from './struct-coding.ts'
import type { Condition } from './struct-condition.ts'
import type { Scope } from './struct-scope.ts'

/** A field of a struct, ready to be read and written. */
export interface Field {
  /** Absent for one that is no part of the value. */
  readonly key: string | undefined
  /** How errors call it: `items[].id`. */
  readonly label: string
  readonly condition: Condition | undefined
  readonly codec: { readonly fixed: Fixed } | { readonly variable: Variable }
  /** It is worked out when the rest has been written; a value that is given does not count. */
  readonly computed: boolean
}

/** Where a field stands in the frame. */
export interface Span {
  readonly start: Place
  /** The index behind it. */
  readonly end: Code
}

/** Some neighbours; their sizes are as of {@link Variable}. */
export interface Part {
  readonly size: number | undefined
  readonly minSize: number
  /** @returns for each of its fields */
  read(reading: Reading): readonly { readonly value: Code; readonly span: Span }[]
  /** @param valueFor gives what is written of a field */
  write(writing: Writing, valueFor: (key: string) => Code): readonly Span[]
}

/** Takes fields as neighbours as far as that goes. @param scope of the struct that they are in */
export function partsOf(fields: readonly Field[], scope: Scope): readonly Part[] {
  const parts: Part[] = []
  let run: Field[] = []
  const endRun = () => {
    if (run.length > 0) parts.push(new Run(run, scope))
    run = []
  }
  for (const field of fields) {
    if ('fixed' in field.codec && field.condition === undefined) {
      run.push(field)
    } else {
      endRun()
      parts.push(new Single(field, scope))
    }
  }
  endRun()
  return parts
}

/** Only numbers are worked out, and they all have a fixed size. */
export function fixedOf({ codec, label }: Field): Fixed {
  if ('fixed' in codec) return codec.fixed
  throw new TypeError(`${label} has no fixed size`)
}

/** Neighbours of fixed size that are always there. */
class Run implements Part {
  readonly size: number
  readonly minSize: number
  readonly #fields: readonly Field[]
  readonly #scope: Scope

  constructor(fields: readonly Field[], scope: Scope) {
    this.#fields = fields
    this.#scope = scope
    this.size = fields.reduce((sum, field) => sum + fixedOf(field).size, 0)
    this.minSize = this.size
  }

  read(reading: Reading) {
    const { body, end } = reading
    const { size } = this
    const from = body.keep(js`at`)
    const sizes = this.#fields.map((field) => ({ label: field.label, size: fixedOf(field).size }))
    body.add(js`if (${size} > ${end} - ${from}) throw ${body.call(firstCut, body.constant(sizes), from, end)}`)
    body.add(js`at = ${from} + ${size}`)
    const spans = this.#spansFrom(from)
    const read = (field: Field, i: number) => {
      const value = fixedOf(field).read(reading, spans[i]!.start)
      return remembered(reading, this.#scope, field.key, value)
    }
    // What has no name is a constant, most often one that tells whether this is such a frame at all.
    const values = this.#fields.map((field, i) => (field.key === undefined ? read(field, i) : undefined))
    return this.#fields.map((field, i) => ({ value: values[i] ?? read(field, i), span: spans[i]! }))
  }

  write(writing: Writing, valueFor: (key: string) => Code): readonly Span[] {
    const { body } = writing
    const spans = this.#spansFrom(body.keep(js`writer.reserve(${this.size})`))
    // Nothing moves the memory before the next `reserve`.
    const here = { ...writing, view: body.keep(writing.view) }
    for (const [i, field] of this.#fields.entries()) {
      const value = field.key === undefined ? NOTHING : valueFor(field.key)
      if (!field.computed) fixedOf(field).write(here, spans[i]!.start, value)
    }
    return spans
  }

  #spansFrom(base: Code): readonly Span[] {
    let offset = 0
    return this.#fields.map((field) => {
      const start = { base, offset }
      const { size } = fixedOf(field)
      offset += size
      return { start, end: indexOf(start, size) }
    })
  }
}

/** A field that is not always there, or not always of the same size. */
class Single implements Part {
  readonly size: number | undefined
  readonly minSize: number
  readonly #field: Field
  readonly #scope: Scope
  readonly #variable: Variable

  constructor(field: Field, scope: Scope) {
    const { codec, condition, label } = field
    this.#field = field
    this.#scope = scope
    this.#variable = 'fixed' in codec ? asVariable(codec.fixed, label) : codec.variable
    this.size = condition === undefined ? this.#variable.size : undefined
    this.minSize = condition === undefined ? this.#variable.minSize : 0
  }

  read(reading: Reading) {
    const { body } = reading
    const { key, condition } = this.#field
    const base = body.keep(js`at`)
    const value = condition === undefined ? this.#variable.read(reading) : this.#readWhere(condition(reading), reading)
    const span = { start: { base, offset: 0 }, end: body.keep(js`at`) }
    return [{ value: remembered(reading, this.#scope, key, value), span }]
  }

  #readWhere(condition: Code, reading: Reading): Code {
    const value = reading.body.name()
    reading.body.add(js`let ${value} = null`)
    reading.body.block(js`if (${condition})`, (body) => {
      body.add(js`${value} = ${this.#variable.read({ ...reading, body })}`)
    })
    return value
  }

  write(writing: Writing, valueFor: (key: string) => Code): readonly Span[] {
    const { body } = writing
    const { key, condition, label } = this.#field
    const value = key === undefined ? NOTHING : valueFor(key)
    const base = body.keep(js`writer.at`)
    if (condition === undefined) {
      this.#put(writing, value)
    } else {
      body.block(js`if (${condition(writing)})`, (inner) => this.#put({ ...writing, body: inner }, value))
      body.block(js`else`, (inner) => inner.add(inner.call(mustBeMissing, value, label)))
    }
    return [{ start: { base, offset: 0 }, end: body.keep(js`writer.at`) }]
  }

  #put(writing: Writing, value: Code): void {
    if (this.#field.computed) writing.body.add(js`writer.reserve(${this.#variable.minSize})`)
    else this.#variable.write(writing, value)
  }
}

/** Gives a value a name where conditions and lengths ask for it. */
function remembered({ body, values }: Reading, scope: Scope, key: string | undefined, value: Code): Code {
  if (key === undefined || scope.usesOf(key) === 0) return value
  const name = body.keep(value)
  values.set(scope, key, name)
  return name
}

/** The error for the first field that is not whole. */
function firstCut(fields: readonly { label: string; size: number }[], from: number, end: number): FieldFault {
  let at = from
  for (const { label, size } of fields) {
    if (size > end - at) return cut(label, size, at, end)
    at += size
  }
  throw new RangeError('the frame holds all of these fields')
}

function mustBeMissing(value: unknown, label: string): void {
  if (value === null || value === undefined) return
  throw new SluiceError('format_not_printable', `${label} has a value, and its condition is not met`)
}
