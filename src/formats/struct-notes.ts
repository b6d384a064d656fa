import type { Measure } from './struct-length.ts'
import type { FieldOptions, IntegerOptions } from './struct-options.ts'
import type { Scope } from './struct-scope.ts'
import { type Endian, isInteger } from './struct-types.ts'

/** Keys and indexes in the options. */
export type FieldPath = readonly (string | number)[]

/** A mistake in the fields. */
export interface FieldProblem {
  readonly path: FieldPath
  readonly message: string
}

/** What fields stand in. */
export interface Around {
  readonly endian: Endian
  readonly outer: Scope | undefined
  /** Where the list of fields stands in the options. */
  readonly path: FieldPath
  /** How errors call what the fields are of. */
  readonly label: string
  /** What stands in front of the names of fields in errors: `items[].`. */
  readonly prefix: string
  /** How many bytes come behind the last of them; undefined where that differs, so that `rest` means nothing. */
  readonly behind: (() => number) | undefined
  readonly problems: FieldProblem[]
}

/** A field whose size a number says. */
interface Sized {
  readonly index: number
  /** In items, else in bytes. */
  readonly isList: boolean
  /** How much larger the number is. */
  readonly plus: number
}

/** What is learnt of the fields of one struct while they are compiled. */
export class LevelNotes {
  readonly scope: Scope
  readonly around: Around
  /** How many bytes come behind each field in this struct; known when all are compiled. */
  readonly behind: number[] = []
  readonly #indexes = new Map<string, number>()
  readonly #sized = new Map<string, readonly Sized[]>()

  constructor(scope: Scope, around: Around) {
    this.scope = scope
    this.around = around
  }

  report(path: FieldPath, message: string): void {
    this.around.problems.push({ path: [...this.around.path, ...path], message })
  }

  add(name: string, index: number, options: FieldOptions): void {
    if (this.#indexes.has(name)) this.report([index, 'name'], `there are two fields ${name}`)
    this.#indexes.set(name, index)
    this.scope.add(name, options)
  }

  indexOf(name: string): number | undefined {
    return this.#indexes.get(name)
  }

  /** The fields whose size is said by a number of this name, which is written to fit. */
  sizedBy(name: string | undefined): readonly Sized[] {
    return (name !== undefined && this.#sized.get(name)) || []
  }

  /**
   * Lets the number that says how large a field is be written to fit, where it stands beside the field and is always there.
   * @returns whether it will be
   */
  claim(measure: Measure, index: number, isList: boolean): boolean {
    if (measure.kind !== 'field') return false
    const { name, plus, found } = measure
    const { options } = found
    if (!found.near || options === undefined || options.if !== undefined) return false
    if (!isIntegerField(options) || options.equals !== undefined) return false
    this.#sized.set(name, [...this.sizedBy(name), { index, isList, plus: -plus }])
    return true
  }
}

export function isIntegerField(options: FieldOptions): options is IntegerOptions {
  return isInteger(options.type)
}
