import { SluiceError } from '../contracts/errors.ts'
import { suggest } from '../util/suggest.ts'
import {
  asVariable,
  type Cursor,
  FieldFault,
  type Fixed,
  notPrintable,
  type Row,
  type Variable,
  type Writer,
} from './struct-bytes.ts'
import type { Condition } from './struct-condition.ts'
import { createFill, type Fill, type Slot } from './struct-fill.ts'

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

/** A number that says something of the bytes of other fields; all of these are indexes. */
export interface Range {
  readonly target: number
  readonly from: number
  readonly to: number
  /** What the number must be for `bytes[start, end)`. */
  compute(bytes: Buffer, start: number, end: number): number
  /** The error for a frame that says something else; undefined where reading needs no check. */
  readonly problem: ((stated: unknown, found: number) => string) | undefined
  /** The key of the target, where other fields ask for it: they were written by what the value says, so that must be right. */
  readonly asked: string | undefined
}

/** A number that is written as the size of a list beside it. */
export interface Count {
  readonly key: string
  readonly list: string
  readonly plus: number
}

export interface LevelPlan {
  readonly label: string
  /** How many structs there are around it; undefined where no field needs to know of others. */
  readonly depth: number | undefined
  readonly fields: readonly Field[]
  readonly ranges: readonly Range[]
  readonly counts: readonly Count[]
}

/**
 * The fields of one struct: a frame, or an object in one. Neighbours of fixed size are read in one go, and each of the
 * others by itself.
 */
export class Level implements Variable {
  readonly size: number | undefined
  readonly minSize: number
  readonly #plan: LevelPlan
  readonly #depth: number | undefined
  readonly #template: Row
  readonly #parts: readonly Part[]
  readonly #places: readonly Place[]
  readonly #checks: readonly Range[]

  constructor(plan: LevelPlan) {
    const keys = plan.fields.flatMap(({ key, codec }) => (key === undefined ? [] : [[key, 'fixed' in codec ? 0 : '']]))
    this.#plan = plan
    this.#depth = plan.depth
    // An object that JSON.parse makes has room for all its keys inside, and so have the copies of it.
    this.#template = JSON.parse(JSON.stringify(Object.fromEntries(keys))) as Row
    const { parts, places } = partsOf(plan.fields)
    this.#parts = parts
    this.#places = places
    this.#checks = plan.ranges.filter(({ problem }) => problem !== undefined)
    this.size = parts.some(({ size }) => size === undefined)
      ? undefined
      : parts.reduce((sum, part) => sum + part.size!, 0)
    this.minSize = parts.reduce((sum, part) => sum + part.minSize, 0)
  }

