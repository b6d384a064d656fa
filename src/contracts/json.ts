import { collectionNotPrintable, isCollection } from './record.ts'

/**
 * A value as JSON, the same wherever one is written: times as RFC 3339, bytes as base64 text.
 * @returns undefined for what JSON has no form for, such as a function
 * @throws SluiceError `format_not_printable` where there is a Map or a Set in it; what `JSON.stringify` throws
 */
export function jsonOf(value: unknown): string | undefined {
  const text: string | undefined = JSON.stringify(value)
  // A replacer costs several times the work, so it is used only where it may be needed.
  return text !== undefined && mayHoldOthers(text) ? JSON.stringify(value, replace) : text
}

/**
 * Whether bytes, a Map or a Set may be among the values: what `JSON.stringify` makes of a Buffer, of a Uint8Array, and of
 * what looks empty to it. Searches begin with a character that is rare in JSON, since a search stops at each one.
 */
function mayHoldOthers(text: string): boolean {
  return text.includes('Buffer') || text.includes('{"0":') || text.includes('{}')
}

/** `this` holds the value as it was before its `toJSON`. */
function replace(this: Readonly<Record<string, unknown>>, key: string, value: unknown): unknown {
  const given = this[key]
  if (isCollection(given)) throw collectionNotPrintable()
  if (!(given instanceof Uint8Array)) return value
  return Buffer.from(given.buffer, given.byteOffset, given.byteLength).toString('base64')
}
