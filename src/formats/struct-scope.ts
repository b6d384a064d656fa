import type { FieldOptions, IntegerOptions } from './struct-options.ts'
import { isInteger } from './struct-types.ts'

/** A field that a name means. */
export interface Found {
  /** The struct that it stands in, and its name there. */
  readonly scope: Scope
  readonly name: string
  /** What is meant of its value: `['gps']` of `flags.gps`. */
  readonly inner: readonly string[]
  readonly options: FieldOptions | undefined
  /** It stands in the same struct as the one who asks. */
  readonly near: boolean
}

/** The fields that may be named at some place: those before it in its struct, and in the structs around that. */
export class Scope {
  /** How many structs there are around this one. */
  readonly depth: number
  readonly #outer: Scope | undefined
  readonly #fields = new Map<string, FieldOptions>()
  readonly #uses = new Map<string, number>()

  constructor(outer?: Scope) {
    this.#outer = outer
    this.depth = outer === undefined ? 0 : outer.depth + 1
  }

  add(name: string, options: FieldOptions): void {
    this.#fields.set(name, options)
  }

  /** How many other fields have asked for one. */
  usesOf(name: string): number {
    return this.#uses.get(name) ?? 0
  }

  /** The names that can be used, for hints. */
  get names(): readonly string[] {
    return [...this.#fields.keys(), ...(this.#outer?.names ?? [])]
  }

  /**
   * Finds what a path such as `flags.acc` means.
   * @returns undefined when nothing of this name stands before
   */
  find(path: string): Found | undefined {
    const [name = '', ...inner] = path.split('.')
    const options = this.#fields.get(name)
    if (options === undefined) {
      const found = this.#outer?.find(path)
      return found && { ...found, near: false }
    }
    this.#uses.set(name, this.usesOf(name) + 1)
    if (inner.length === 0) return { scope: this, name, inner, options, near: true }
    const member = memberOf(options, inner)
    if (member === undefined) return undefined
    return { scope: this, name, inner, options: member === 'bits' ? undefined : member, near: false }
  }
}

/** True for a field that counts something: a whole number as it stands in the frame. */
export function isCount({ options }: Found): boolean {
  if (options === undefined) return true
  if (!isInteger(options.type)) return false
  const { names, scale, offset } = options as IntegerOptions
  return names === undefined && scale === undefined && offset === undefined
}

/** What a path means inside a field; `bits` for a group of bits. */
function memberOf(options: FieldOptions, [name = '', ...inner]: readonly string[]): FieldOptions | 'bits' | undefined {
  if (options.type === 'bits') {
    return inner.length === 0 && options.of.some((group) => group.name === name) ? 'bits' : undefined
  }
  if (options.type !== 'struct') return undefined
  const found = options.of.find((field) => field.name === name)
  return found === undefined || inner.length === 0 ? found : memberOf(found, inner)
}
