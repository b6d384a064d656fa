import type { Measure } from './struct-length.ts'
import type { Count } from './struct-level.ts'
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

/** What is learnt of the fields of one struct while they are compiled. */
export class LevelNotes {
  readonly scope: Scope
  readonly around: Around
  /** How many bytes come behind each field in this struct; known when all are compiled. */
  readonly behind: number[] = []
  /** Numbers that are written as the size of a list. */
  readonly counts: Count[] = []
  /** Numbers that are written as the length of a field: their name, its index. */
  readonly lengths: { readonly name: string; readonly index: number; readonly plus: number }[] = []
  readonly #indexes = new Map<string, number>()
  readonly #claimed = new Set<string>()

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

  /**
   * Lets the number that says how large a field is be written to fit, if it is there for that alone.
   * @returns whether it will be
   */
  claim(measure: Measure, index: number, list: string | undefined): boolean {
    if (measure.kind !== 'field') return false
    const { name, plus, found } = measure
    const { options } = found
    if (!found.near || options === undefined || options.if !== undefined || this.#claimed.has(name)) return false
    if (!isIntegerField(options) || options.equals !== undefined || options.lengthOf !== undefined) return false
    this.#claimed.add(name)
    if (list === undefined) this.lengths.push({ name, index, plus: -plus })
    else this.counts.push({ key: name, list, plus: -plus })
    return true
  }
}

export function isIntegerField(options: FieldOptions): options is IntegerOptions {
  return isInteger(options.type)
}
