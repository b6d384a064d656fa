import { type Body, type Code, js, objectLiteral } from '../codegen/code.ts'
import { SluiceError } from '../contracts/errors.ts'
import { isRecord } from '../contracts/record.ts'
import { suggest } from '../util/suggest.ts'
import { FieldFault, notPrintable, type Row } from './struct-bytes.ts'
import { indexOf, type Reading, type Variable, type Writing } from './struct-coding.ts'
import type { Condition } from './struct-condition.ts'
import { type Field, fixedOf, type Part, partsOf, type Span } from './struct-parts.ts'
import type { Scope } from './struct-scope.ts'
import { isOfLists, type Size, sizeOf } from './struct-sizes.ts'

/** A number that says something of the bytes of other fields; all of these are indexes. */
export interface Range {
  readonly target: number
  readonly from: number
  readonly to: number
  /** What the number must be for `bytes[start, end)`: an expression. */
  compute(body: Body, bytes: Code, start: Code, end: Code): Code
  /** The error for a frame that says something else. */
  problem(stated: unknown, found: number): string
}

/** A checksum: checked when read, worked out when written. */
export interface Checksum extends Range {
  /** As of {@link Size}. */
  readonly asked: boolean
}

export interface LevelPlan {
  readonly label: string
  readonly scope: Scope
  readonly fields: readonly Field[]
  /** Numbers of `lengthOf`, which are checked when read. For writing they are among `sizes`. */
  readonly lengths: readonly Range[]
  readonly checksums: readonly Checksum[]
  readonly sizes: readonly Size[]
}

/**
 * The fields of one struct: a frame, or an object in one. Neighbours of fixed size that are always there are a run, which
 * takes one look at the length; each of the others stands alone.
 */
export class Level implements Variable {
  readonly size: number | undefined
  readonly minSize: number
  readonly #plan: LevelPlan
  readonly #parts: readonly Part[]

  constructor(plan: LevelPlan) {
    const parts = partsOf(plan.fields, plan.scope)
    this.#plan = plan
    this.#parts = parts
    this.size = parts.some(({ size }) => size === undefined)
      ? undefined
      : parts.reduce((sum, part) => sum + part.size!, 0)
    this.minSize = parts.reduce((sum, part) => sum + part.minSize, 0)
  }

  read(reading: Reading): Code {
    const { fields, lengths, checksums } = this.#plan
    const found = this.#parts.flatMap((part) => part.read(reading))
    for (const { target, from, to, compute, problem } of [...lengths, ...checksums]) {
      const { label, condition } = fields[target]!
      const { value, span } = found[target]!
      const fault = (stated: unknown, number: number, at: number) =>
        new FieldFault(`${label} ${problem(stated, number)}`, at)
      whereThere(reading.body, condition, span, (body) => {
        const stated = body.keep(value)
        const number = body.keep(compute(body, js`bytes`, indexOf(found[from]!.span.start), found[to]!.span.end))
        body.add(js`if (${stated} !== ${number}) throw ${body.call(fault, stated, number, indexOf(span.start))}`)
      })
    }
    return objectLiteral(fields.flatMap(({ key }, i) => (key === undefined ? [] : [[key, found[i]!.value] as const])))
  }

  write(writing: Writing, value: Code): void {
    const { fields, checksums, sizes, label, scope } = this.#plan
    const { body, values } = writing
    const keys = fields.flatMap(({ key }) => key ?? [])
    const row = body.keep(body.call(rowOf, value, body.constant(keys), body.constant(new Set(keys)), label))
    const counts = sizes.filter(isOfLists)
    const counted = new Map(counts.map((size) => [size.key, body.keep(sizeOf(body, size, row, []))]))
    const valueFor = (key: string) => counted.get(key) ?? js`${row}[${key}]`
    for (const key of keys) values.set(scope, key, valueFor(key))
    const spans = this.#parts.flatMap((part) => part.write(writing, valueFor))
    const put = ({ target, asked }: Checksum | Size, numberOf: (inner: Body) => Code) => {
      const field = fields[target]!
      const span = spans[target]!
      whereThere(body, field.condition, span, (inner) => {
        const number = inner.keep(numberOf(inner))
        if (asked) inner.add(inner.call(mustBeWorkedOut, valueFor(field.key!), number, field.label))
        fixedOf(field).write({ ...writing, body: inner }, span.start, number)
      })
    }
    // A checksum may be of a length, so lengths are written first.
    for (const size of sizes) if (!isOfLists(size)) put(size, (inner) => sizeOf(inner, size, row, spans))
    for (const checksum of checksums) {
      const { from, to, compute } = checksum
      put(checksum, (inner) => compute(inner, js`writer.bytes`, indexOf(spans[from]!.start), spans[to]!.end))
    }
  }
}

/** What is done of a field where it is there. */
function whereThere(
  body: Body,
  condition: Condition | undefined,
  { start, end }: Span,
  fill: (body: Body) => void,
): void {
  if (condition === undefined) fill(body)
  else body.block(js`if (${end} !== ${indexOf(start)})`, fill)
}

/** The values of a struct, with nothing that is inherited. `known` are the `keys`. */
function rowOf(value: unknown, keys: readonly string[], known: ReadonlySet<string>, label: string): Row {
  if (!isRecord(value)) throw notPrintable(label, value, 'an object with the fields of the struct')
  const given = Object.keys(value)
  for (let i = 0; i < given.length; i++) {
    const key = given[i]!
    // Most values have their keys in the order of the fields.
    if (key === keys[i] || known.has(key)) continue
    const near = suggest(key, keys)
    throw new SluiceError('format_not_printable', `${label} has no field ${key}`, {
      hint: near === undefined ? 'Leave it out, or add it to the fields.' : `Did you mean ${near}?`,
    })
  }
  // With a value for each field there is nothing to inherit.
  return given.length === keys.length ? (value as Row) : Object.assign(Object.create(null) as Row, value)
}

function mustBeWorkedOut(given: unknown, number: number, label: string): void {
  if (given !== number) throw notPrintable(label, given, String(number))
}
