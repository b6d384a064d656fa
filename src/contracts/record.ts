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

/**
 * A value as JSON.
 * @returns undefined for one that JSON leaves out
 * @throws SluiceError `format_not_printable` where there is a Map or a Set in it, which JSON writes as nothing
 */
export function jsonOf(value: object): string | undefined {
  const json: string | undefined = JSON.stringify(value)
  if (json?.includes('{}')) JSON.stringify(value, withoutCollections)
  return json
}

/** The error for one. @param where such as `, in items[0]` */
export function collectionNotPrintable(where = ''): SluiceError {
  return new SluiceError('format_not_printable', `a Map or a Set cannot be written${where}`, {
    hint: 'Make an object or a list of it: Object.fromEntries(map), [...set].',
  })
}

/** A replacer. */
function withoutCollections(_key: string, value: unknown): unknown {
  if (isCollection(value)) throw collectionNotPrintable()
  return value
}
