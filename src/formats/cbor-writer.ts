import { type BinaryEncoder, type BinaryWriter, printBinary } from './binary-writer.ts'

/**
 * Writes a value as CBOR (RFC 8949, section 3), with lengths, and integers in the shortest form.
 * @throws SluiceError `format_not_printable`
 */
export function printCbor(value: unknown, maxDepth: number): Buffer {
  return printBinary(value, encoder, maxDepth)
}

const encoder: BinaryEncoder = {
  null: (out) => out.uint(1, 0xf6),
  boolean: (out, value) => out.uint(1, value ? 0xf5 : 0xf4),
  integer: writeInteger,
  float(out, value) {
    out.uint(1, 0xfb)
    out.double(value)
  },
  head: (out, kind, length) => writeArgument(out, MAJOR[kind], length),
  time(out, milliseconds) {
    // Tag 1: seconds since 1970 (RFC 8949, section 3.4.2).
    out.uint(1, 0xc1)
    const seconds = milliseconds / 1000
    if (Number.isInteger(seconds)) writeInteger(out, seconds + 0)
    else encoder.float(out, seconds)
  },
}

const MAJOR = { bytes: 2, text: 3, list: 4, map: 5 } as const

function writeInteger(out: BinaryWriter, value: number): void {
  if (value >= 0) writeArgument(out, 0, value)
  else writeArgument(out, 1, -1 - value)
}

function writeArgument(out: BinaryWriter, major: number, value: number): void {
  const initial = major << 5
  if (value < 24) {
    out.uint(1, initial + value)
  } else if (value >= 2 ** 32) {
    out.uint(1, initial + 27)
    out.int64(value)
  } else {
    const length = value < 0x100 ? 1 : value < 0x10000 ? 2 : 4
    out.uint(1, initial + 24 + Math.log2(length))
    out.uint(length, value)
  }
}
