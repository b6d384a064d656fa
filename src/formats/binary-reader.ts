import { invalidAt } from '../contracts/format.ts'
import { findInvalidUtf8, REPLACEMENT } from '../util/utf8.ts'

/**
 * Reads a frame of a binary format from its start to its end, and knows in which field it is. Nothing is taken before it
 * is known to be there, so a length that lies costs nothing.
 */
export class BinaryReader {
  readonly bytes: Buffer
  readonly start: number
  readonly end: number
  readonly #maxDepth: number
  readonly #path: (string | number)[] = []
  #depth = 0
  /** Index in `bytes` of the next byte. */
  at: number

  constructor(bytes: Buffer, start: number, end: number, maxDepth: number) {
    this.bytes = bytes
    this.start = start
    this.end = end
    this.at = start
    this.#maxDepth = maxDepth
  }

  /** Takes `length` bytes. @returns where they begin @throws SluiceError `format_invalid` when they are not there */
  take(length: number, what: string): number {
    const { at } = this
    if (length > this.end - at)
      this.fail(`the frame ends in the middle of ${what}: ${missing(length, this.end - at)}`, at)
    this.at = at + length
    return at
  }

  uint(length: 1 | 2 | 4, what = 'a number'): number {
    const at = this.take(length, what)
    return length === 1 ? this.bytes[at]! : length === 2 ? this.bytes.readUInt16BE(at) : this.bytes.readUInt32BE(at)
  }

  /** A number of 64 bits: as text where it is above 2^53 and a number would lose digits. */
  uint64(what = 'a number'): number | string {
    const value = this.bytes.readBigUInt64BE(this.take(8, what))
    return numberOrText(value)
  }

  /** UTF-8 of `length` bytes. */
  text(length: number): string {
    const at = this.take(length, 'a text')
    const text = length < 24 ? this.#shortText(at, length) : this.bytes.toString('utf8', at, at + length)
    if (text.includes(REPLACEMENT)) {
      const wrong = findInvalidUtf8(this.bytes, at, at + length)
      if (wrong !== -1) this.fail('not valid UTF-8', wrong)
    }
    return text
  }

  /** A view of `length` bytes. */
  slice(length: number): Buffer {
    const at = this.take(length, 'bytes')
    return this.bytes.subarray(at, at + length)
  }

  /**
   * A list of `count` items, or of as many as come before `isEnd`. Each item has at least one byte, so a count that is
   * greater than the bytes that are left is a lie.
   */
  list(count: number, read: () => unknown, isEnd?: () => boolean): unknown[] {
    if (count > this.end - this.at && isEnd === undefined) this.#lie(count, 'a list of', 'items')
    const items: unknown[] = []
    this.#enter()
    for (let i = 0; isEnd === undefined ? i < count : !isEnd(); i++) {
      this.#path[this.#depth - 1] = i
      items.push(read())
    }
    this.#depth--
    return items
  }

  /** A map of `count` pairs, or of as many as come before `isEnd`. Each pair has at least two bytes. */
  map(count: number, readKey: () => unknown, read: () => unknown, isEnd?: () => boolean): Record<string, unknown> {
    if (count * 2 > this.end - this.at && isEnd === undefined) this.#lie(count, 'a map of', 'pairs')
    const map: Record<string, unknown> = {}
    this.#enter()
    for (let i = 0; isEnd === undefined ? i < count : !isEnd(); i++) {
      this.#path[this.#depth - 1] = i
      const { at } = this
      const key = this.#key(readKey(), at)
      if (key === '__proto__') this.fail('the key __proto__, which is refused,', at)
      this.#path[this.#depth - 1] = key
      if (Object.hasOwn(map, key)) this.fail('a key that comes twice', at)
      map[key] = read()
    }
    this.#depth--
    return map
  }

  /** Goes one level deeper for what `read` reads. */
  inside<T>(read: () => T): T {
    this.#enter()
    this.#path[this.#depth - 1] = ''
    const value = read()
    this.#depth--
    return value
  }

  /** @throws SluiceError `format_invalid` when bytes are left */
  finish(): void {
    const left = this.end - this.at
    if (left > 0) this.fail(`${left} more byte${left === 1 ? '' : 's'} behind the value`, this.at)
  }

  /** @param at index in `bytes` of the byte that is wrong @throws SluiceError `format_invalid`, always */
  fail(problem: string, at: number): never {
    throw invalidAt(problem, this.bytes, this.start, this.end, at, formatField(this.#path.slice(0, this.#depth)))
  }

  #enter(): void {
    if (this.#depth >= this.#maxDepth) this.fail(`nested deeper than maxDepth, ${this.#maxDepth}`, this.at)
    this.#depth++
  }

  #lie(count: number, what: string, of: string): never {
    return this.fail(`${what} ${count} ${of} in a frame that has ${this.end - this.at} more bytes`, this.at)
  }

  /** Keys that are no texts are written out: 7 is "7". */
  #key(key: unknown, at: number): string {
    if (typeof key === 'string') return key
    if (typeof key === 'number' || typeof key === 'boolean') return String(key)
    return this.fail('a key that is no text, number or boolean', at)
  }

  /** Most texts are short and ASCII, and then this is twice as fast. */
  #shortText(at: number, length: number): string {
    let text = ''
    for (let i = at; i < at + length; i++) {
      const byte = this.bytes[i]!
      if (byte >= 0x80) return this.bytes.toString('utf8', at, at + length)
      text += String.fromCharCode(byte)
    }
    return text
  }
}

/** An integer as a number where it keeps all its digits, else as text: no BigInt leaves a format. */
export function numberOrText(value: bigint): number | string {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : String(value)
}

/** Whether these milliseconds since 1970 are in the years 0 to 9999, which RFC 3339 can write. */
export function isTime(milliseconds: number): boolean {
  return milliseconds >= -62_167_219_200_000 && milliseconds < 253_402_300_800_000
}

/** `['device', 'temps', 2]` as `device.temps[2]`. */
export function formatField(path: readonly (string | number)[]): string {
  let field = ''
  for (const key of path) {
    if (typeof key === 'number') field += `[${key}]`
    else if (key !== '') field += field === '' ? key : `.${key}`
  }
  return field
}

function missing(length: number, left: number): string {
  return `${length} byte${length === 1 ? '' : 's'} needed, ${left} left`
}
