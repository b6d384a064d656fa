import { hash } from 'node:crypto'

/**
 * A key as it is kept, so that one of any length takes little: as it is written, or where it is long, as its hash. No key
 * that is kept as it is written is like a hash.
 */
export function keptKey(text: string): string {
  return text.length <= LONGEST_KEY && !text.startsWith(MARK) ? text : hashedKey(text)
}

/** A key as its hash. */
export function hashedKey(text: string): string {
  return MARK + hash('sha256', text, 'base64url')
}

/** Characters. */
const LONGEST_KEY = 200

const MARK = '#'
