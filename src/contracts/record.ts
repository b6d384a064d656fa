import { SluiceError } from './errors.ts'

/**
 * Whether all that a value holds is found by its keys: an object that is no list, no bytes, no time, no Map and no Set. Of a
 * time or a Map `Object.entries` gives nothing, and what is written would be empty.
 */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Uint8Array) &&
    !(value instanceof Date) &&
    !isCollection(value)
  )
}

/** A Map or a Set, which no format has: scripts and functions of the user may make one. */
export function isCollection(value: unknown): boolean {
  return value instanceof Map || value instanceof Set
}

/** The error for one. @param where such as `, in items[0]` */
export function collectionNotPrintable(where = ''): SluiceError {
  return new SluiceError('format_not_printable', `a Map or a Set cannot be written${where}`, {
    hint: 'Make an object or a list of it: Object.fromEntries(map), [...set].',
  })
}