  read(cursor: Cursor): Row {
    const row = { ...this.#template }
    const parts = this.#parts
    if (this.#depth !== undefined) cursor.rows[this.#depth] = row
    if (this.#checks.length === 0) {
      for (let i = 0; i < parts.length; i++) parts[i]!.read(cursor, row)
      return row
    }
    const marks = [cursor.at]
    for (let i = 0; i < parts.length; i++) {
      parts[i]!.read(cursor, row)
      marks.push(cursor.at)
    }
    for (const range of this.#checks) this.#check(range, cursor, marks)
    return row
  }

  write(writer: Writer, value: unknown): void {
    const { counts, ranges } = this.#plan
    const row = this.#rowOf(value)
    for (const { key, list, plus } of counts) row[key] = (Array.isArray(row[list]) ? row[list].length : 0) + plus
    if (this.#depth !== undefined) writer.rows[this.#depth] = row
    const marks = [writer.at]
    for (const part of this.#parts) {
      part.write(writer, row)
      marks.push(writer.at)
    }
    for (const range of ranges) {
      const target = this.#spanOf(range.target, marks)
      if (target.end === target.start) continue
      const start = this.#spanOf(range.from, marks).start
      const number = range.compute(writer.bytes, start, this.#spanOf(range.to, marks).end)
      const field = this.#plan.fields[range.target]!
      if (range.asked !== undefined && row[range.asked] !== number) {
        throw notPrintable(field.label, row[range.asked], String(number))
      }
      fixedOf(field).write(writer, target.start, number)
    }
  }

  #check({ target, from, to, compute, problem }: Range, cursor: Cursor, marks: readonly number[]): void {
    const { start: at, end } = this.#spanOf(target, marks)
    if (at === end) return
    const { bytes, view } = cursor
    const field = this.#plan.fields[target]!
    const stated = fixedOf(field).reader(0)(view, at, bytes)
    const offset = bytes.byteOffset
    const found = compute(bytes, this.#spanOf(from, marks).start - offset, this.#spanOf(to, marks).end - offset)
    if (stated === found) return
    throw new FieldFault(`${field.label} ${problem!(stated, found)}`, at)
  }

  #spanOf(index: number, marks: readonly number[]): { start: number; end: number } {
    const { part, offset, size } = this.#places[index]!
    const start = marks[part]! + offset
    return { start, end: size === undefined ? marks[part + 1]! : start + size }
  }

  /** A copy without anything inherited, in which numbers that are worked out can be put. */
  #rowOf(value: unknown): Row {
    const { label } = this.#plan
    if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof Uint8Array) {
      throw notPrintable(label, value, 'an object with the fields of the struct')
    }
    for (const key of Object.keys(value)) {
      if (Object.hasOwn(this.#template, key)) continue
      const near = suggest(key, Object.keys(this.#template))
      throw new SluiceError('format_not_printable', `${label} has no field ${key}`, {
        hint: near === undefined ? 'Leave it out, or add it to the fields.' : `Did you mean ${near}?`,
      })
    }
    return Object.assign(Object.create(null) as Row, value)
  }
}

interface Part {
  readonly size: number | undefined
  readonly minSize: number
  read(cursor: Cursor, row: Row): void
  write(writer: Writer, row: Row): void
}

/** Where a field stands: in which part, and where in it; without a size it is all of the part. */
interface Place {
  readonly part: number
  readonly offset: number
  readonly size: number | undefined
}

function partsOf(fields: readonly Field[]): { parts: readonly Part[]; places: readonly Place[] } {
  const parts: Part[] = []
  const places: Place[] = []
  let run: Field[] = []
  let size = 0
  const endRun = () => {
    if (run.length > 0) parts.push(new Run(run))
    run = []
    size = 0
  }
  for (const field of fields) {
    if ('fixed' in field.codec && field.condition === undefined) {
      places.push({ part: parts.length, offset: size, size: field.codec.fixed.size })
      run.push(field)
      size += field.codec.fixed.size
    } else {
      endRun()
      places.push({ part: parts.length, offset: 0, size: undefined })
      parts.push(new Single(field))
    }
  }
  endRun()
  return { parts, places }
}

/** Neighbours of fixed size that are always there: one look at the length, then direct reads. */
class Run implements Part {
  readonly size: number
  readonly minSize: number
  readonly #fields: readonly Field[]
  readonly #slots: readonly Slot[]
  #fill: Fill | undefined
  /** Readers of fields that only check something. */
  readonly #checks: readonly ReturnType<Fixed['reader']>[]

  constructor(fields: readonly Field[]) {
    const slots = []
    const checks = []
    let offset = 0
    for (const field of fields) {
      const fixed = fixedOf(field)
      const read = fixed.reader(offset)
      if (field.key === undefined) checks.push(read)
      else slots.push({ key: field.key, read })
      offset += fixed.size
    }
    this.size = offset
    this.minSize = offset
    this.#fields = fields
    this.#slots = slots
    this.#checks = checks
  }

  read(cursor: Cursor, row: Row): void {
    const { at, view, bytes } = cursor
    if (cursor.end - at < this.size) this.#tooShort(cursor)
    cursor.at = at + this.size
    for (let i = 0; i < this.#checks.length; i++) this.#checks[i]!(view, at, bytes)
    this.#fill ??= createFill(this.#slots)
    this.#fill(row, view, at, bytes)
  }

  write(writer: Writer, row: Row): void {
    let at = writer.reserve(this.size)
    for (const field of this.#fields) {
      const fixed = fixedOf(field)
      if (!field.computed) fixed.write(writer, at, field.key === undefined ? undefined : row[field.key])
      at += fixed.size
    }
  }

  /** @throws FieldFault for the first field that is not whole */
  #tooShort(cursor: Cursor): void {
    for (const field of this.#fields) cursor.take(fixedOf(field).size, field.label)
  }
}

/** A field that is not always there, or not always of the same size. */
class Single implements Part {
  readonly size: number | undefined
  readonly minSize: number
  readonly #field: Field
  readonly #variable: Variable

  constructor(field: Field) {
    const { codec, condition, label } = field
    this.#field = field
    this.#variable = 'fixed' in codec ? asVariable(codec.fixed, label) : codec.variable
    this.size = condition === undefined ? this.#variable.size : undefined
    this.minSize = condition === undefined ? this.#variable.minSize : 0
  }

  read(cursor: Cursor, row: Row): void {
    const { key, condition } = this.#field
    const value = condition === undefined || condition(cursor.rows) ? this.#variable.read(cursor) : null
    if (key !== undefined) row[key] = value
  }

  write(writer: Writer, row: Row): void {
    const { key, condition, label, computed } = this.#field
    const value = key === undefined ? undefined : row[key]
    if (condition === undefined || condition(writer.rows)) {
      if (computed) writer.reserve(this.#variable.minSize)
      else this.#variable.write(writer, value)
    } else if (value !== null && value !== undefined) {
      throw new SluiceError('format_not_printable', `${label} has a value, and its condition is not met`)
    }
  }
}

/** Only numbers are worked out, and they all have a fixed size. */
function fixedOf({ codec, label }: Field): Fixed {
  if ('fixed' in codec) return codec.fixed
  throw new TypeError(`${label} has no fixed size`)
}
