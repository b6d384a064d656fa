import { SluiceError } from '../contracts/errors.ts'
import { collectionNotPrintable, isCollection } from '../contracts/record.ts'
import { formatField, isTime } from './binary-reader.ts'

/** How a binary format writes what a value is made of. */
export interface BinaryEncoder {
  null(out: BinaryWriter): void
  boolean(out: BinaryWriter, value: boolean): void
  /** @param value a safe integer, never -0 */
  integer(out: BinaryWriter, value: number): void
  float(out: BinaryWriter, value: number): void
  /** What comes before a text, bytes, a list or a map: bytes of UTF-8, bytes, items, pairs. */
  head(out: BinaryWriter, kind: 'text' | 'bytes' | 'list' | 'map', length: number): void
  /** @param milliseconds since 1970, in the years 0 to 9999 */
  time(out: BinaryWriter, milliseconds: number): void
}

/**
 * Writes a value in a binary format. Keys without a value are left out, and in a list they are null, as in JSON.
 * @throws SluiceError `format_not_printable`, with the field
 */
export function printBinary(value: unknown, encoder: BinaryEncoder, maxDepth: number): Buffer {
  const out = new BinaryWriter()
  const path: (string | number)[] = []
  const where = () => {
    const field = formatField(path)
    return field && `, in ${field}`
  }
  const fail = (problem: string): never => {
    throw new SluiceError('format_not_printable', `${problem}${where()}`)
  }
  const text = (value: string) => {
    if (!value.isWellFormed()) fail('a text with half a surrogate pair')
    const length = Buffer.byteLength(value)
    encoder.head(out, 'text', length)
    out.text(value, length)
  }
  const nested = (key: string | number, value: unknown) => {
    path.push(key)
    write(value)
    path.pop()
  }
  const object = (value: object) => {
    if (value instanceof Date) {
      if (!isTime(value.getTime())) fail('a time that is not in the years 0 to 9999')
      encoder.time(out, value.getTime())
      return
    }
    if (value instanceof Uint8Array) {
      encoder.head(out, 'bytes', value.length)
      out.bytes(value)
      return
    }
    if (path.length >= maxDepth) fail(`nested deeper than maxDepth, ${maxDepth}`)
    if (Array.isArray(value)) {
      encoder.head(out, 'list', value.length)
      for (let i = 0; i < value.length; i++) nested(i, value[i])
      return
    }
    if (isCollection(value)) throw collectionNotPrintable(where())
    const pairs = Object.entries(value).filter(([, inner]) => inner !== undefined)
    encoder.head(out, 'map', pairs.length)
    for (const [key, inner] of pairs) {
      text(key)
      nested(key, inner)
    }
  }
  const write = (value: unknown): void => {
    if (typeof value === 'string') text(value)
    else if (typeof value === 'number') writeNumber(out, value, encoder)
    else if (typeof value === 'boolean') encoder.boolean(out, value)
    else if (value === null || (value === undefined && path.length > 0)) encoder.null(out)
    else if (typeof value === 'object') object(value)
    else fail(`a value of the type ${typeof value} cannot be written`)
  }
  write(value)
  return out.take()
}

function writeNumber(out: BinaryWriter, value: number, encoder: BinaryEncoder): void {
  if (Number.isSafeInteger(value) && !Object.is(value, -0)) encoder.integer(out, value)
  else encoder.float(out, value)
}

/** Bytes that grow. Numbers are written with the first byte being the highest. */
export class BinaryWriter {
  #buffer = Buffer.allocUnsafe(128)
  #length = 0

  uint(length: 1 | 2 | 4, value: number): void {
    const at = this.#reserve(length)
    if (length === 1) this.#buffer[at] = value
    else if (length === 2) this.#buffer.writeUInt16BE(value, at)
    else this.#buffer.writeUInt32BE(value, at)
  }

  /** A number that may be negative, in two's complement. */
  int64(value: number | bigint): void {
    const at = this.#reserve(8)
    this.#buffer.writeBigInt64BE(BigInt(value), at)
  }

  double(value: number): void {
    const at = this.#reserve(8)
    this.#buffer.writeDoubleBE(value, at)
  }

  bytes(bytes: Uint8Array): void {
    const at = this.#reserve(bytes.length)
    this.#buffer.set(bytes, at)
  }

  /** @param length of the text in UTF-8 */
  text(text: string, length: number): void {
    const at = this.#reserve(length)
    this.#buffer.write(text, at, 'utf8')
  }

  /** All that was written; it belongs to the caller. */
  take(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  /** Makes room, for which the buffer may be exchanged; so it comes before any use of it. */
  #reserve(length: number): number {
    const at = this.#length
    this.#length += length
    if (this.#length > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#length, this.#buffer.length * 2))
      this.#buffer.copy(larger, 0, 0, at)
      this.#buffer = larger
    }
    return at
  }
}
