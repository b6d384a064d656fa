const NAMED: Readonly<Record<string, number>> = {
  n: 10,
  r: 13,
  t: 9,
  f: 12,
  v: 11,
  b: 8,
  a: 7,
  e: 27,
  '0': 0,
  '\\': 92,
}

/** An escape that is not one; `index` is where in the text it stands. */
export class EscapeError extends Error {
  override readonly name = 'EscapeError'
  readonly index: number

  constructor(message: string, index: number) {
    super(message)
    this.index = index
  }
}

/**
 * Reads bytes written as text with escapes: `\r \n \t \0 \\` and `\xHH`, which is always one byte. Other characters
 * stand for their UTF-8 bytes; a character that YAML has already made of `"\xff"` (U+0080 to U+00FF) stands for one byte.
 * @throws EscapeError
 */
export function parseBytes(text: string): Buffer {
  const bytes: number[] = []
  for (let i = 0; i < text.length; i++) {
    const unit = text.codePointAt(i)!
    if (unit === 92) {
      const found = readEscape(text, i)
      bytes.push(found.byte)
      i += found.length - 1
    } else if (unit < 256) {
      bytes.push(unit)
    } else {
      bytes.push(...Buffer.from(String.fromCodePoint(unit), 'utf8'))
      if (unit > 0xffff) i++
    }
  }
  return Buffer.from(bytes)
}

/**
 * Decodes the escapes of a text that stays text; `\xHH` above 7f is refused, because a text has no single bytes.
 * @throws EscapeError
 */
export function parseText(text: string): string {
  if (!text.includes('\\')) return text
  let result = ''
  for (let i = 0; i < text.length; i++) {
    if (text[i] !== '\\') {
      result += text[i]
      continue
    }
    const found = readEscape(text, i)
    if (found.byte > 0x7f) {
      throw new EscapeError(
        `${text.slice(i, i + found.length)} is a single byte, which a text cannot hold; use raw:`,
        i,
      )
    }
    result += String.fromCharCode(found.byte)
    i += found.length - 1
  }
  return result
}

/** Shows bytes the way a user would write them: `"STX\x02 end\r\n"` without the quotes. Never longer than `max` bytes' worth. */
export function formatBytes(bytes: Uint8Array, max = 64): string {
  let shown = ''
  for (const byte of bytes.subarray(0, max)) {
    if (byte === 13) shown += '\\r'
    else if (byte === 10) shown += '\\n'
    else if (byte === 9) shown += '\\t'
    else if (byte === 92) shown += '\\\\'
    else if (byte < 32 || byte > 126) shown += `\\x${byte.toString(16).padStart(2, '0')}`
    else shown += String.fromCharCode(byte)
  }
  return bytes.length > max ? `${shown}… (${bytes.length} bytes)` : shown
}

function readEscape(text: string, at: number): { byte: number; length: number } {
  const name = text[at + 1]
  if (name === 'x') {
    const hex = text.slice(at + 2, at + 4)
    if (!/^[0-9a-f]{2}$/i.test(hex)) throw new EscapeError('\\x needs two hexadecimal digits, such as \\x02', at)
    return { byte: Number.parseInt(hex, 16), length: 4 }
  }
  const byte = name === undefined ? undefined : NAMED[name]
  if (byte === undefined) {
    throw new EscapeError(`\\${name ?? ''} is no escape; there are \\r \\n \\t \\0 \\xHH and \\\\`, at)
  }
  return { byte, length: 2 }
}
