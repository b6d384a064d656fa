/**
 * The first byte of `bytes[start, end)` that is not part of a valid UTF-8 character (Unicode 16, table 3-7).
 * @returns its index in `bytes`, or -1 when all is valid
 */
export function findInvalidUtf8(bytes: Buffer, start: number, end: number): number {
  const text = bytes.toString('utf8', start, end)
  let at = start
  let from = 0
  for (let i = text.indexOf(REPLACEMENT); i !== -1; i = text.indexOf(REPLACEMENT, from)) {
    at += Buffer.byteLength(text.slice(from, i))
    const genuine = at + 3 <= end && bytes[at] === 0xef && bytes[at + 1] === 0xbf && bytes[at + 2] === 0xbd
    if (!genuine) return at
    at += 3
    from = i + 1
  }
  return -1
}

/** What a decoder writes for bytes that it cannot read. It may also have been sent as such. */
export const REPLACEMENT = '\ufffd'

/** May stand in front of a text to say that it is Unicode (Unicode 16, section 23.8). It is no part of the text. */
export const BYTE_ORDER_MARK = '\ufeff'
