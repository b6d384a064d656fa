import { BinaryReader, isTime, numberOrText } from './binary-reader.ts'

/**
 * Reads one MessagePack value (spec.md, "Formats").
 * @throws SluiceError `format_invalid`
 */
export function parseMsgpack(bytes: Buffer, start: number, end: number, maxDepth: number): unknown {
  const reader = new BinaryReader(bytes, start, end, maxDepth)
  const read = () => readValue(reader, read)
  const value = read()
  reader.finish()
  return value
}

type Read = () => unknown

function readValue(reader: BinaryReader, read: Read): unknown {
  const type = reader.uint(1, 'a value')
  if (type < 0x80) return type
  if (type >= 0xe0) return type - 0x100
  if (type < 0x90) return reader.map(type & 0x0f, read, read)
  if (type < 0xa0) return reader.list(type & 0x0f, read)
  if (type < 0xc0) return reader.text(type & 0x1f)
  switch (type) {
    case 0xc0:
      return null
    case 0xc2:
      return false
    case 0xc3:
      return true
    case 0xc4:
    case 0xc5:
    case 0xc6:
      return reader.slice(readLength(reader, type - 0xc4))
    case 0xc7:
    case 0xc8:
    case 0xc9:
      return readExtension(reader, readLength(reader, type - 0xc7))
    case 0xca:
      return reader.bytes.readFloatBE(reader.take(4, 'a number'))
    case 0xcb:
      return reader.bytes.readDoubleBE(reader.take(8, 'a number'))
    case 0xcc:
    case 0xcd:
    case 0xce:
      return readLength(reader, type - 0xcc)
    case 0xcf:
      return reader.uint64()
    case 0xd0:
      return reader.bytes.readInt8(reader.take(1, 'a number'))
    case 0xd1:
      return reader.bytes.readInt16BE(reader.take(2, 'a number'))
    case 0xd2:
      return reader.bytes.readInt32BE(reader.take(4, 'a number'))
    case 0xd3:
      return numberOrText(reader.bytes.readBigInt64BE(reader.take(8, 'a number')))
    case 0xd4:
    case 0xd5:
    case 0xd6:
    case 0xd7:
    case 0xd8:
      return readExtension(reader, 2 ** (type - 0xd4))
    case 0xd9:
    case 0xda:
    case 0xdb:
      return reader.text(readLength(reader, type - 0xd9))
    case 0xdc:
    case 0xdd:
      return reader.list(readLength(reader, type - 0xdb), read)
    case 0xde:
    case 0xdf:
      return reader.map(readLength(reader, type - 0xdd), read, read)
    default:
      return reader.fail('the byte c1, which MessagePack never uses', reader.at - 1)
  }
}

/** An unsigned number of 2^`power` bytes. */
function readLength(reader: BinaryReader, power: number): number {
  return reader.uint(power === 0 ? 1 : power === 1 ? 2 : 4, 'a number')
}

/** The timestamp (spec.md, "Timestamp extension type") or a value of a type that is somebody's own. */
function readExtension(reader: BinaryReader, length: number): unknown {
  const { at } = reader
  const ext = reader.bytes.readInt8(reader.take(1, 'an extension'))
  const data = reader.slice(length)
  if (ext !== TIMESTAMP) return { ext, data }
  const milliseconds = readTime(data)
  if (milliseconds === undefined || !isTime(milliseconds)) {
    return reader.fail('a timestamp that is none', at)
  }
  return new Date(milliseconds)
}

/** The type of timestamps. */
const TIMESTAMP = -1

/** Milliseconds since 1970; undefined when the length or the nanoseconds are wrong. */
function readTime(data: Buffer): number | undefined {
  if (data.length === 4) return data.readUInt32BE(0) * 1000
  if (data.length === 8) {
    // 30 bits of nanoseconds, 34 bits of seconds.
    const high = data.readUInt32BE(0)
    return timeOf((high & 3) * 2 ** 32 + data.readUInt32BE(4), high >>> 2)
  }
  return data.length === 12 ? timeOf(Number(data.readBigInt64BE(4)), data.readUInt32BE(0)) : undefined
}

function timeOf(seconds: number, nanoseconds: number): number | undefined {
  return nanoseconds > 999_999_999 ? undefined : seconds * 1000 + Math.floor(nanoseconds / 1_000_000)
}
