import { type Body, type Code, js } from '../codegen/code.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Row } from './struct-bytes.ts'
import { indexOf } from './struct-coding.ts'
import type { Span } from './struct-parts.ts'

/** A number that is written as the size of fields beside it. */
export interface Size {
  /** Its index in the struct. */
  readonly target: number
  /** Absent only where `lengthOf` alone says it. */
  readonly key: string | undefined
  readonly label: string
  readonly measured: readonly Measured[]
  /** Conditions and other lengths ask for it: the fields were written by what the value says, so that must be right. */
  readonly asked: boolean
}

/** A field whose size a number says, or several fields of which it says the length. */
export interface Measured {
  /** Indexes in the struct. */
  readonly from: number
  readonly to: number
  /** Absent for the fields of `lengthOf`. */
  readonly key: string | undefined
  /** It is a list, and items are counted; else bytes are. */
  readonly isList: boolean
  /** How much larger the number is. */
  readonly plus: number
  /** It has no condition. */
  readonly isAlways: boolean
}

/** Whether the value alone says the number, so that conditions can be asked: lists have their length before they are written. */
export function isOfLists({ measured }: Size): boolean {
  return measured.every(({ isList }) => isList)
}

/**
 * The number: an expression.
 * @param row the value of the struct
 * @param spans where its fields have been written; of no use for a count
 */
export function sizeOf(body: Body, { key, label, measured }: Size, row: Code, spans: readonly Span[]): Code {
  const sizes = measured.map((field) => {
    const size = field.isList
      ? body.call(itemsOf, js`${row}[${field.key}]`)
      : js`${spans[field.to]!.end} - ${indexOf(spans[field.from]!.start)}`
    return js`(${size} + ${field.plus})`
  })
  if (measured.length === 1 && measured[0]!.isAlways) return sizes[0]!
  return body.call(agreed, body.constant(measured), row, key, label, ...sizes)
}

function itemsOf(list: unknown): number {
  return Array.isArray(list) ? list.length : 0
}

/**
 * The size of the fields that are there; where none is, what the value says, and if that is nothing, too, the size of
 * nothing. A field that has a value is there, or it is refused.
 * @param sizes one for each of `measured`
 * @throws SluiceError `format_not_printable` where they differ
 */
function agreed(
  measured: readonly Measured[],
  row: Row,
  key: string | undefined,
  label: string,
  ...sizes: number[]
): unknown {
  const isThere = ({ key }: Measured) => key === undefined || (row[key] !== undefined && row[key] !== null)
  const someAreThere = measured.some(isThere)
  const stated = key === undefined ? undefined : row[key]
  if (!someAreThere && stated !== undefined && stated !== null) return stated
  let first: number | undefined
  for (const [i, field] of measured.entries()) {
    if (someAreThere && !isThere(field)) continue
    first ??= i
    if (sizes[i] === sizes[first]) continue
    const name = (index: number) => measured[index]!.key ?? 'lengthOf'
    const problem = `${label} would have to be ${sizes[first]} for ${name(first)} and ${sizes[i]} for ${name(i)}`
    throw new SluiceError('format_not_printable', problem)
  }
  return sizes[first!]
}
