import { js } from '../codegen/code.ts'
import { suggest } from '../util/suggest.ts'
import { FieldFault, notPrintable } from './struct-bytes.ts'
import { type Found, isCount, type Scope } from './struct-scope.ts'
import type { Length } from './struct-texts.ts'

/** A length or a count as it was written. */
export type Written = number | string

/** What a written length means. */
export type Measure =
  | { readonly kind: 'constant'; readonly size: number }
  | { readonly kind: 'rest' }
  | { readonly kind: 'field'; readonly name: string; readonly plus: number; readonly found: Found }

/** The word for everything up to the fields behind it. */
export const REST = 'rest'

/** @returns a sentence instead where it means nothing */
export function parseMeasure(written: Written, scope: Scope): Measure | string {
  if (typeof written === 'number') return { kind: 'constant', size: written }
  if (written === REST) return { kind: 'rest' }
  const match = /^\s*([A-Za-z_][\w.]*)\s*(?:([+-])\s*(\d+))?\s*$/.exec(written)
  if (match === null) return `expected a number, the name of a field (size, size - 4) or rest`
  const [, name = '', sign, digits = '0'] = match
  const found = scope.find(name)
  if (found === undefined) {
    const near = suggest(name, scope.names)
    return `no field ${name} stands before this one${near === undefined ? '' : `; did you mean ${near}?`}`
  }
  if (!isCount(found)) return `${name} is no whole number as it stands in the frame`
  return { kind: 'field', name, plus: sign === '-' ? -Number(digits) : Number(digits), found }
}

/**
 * The length that a measure gives in a frame.
 * @param derived the field that says it is written to fit
 * @param behind how many bytes come behind the field, for `rest`
 */
export function createLength(measure: Measure, derived: boolean, behind: () => number, label: string): Length {
  if (measure.kind === 'constant') {
    const size = js`${measure.size}`
    return { min: measure.size, read: () => size, write: () => size }
  }
  if (measure.kind === 'rest') {
    return {
      min: 0,
      read: ({ body, end }) => body.keep(body.call(restOf, end, js`at`, behind(), label)),
      write: () => undefined,
    }
  }
  const { name, plus, found } = measure
  return {
    min: 0,
    read: ({ body, values }) => body.keep(body.call(statedLength, values.of(found), plus, name, label, js`at`)),
    write({ body, values }) {
      return derived ? undefined : body.keep(body.call(statedSize, values.of(found), plus, name, label))
    },
  }
}

function restOf(end: number, at: number, behind: number, label: string): number {
  const left = end - at - behind
  if (left >= 0) return left
  throw new FieldFault(`the frame ends inside the fields behind ${label},`, at)
}

function statedLength(stated: unknown, plus: number, name: string, label: string, at: number): number {
  const length = (stated as number) + plus
  if (Number.isSafeInteger(length) && length >= 0) return length
  throw new FieldFault(`${label} has no length: ${name} is ${String(stated)}`, at)
}

function statedSize(stated: unknown, plus: number, name: string, label: string): number {
  if (typeof stated === 'number') return stated + plus
  throw notPrintable(name, stated, `the size of ${label}`)
}
