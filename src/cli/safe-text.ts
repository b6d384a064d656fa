import { formatBytes } from '../util/escapes.ts'
import { findInvalidUtf8 } from '../util/utf8.ts'

/**
 * Bytes as text for a terminal: UTF-8 as it is, everything else as the escape that a user would write. Nothing in it
 * moves the cursor, changes colours or turns the direction of the text, so that a device cannot do so either.
 */
export function showBytes(bytes: Buffer): string {
  let shown = ''
  let from = 0
  for (
    let bad = findInvalidUtf8(bytes, 0, bytes.length);
    bad !== -1;
    bad = findInvalidUtf8(bytes, from, bytes.length)
  ) {
    shown += showText(bytes.toString('utf8', from, bad)) + formatBytes(bytes.subarray(bad, bad + 1))
    from = bad + 1
  }
  return shown + showText(bytes.toString('utf8', from))
}

/** The same for a terminal on which text appears as it comes: line ends are line ends. */
export function showLines(bytes: Buffer): string {
  return showBytes(bytes).replaceAll(/(?<!\\)((?:\\\\)*)(?:\\r)?\\n/g, '$1\n')
}

/** A value as JSON, safe for a terminal; bytes and texts as {@link showBytes} writes them. */
export function showValue(value: unknown): string {
  if (Buffer.isBuffer(value)) return showBytes(value)
  if (typeof value === 'string') return showText(value)
  return (JSON.stringify(value) ?? String(value)).replaceAll(UNSAFE, escaped)
}

function showText(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll(UNSAFE, escaped)
}

/** Control, format, private and unassigned characters, and those that separate lines. */
const UNSAFE = /[\p{C}\p{Zl}\p{Zp}]/gu

function escaped(character: string): string {
  return formatBytes(Buffer.from(character, 'utf8'))
}
