import { REPLACEMENT } from '../util/utf8.ts'
import { formatField } from './binary-reader.ts'
import { isStruct, type Struct, toKaitaiValue } from './kaitai-value.ts'

/** Where reading failed. */
export interface Place {
  /** Bytes from the start of the frame. */
  readonly at: number
  readonly field: string
}

/** What code that keeps notes writes down of a field. */
interface Note {
  /** Bytes from the start of its stream; `ioOffset` is where that begins in the frame. */
  readonly start?: number
  readonly ioOffset?: number
  /** Absent when reading failed in it. */
  readonly end?: number
  readonly validationError?: unknown
  /** A note for each item of a list. */
  readonly arr?: readonly Note[]
}

/**
 * Reads a frame that was refused again, with code that keeps notes, to see in which field it failed.
 * @param root made, and not read yet
 * @param length of the frame
 */
export function findFault(root: Struct, ids: ReadonlyMap<string, string>, length: number): Place {
  try {
    readAll(root, ids)
    const found = search(root, ids, [])
    if (found !== undefined) return { at: Math.min(found.at, length), field: found.field }
  } catch {
    // Nested so deep that the notes cannot be looked through either.
  }
  return { at: 0, field: '' }
}

function readAll(root: Struct, ids: ReadonlyMap<string, string>): void {
  try {
    ;(root as Struct & { _read(): void })._read()
    toKaitaiValue(root, ids)
  } catch {
    // Known already: the notes say where.
  }
}

function search(
  struct: Struct,
  ids: ReadonlyMap<string, string>,
  path: readonly (string | number)[],
): Place | undefined {
  for (const [key, note] of Object.entries(struct['_debug'] as Readonly<Record<string, Note>>)) {
    const name = key.replace(/^_m_/, '')
    const way = [...path, ids.get(name) ?? name]
    const items = note.arr ?? [note]
    const values = note.arr === undefined ? [struct[key]] : ((struct[key] as readonly unknown[] | undefined) ?? [])
    for (const [i, item] of items.entries()) {
      const place = note.arr === undefined ? way : [...way, i]
      const inner = isStruct(values[i]) ? search(values[i], ids, place) : undefined
      if (inner !== undefined) return inner
      if (isFaulty(item, values[i])) return { at: (item.ioOffset ?? 0) + item.start!, field: formatField(place) }
    }
  }
  return undefined
}

function isFaulty({ start, end, validationError }: Note, value: unknown): boolean {
  if (start === undefined) return false
  const isDamaged = typeof value === 'string' && value.includes(REPLACEMENT)
  return end === undefined || validationError !== undefined || isDamaged
}
