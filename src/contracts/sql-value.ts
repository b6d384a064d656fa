import { toSluiceError } from './errors.ts'
import { jsonOf } from './json.ts'
import type { SqlValue } from './storage.ts'

/**
 * A value as the embedded database holds it: true and false as 1 and 0, times as RFC 3339 text in UTC, objects and lists
 * as JSON.
 * @throws Error when the value has no form that a database could hold; whose fault that is, its user says
 */
export function toSqlValue(value: unknown): SqlValue {
  switch (typeof value) {
    case 'string':
    case 'number':
    case 'bigint':
      return value
    case 'boolean':
      return value ? 1 : 0
    case 'undefined':
      return null
    case 'object':
      if (value === null || value instanceof Uint8Array) return value
      return value instanceof Date ? toTime(value) : toJson(value)
    default:
      throw new TypeError(`a ${typeof value} cannot be stored`)
  }
}

function toTime(value: Date): string {
  if (Number.isNaN(value.getTime())) throw new TypeError('an invalid time cannot be stored')
  return value.toISOString()
}

function toJson(value: object): string | null {
  try {
    return jsonOf(value) ?? null
  } catch (cause) {
    const { message } = toSluiceError(cause)
    throw new TypeError(`a value cannot be stored as JSON: ${message}`, { cause })
  }
}
