import { findInvalidUtf8 } from '../util/utf8.ts'

export type Charset = 'ascii' | 'utf-8' | 'latin1'

/**
 * The character set in which bytes are readable text; undefined when they are none. Control characters other than a
 * tab, and those in `also`, are no text.
 */
export function charsetOf(bytes: Buffer, also = ''): Charset | undefined {
  let high = false
  for (const byte of bytes) {
    if (byte < 0x20 ? byte !== 9 && !also.includes(String.fromCharCode(byte)) : byte === 0x7f) return undefined
    if (byte >= 0x80) high = true
  }
  if (!high) return 'ascii'
  if (findInvalidUtf8(bytes, 0, bytes.length) === -1) return 'utf-8'
  return isLatin1(bytes) ? 'latin1' : undefined
}

/** 0x80 to 0x9f are control characters of ISO 8859-1, and a text has few letters that are not ASCII. */
function isLatin1(bytes: Buffer): boolean {
  let high = 0
  for (const byte of bytes) {
    if (byte >= 0x80 && byte < 0xa0) return false
    if (byte >= 0xa0) high++
  }
  return high * 4 <= bytes.length
}
