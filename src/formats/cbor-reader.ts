import { BinaryReader, isTime, numberOrText } from './binary-reader.ts'

/**
 * Reads one CBOR data item (RFC 8949, section 3).
 * @throws SluiceError `format_invalid`
 */
export function parseCbor(bytes: Buffer, start: number, end: number, maxDepth: number): unknown {
  const reader = new BinaryReader(bytes, start, end, maxDepth)
  const read = () => readItem(reader, read)
  const value = read()
  reader.finish()
  return value
}

type Read = () => unknown

function readItem(reader: BinaryReader, read: Read): unknown {
  const { at } = reader
  const initial = reader.uint(1, 'a value')
  const info = initial & 0x1f
  const major = initial >> 5
  switch (major) {
    case 0:
      return readArgument(reader, info, at)
    case 1:
      return negative(readArgument(reader, info, at))
    case 2:
      return info === INDEFINITE ? Buffer.concat(readChunks(reader, 2)) : reader.slice(readLength(reader, info, at))
    case 3:
      return readText(reader, info, at)
    case 4:
      if (info === INDEFINITE) return reader.list(0, read, () => takeBreak(reader))
      return reader.list(readLength(reader, info, at), read)
    case 5:
      if (info === INDEFINITE) return reader.map(0, read, read, () => takeBreak(reader))
      return reader.map(readLength(reader, info, at), read, read)
    case 6:
      return readTagged(reader, readArgument(reader, info, at), at, read)
    default:
      return readSimple(reader, info, at)
  }
}

/** The additional information that means "as many as come before the break". */
const INDEFINITE = 31
const BREAK = 0xff

/** The number behind the initial byte (RFC 8949, section 3). */
function readArgument(reader: BinaryReader, info: number, at: number): number | string {
  if (info < 24) return info
  if (info === 24) return reader.uint(1)
  if (info === 25) return reader.uint(2)
  if (info === 26) return reader.uint(4)
  if (info === 27) return reader.uint64()
  return reader.fail('a byte that begins no value of CBOR', at)
}

function readLength(reader: BinaryReader, info: number, at: number): number {
  // A text is above 2^53, and any frame is shorter.
  return Number(readArgument(reader, info, at))
}

function negative(argument: number | string): number | string {
  return typeof argument === 'number' && argument < Number.MAX_SAFE_INTEGER
    ? -1 - argument
    : numberOrText(-1n - BigInt(argument))
}

function readText(reader: BinaryReader, info: number, at: number): string {
  if (info !== INDEFINITE) return reader.text(readLength(reader, info, at))
  let text = ''
  while (!takeBreak(reader)) text += reader.text(readChunkLength(reader, 3))
  return text
}

function readChunks(reader: BinaryReader, major: number): Buffer[] {
  const chunks: Buffer[] = []
  while (!takeBreak(reader)) chunks.push(reader.slice(readChunkLength(reader, major)))
  return chunks
}

/** Chunks have lengths and are of the kind of the whole (RFC 8949, section 3.2.3). */
function readChunkLength(reader: BinaryReader, major: number): number {
  const { at } = reader
  const initial = reader.uint(1, 'a string')
  if (initial >> 5 !== major) reader.fail('a part of a string that is of another kind', at)
  return readLength(reader, initial & 0x1f, at)
}

function takeBreak(reader: BinaryReader): boolean {
  if (reader.at >= reader.end) reader.fail('the frame ends before the break of a value without length', reader.at)
  if (reader.bytes[reader.at] !== BREAK) return false
  reader.at++
  return true
}

/** Major type 7 (RFC 8949, section 3.3). */
function readSimple(reader: BinaryReader, info: number, at: number): unknown {
  switch (info) {
    case 20:
      return false
    case 21:
      return true
    case 22:
    case 23:
      return null
    case 25:
      return readHalf(reader.uint(2))
    case 26:
      return reader.bytes.readFloatBE(reader.take(4, 'a number'))
    case 27:
      return reader.bytes.readDoubleBE(reader.take(8, 'a number'))
    case INDEFINITE:
      return reader.fail('a break with nothing to end', at)
    default:
      return reader.fail('a simple value that has no meaning', at)
  }
}

/** A float of 16 bits (IEEE 754; RFC 8949, appendix D). */
function readHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

/** Tags (RFC 8949, section 3.4). */
function readTagged(reader: BinaryReader, tag: number | string, at: number, read: Read): unknown {
  const value = reader.inside(read)
  switch (tag) {
    case 0:
      return readTime(reader, typeof value === 'string' && RFC_3339.test(value) ? Date.parse(value) : Number.NaN, at)
    case 1:
      return readTime(reader, typeof value === 'number' ? Math.round(value * 1000) : Number.NaN, at)
    case 2:
    case 3: {
      if (!Buffer.isBuffer(value)) return reader.fail('a bignum that is no bytes', at)
      if (value.length > MAX_BIGNUM) return reader.fail(`a bignum of more than ${MAX_BIGNUM} bytes`, at)
      const number = value.length === 0 ? 0n : BigInt(`0x${value.toString('hex')}`)
      return numberOrText(tag === 2 ? number : -1n - number)
    }
    case SELF_DESCRIBED:
      return value
    default:
      return { tag, value }
  }
}

/** The mark in front of a file that says "this is CBOR" (RFC 8949, section 3.4.6). */
const SELF_DESCRIBED = 55_799
/** In bytes. To write a number in decimal takes a time that grows faster than its length: seconds for 1 MiB. */
const MAX_BIGNUM = 1024
const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/

function readTime(reader: BinaryReader, milliseconds: number, at: number): Date {
  return isTime(milliseconds) ? new Date(milliseconds) : reader.fail('a time that is none', at)
}
