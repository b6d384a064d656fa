import { hash, randomBytes } from 'node:crypto'

/**
 * Says which rows of a file may be those of a key, in some 30 bytes for each row. It keeps hashes and not keys, so it may
 * name rows of other keys too.
 */
export class KeyIndex {
  /** By the hash of the key, those added last at the end. Nearly every hash has one row. */
  readonly #rows = new Map<number, number | readonly number[]>()
  /** Nobody outside can know which keys have the same hash. */
  readonly #salt = randomBytes(8).toString('latin1')

  /** @returns numbers of rows */
  get(key: string): readonly number[] {
    return toList(this.#rows.get(this.#hash(key)))
  }

  /** @param row greater than all before */
  add(key: string, row: number): void {
    const at = this.#hash(key)
    const earlier = this.#rows.get(at)
    // So that it is the last in order.
    this.#rows.delete(at)
    this.#rows.set(at, earlier === undefined ? row : [...toList(earlier), row])
  }

  /** Forgets rows up to a number; some of those that share a hash may stay. */
  forget(upTo: number): void {
    for (const [at, rows] of this.#rows) {
      if (toList(rows).at(-1)! > upTo) return
      this.#rows.delete(at)
    }
  }

  get size(): number {
    return this.#rows.size
  }

  /** Small enough that the engine keeps it without an object of its own. */
  #hash(key: string): number {
    return hash('sha1', this.#salt + key, 'buffer').readInt32LE(0)
  }
}

function toList(rows: number | readonly number[] | undefined): readonly number[] {
  if (rows === undefined) return NONE
  return typeof rows === 'number' ? [rows] : rows
}

const NONE: readonly number[] = []
