import { type Cursor, FieldFault, notPrintable, type Variable } from './struct-bytes.ts'
import type { Length } from './struct-texts.ts'

/** Items that are counted. */
export function countedArray(item: Variable, count: Length, label: string): Variable {
  return {
    size: undefined,
    minSize: count.min * item.minSize,
    read(cursor) {
      const { at } = cursor
      const most = count.read(cursor)
      // Before anything is made of it: a number of items may say what it likes.
      if (most * item.minSize > cursor.end - at) {
        throw new FieldFault(`${label} has ${most} items, and there are ${cursor.end - at} bytes left,`, at)
      }
      const list: unknown[] = []
      for (let i = 0; i < most; i++) list.push(item.read(cursor))
      return list
    },
    write(writer, value) {
      const list = listOf(value, label)
      const expected = count.write(writer)
      if (expected !== undefined && expected !== list.length) throw notPrintable(label, value, `${expected} items`)
      for (const each of list) item.write(writer, each)
    },
  }
}

/** Items up to a length in bytes. */
export function measuredArray(item: Variable, length: Length, label: string): Variable {
  return {
    size: undefined,
    minSize: length.min,
    read(cursor) {
      const { end } = cursor
      const size = length.read(cursor)
      const from = cursor.at
      cursor.take(size, label)
      cursor.at = from
      cursor.end = from + size
      const list = itemsUntil(cursor, item)
      cursor.end = end
      return list
    },
    write(writer, value) {
      const from = writer.at
      for (const each of listOf(value, label)) item.write(writer, each)
      const expected = length.write(writer)
      const written = writer.at - from
      if (expected !== undefined && expected !== written) {
        throw notPrintable(label, value, `${expected} bytes, not ${written}`)
      }
    },
  }
}

function itemsUntil(cursor: Cursor, item: Variable): unknown[] {
  const list: unknown[] = []
  while (cursor.at < cursor.end) list.push(item.read(cursor))
  return list
}

function listOf(value: unknown, label: string): readonly unknown[] {
  if (Array.isArray(value)) return value
  throw notPrintable(label, value, 'a list')
}
