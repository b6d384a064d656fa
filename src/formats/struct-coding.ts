import { type Body, type Code, js } from '../codegen/code.ts'
import { FieldFault } from './struct-bytes.ts'
import type { Found, Scope } from './struct-scope.ts'

/*
 * A layout becomes two functions. The one that reads has `view`, `bytes` (the same memory), `start` and `end`, and `at`,
 * the index of what is read next; the one that writes has `writer` and `value`.
 */

/** Code that writes a field, and what it may know. */
export interface Writing {
  readonly body: Body
  /** A DataView of the memory. */
  readonly view: Code
  /** The values of fields that others ask for. */
  readonly values: Values
}

/** Code that reads a field. */
export interface Reading extends Writing {
  /** Nothing is read from here on. */
  readonly end: Code
}

/** How the code calls the values of fields that conditions and lengths ask for. */
export class Values {
  readonly #codes = new Map<Scope, Map<string, Code>>()

  set(scope: Scope, name: string, code: Code): void {
    const codes = this.#codes.get(scope) ?? new Map<string, Code>()
    this.#codes.set(scope, codes.set(name, code))
  }

  /** The value of a field that stands before. */
  of({ scope, name, inner }: Found): Code {
    const value = this.#codes.get(scope)!.get(name)!
    return inner.reduce((outer, key) => js`${outer}?.[${key}]`, value)
  }
}

/** An index that is known but for its beginning. */
export interface Place {
  /** A name. */
  readonly base: Code
  readonly offset: number
}

/** A field that has the same size in every frame. */
export interface Fixed {
  readonly size: number
  /**
   * @returns the value: an expression that does nothing, so that it can stand anywhere behind this, or nowhere. What may
   * throw FieldFault is a statement
   */
  read(reading: Reading, place: Place): Code
  /** Writes into room that has been reserved. The code may throw SluiceError `format_not_printable` */
  write(writing: Writing, place: Place, value: Code): void
}

/** A field whose size depends on the frame, or that needs to know of other fields. */
export interface Variable {
  /** The size, where it is the same in every frame all the same. */
  readonly size: number | undefined
  /** No frame has it with fewer bytes. */
  readonly minSize: number
  /** As of {@link Fixed}, of what is at `at`, which then stands behind it. */
  read(reading: Reading): Code
  write(writing: Writing, value: Code): void
}

/** The value of a field that has no name. */
export const NOTHING: Code = js`undefined`

/** The index of a place, or of one behind it. */
export function indexOf({ base, offset }: Place, further = 0): Code {
  const distance = offset + further
  return distance === 0 ? base : js`(${base} + ${distance})`
}

/** A field of fixed size where one that varies may stand too. */
export function asVariable(fixed: Fixed, label: string): Variable {
  const { size } = fixed
  return {
    size,
    minSize: size,
    read: (reading) => fixed.read(reading, { base: take(reading, js`${size}`, label), offset: 0 }),
    write: (writing, value) =>
      fixed.write(writing, { base: writing.body.keep(js`writer.reserve(${size})`), offset: 0 }, value),
  }
}

/** Passes over some bytes, or throws FieldFault when there are not as many. @returns where they begin */
export function take({ body, end }: Reading, size: Code, label: string): Code {
  const at = body.keep(js`at`)
  body.add(js`if (${size} > ${end} - at) throw ${body.call(cut, label, size, at, end)}`)
  body.add(js`at += ${size}`)
  return at
}

/** The error for a field that is not whole. */
export function cut(label: string, size: number, at: number, end: number): FieldFault {
  return new FieldFault(`${label} has ${size} bytes, and the frame ends after ${end - at} of them,`, at)
}
