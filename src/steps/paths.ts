import { z } from '../contracts/schema.ts'
import { isPlainObject } from '../util/plain-object.ts'

/** A place inside `msg`: `a.b` is the key `b` of the object under the key `a`. */
export type Path = readonly string[]

/** An option that names a place inside `msg`. */
export function pathOption() {
  return z.string().superRefine((text, context) => {
    const [first, ...rest] = text.split('.')
    if (first === 'msg' && rest.length > 0) {
      const params = { hint: `write ${rest.join('.')}` }
      context.addIssue({ code: 'custom', message: 'a path begins inside msg', params })
    } else if (/[[\]]/.test(text)) {
      const params = { hint: 'to change the items of a list, use each or map' }
      context.addIssue({ code: 'custom', message: 'a path has keys and dots alone, such as a.b', params })
    } else if ([first, ...rest].some((key) => key === '' || key === '__proto__')) {
      context.addIssue({ code: 'custom', message: 'expected a key, or keys with dots between them, such as a.b' })
    }
  })
}

/** Reads what {@link pathOption} took. */
export function parsePath(text: string): Path {
  return text.split('.')
}

/** True when there is a key at this place, whatever its value. */
export function hasPath(value: unknown, path: Path): boolean {
  let found = value
  for (const key of path) {
    if (!isPlainObject(found) || !Object.hasOwn(found, key)) return false
    found = found[key]
  }
  return true
}

/** The value at a place that is there. */
export function readPath(value: unknown, path: Path): unknown {
  return path.reduce((found, key) => (found as Readonly<Record<string, unknown>>)[key], value)
}

/** A copy without a place that is there. Only the objects on the way to it are copied. */
export function withoutPath(value: unknown, [key, ...rest]: Path): unknown {
  const { [key!]: inner, ...others } = value as Readonly<Record<string, unknown>>
  return rest.length === 0 ? others : { ...(value as object), [key!]: withoutPath(inner, rest) }
}

/**
 * A copy with a value at a place; objects that are missing on the way are made.
 * @returns undefined where something on the way is no object
 */
export function withPath(value: unknown, [key, ...rest]: Path, item: unknown): unknown {
  if (!isPlainObject(value)) return undefined
  if (rest.length === 0) return { ...value, [key!]: item }
  const inner = withPath(Object.hasOwn(value, key!) ? value[key!] : {}, rest, item)
  return inner === undefined ? undefined : { ...value, [key!]: inner }
}
