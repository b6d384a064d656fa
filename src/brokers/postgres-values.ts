import { SluiceError } from '../contracts/errors.ts'
import { jsonText } from './json-text.ts'

/** What a type takes, as far as it decides how a value is written. */
export type ColumnKind =
  /** Whatever the type reads from its own text form: numbers, times, texts, ranges … */
  | 'text'
  | 'json'
  | 'bytes'
  /** A list of such values. */
  | { readonly listOf: ColumnKind }

/**
 * The kind of a type.
 * @param name of the type, or that under a domain
 * @param element name of the type of the elements; null for a type that is no array
 */
export function kindOf(name: string, element: string | null): ColumnKind {
  return element === null ? kindOfType(name) : { listOf: kindOfType(element) }
}

/**
 * A value in the text form of a type, which the server then reads itself: so it checks it as strictly as what a
 * person types into `psql`.
 * @returns null for NULL
 * @throws SluiceError `sink_failed` when the type cannot hold such a value
 */
export function toColumnText(value: unknown, kind: ColumnKind): string | null {
  if (value === null || value === undefined) return null
  if (kind === 'json') return withoutNul(jsonText(value))
  if (kind === 'bytes') return toHex(value)
  if (typeof kind === 'object') return toList(value, kind.listOf)
  return withoutNul(toPlainText(value))
}

/**
 * A list in PostgreSQL's text form, `{"a",NULL,"b"}`.
 * @see https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO
 */
export function toArrayLiteral(items: readonly (string | null)[]): string {
  let literal = '{'
  for (let i = 0; i < items.length; i++) {
    if (i > 0) literal += ','
    const item = items[i] ?? null
    literal += item === null ? 'NULL' : quote(item)
  }
  return `${literal}}`
}

function kindOfType(name: string): ColumnKind {
  if (name === 'json' || name === 'jsonb') return 'json'
  return name === 'bytea' ? 'bytes' : 'text'
}

function toPlainText(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return value
    case 'number':
    case 'bigint':
    case 'boolean':
      return String(value)
    case 'object':
      if (value instanceof Date) return toTime(value)
      if (value instanceof Uint8Array) {
        throw new SluiceError('sink_failed', 'only the type bytea takes bytes', {
          hint: 'For a text write text(…), hex(…) or base64(…) around the value.',
        })
      }
      return jsonText(value)
    default:
      throw new SluiceError('sink_failed', `a ${typeof value} cannot be stored`)
  }
}

function toTime(value: Date): string {
  if (Number.isNaN(value.getTime())) throw new SluiceError('sink_failed', 'an invalid time cannot be stored')
  return value.toISOString()
}

/** A text becomes bytes as UTF-8, so that a backslash in it means nothing. */
function toHex(value: unknown): string {
  if (typeof value === 'string') return `\\x${Buffer.from(value, 'utf8').toString('hex')}`
  if (value instanceof Uint8Array) {
    return `\\x${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('hex')}`
  }
  throw new SluiceError('sink_failed', 'the type bytea takes bytes or a text')
}

/** Lists in lists are the dimensions of one array. */
function toList(value: unknown, item: ColumnKind): string {
  if (typeof value === 'string') return withoutNul(value)
  if (!Array.isArray(value)) throw new SluiceError('sink_failed', 'an array type takes a list')
  let literal = '{'
  for (const [i, one] of value.entries()) {
    if (i > 0) literal += ','
    if (Array.isArray(one) && item !== 'json') literal += toList(one, item)
    else {
      const text = toColumnText(one, item)
      literal += text === null ? 'NULL' : quote(text)
    }
  }
  return `${literal}}`
}

function quote(text: string): string {
  return text.includes('"') || text.includes('\\') ? `"${text.replaceAll(/["\\]/g, '\\$&')}"` : `"${text}"`
}

/** PostgreSQL has no texts with NUL. Found here, it costs the message alone and not a second try of its neighbours. */
function withoutNul(text: string): string {
  if (!text.includes('\0')) return text
  throw new SluiceError('sink_failed', 'PostgreSQL has no text with a NUL character', {
    hint: 'Take it out with replace(…), or use the type bytea.',
  })
}
