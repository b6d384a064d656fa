/**
 * The values that expressions work on: null, booleans, numbers, texts, bytes, times (Date), lists and maps. Maps are plain
 * objects of which only own keys count, so that nothing inherited can be reached.
 */

/** What a user calls the type of a value. */
export function typeName(value: unknown): string {
  if (value === null || value === undefined) return 'missing'
  if (typeof value === 'string') return 'a text'
  if (typeof value === 'number' || typeof value === 'bigint') return 'a number'
  if (typeof value === 'boolean') return 'a boolean'
  if (Array.isArray(value)) return 'a list'
  if (value instanceof Uint8Array) return 'bytes'
  if (value instanceof Date) return 'a time'
  return 'a map'
}

export function isMap(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Uint8Array) &&
    !(value instanceof Date)
  )
}

/**
 * Reads `value.key`. Null for a key that is not there and for anything that has no keys. `length` counts a text, a list
 * or bytes.
 */
export function readKey(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null) {
    return typeof value === 'string' && key === 'length' ? sizeOf(value) : null
  }
  if (!Object.hasOwn(value, key)) {
    return key === 'length' && value instanceof Uint8Array ? value.length : null
  }
  return known((value as Record<string, unknown>)[key])
}

/** Reads `value[index]`: a place of a list, a text or bytes counted from 0, or a key of a map. Null when not there. */
export function readIndex(value: unknown, index: unknown): unknown {
  if (typeof index === 'number') {
    if (typeof value === 'string') return characters(value)[index] ?? null
    if (Array.isArray(value)) return Object.hasOwn(value, index) ? known(value[index]) : null
    if (value instanceof Uint8Array) return value[index] ?? null
    return readKey(value, String(index))
  }
  if (typeof index === 'string') return readKey(value, index)
  return typeof index === 'boolean' ? readKey(value, String(index)) : null
}

/** True when `value` has an own key or a place `index`, whatever stands there. */
export function hasIndex(value: unknown, index: unknown): boolean {
  if (typeof value === 'string' || value instanceof Uint8Array) return readIndex(value, index) !== null
  if (typeof value !== 'object' || value === null || index === null || typeof index === 'object') return false
  return Object.hasOwn(value, String(index))
}

/** Sets a key of a map that is being made; `__proto__` becomes a key like any other. */
export function writeKey(map: Record<string, unknown>, key: string, value: unknown): void {
  if (key === '__proto__') {
    Object.defineProperty(map, key, { value, enumerable: true, configurable: true, writable: true })
  } else {
    map[key] = value
  }
}

/** Deep equality. Values of different types are unequal, a missing value equals null. */
export function equals(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) {
    return (a ?? null) === (b ?? null)
  }
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, i) => equals(item, b[i]))
  }
  if (a instanceof Uint8Array) return b instanceof Uint8Array && Buffer.compare(a, b) === 0
  if (a instanceof Date) return b instanceof Date && a.getTime() === b.getTime()
  if (!isMap(b)) return false
  const keys = Object.keys(a)
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && equals((a as Record<string, unknown>)[key], b[key]))
  )
}

/** The characters of a text; one outside the basic plane counts once. */
export function characters(text: string): string | readonly string[] {
  return SURROGATE.test(text) ? Array.from(text) : text
}

/** Characters of a text, bytes of bytes, items of a list, keys of a map; undefined for anything else. */
export function sizeOf(value: unknown): number | undefined {
  if (typeof value === 'string') return characters(value).length
  if (Array.isArray(value) || value instanceof Uint8Array) return value.length
  return isMap(value) ? Object.keys(value).length : undefined
}

const SURROGATE = /[\ud800-\udfff]/

/** There is one number type, and nothing is undefined. */
function known(value: unknown): unknown {
  if (value === undefined) return null
  return typeof value === 'bigint' ? Number(value) : value
}
