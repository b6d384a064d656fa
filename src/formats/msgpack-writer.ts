import { type BinaryEncoder, type BinaryWriter, printBinary } from './binary-writer.ts'

/**
 * Writes a value as MessagePack (spec.md, "Formats"), each part of it in the shortest form.
 * @throws SluiceError `format_not_printable`
 */
export function printMsgpack(value: unknown, maxDepth: number): Buffer {
  return printBinary(value, encoder, maxDepth)
}

const encoder: BinaryEncoder = {
  null: (out) => out.uint(1, 0xc0),
  boolean: (out, value) => out.uint(1, value ? 0xc3 : 0xc2),
  integer(out, value) {
    if (value >= 0) unsigned(out, value)
    else signed(out, value)
  },
  float(out, value) {
    out.uint(1, 0xcb)
    out.double(value)
  },
  head(out, kind, length) {
    const { short, below, first } = HEADS[kind]
    if (length < below) {
      out.uint(1, short + length)
      return
    }
    // Lists and maps have no form with one byte of length.
    const power = length < 0x100 && (kind === 'text' || kind === 'bytes') ? 0 : length < 0x10000 ? 1 : 2
    out.uint(1, first + power)
    out.uint(SIZES[power], length)
  },
  time(out, milliseconds) {
    const seconds = Math.floor(milliseconds / 1000)
    const nanoseconds = (milliseconds - seconds * 1000) * 1_000_000
    if (seconds < 0 || seconds >= 2 ** 34) {
      out.uint(1, 0xc7)
      out.uint(1, 12)
      out.uint(1, TIMESTAMP)
      out.uint(4, nanoseconds)
      out.int64(seconds)
    } else if (nanoseconds === 0 && seconds < 2 ** 32) {
      out.uint(1, 0xd6)
      out.uint(1, TIMESTAMP)
      out.uint(4, seconds)
    } else {
      out.uint(1, 0xd7)
      out.uint(1, TIMESTAMP)
      out.uint(4, nanoseconds * 4 + Math.floor(seconds / 2 ** 32))
      out.uint(4, seconds % 2 ** 32)
    }
  },
}

const SIZES = [1, 2, 4] as const
/** The extension type -1. */
const TIMESTAMP = 0xff

/** What begins a value: for a length below `below` the byte `short` and the length, else `first` or one of the bytes behind it. */
const HEADS = {
  text: { short: 0xa0, below: 32, first: 0xd9 },
  bytes: { short: 0xc4, below: 0, first: 0xc4 },
  list: { short: 0x90, below: 16, first: 0xdb },
  map: { short: 0x80, below: 16, first: 0xdd },
} as const

function unsigned(out: BinaryWriter, value: number): void {
  if (value < 0x80) {
    out.uint(1, value)
    return
  }
  const power = value < 0x100 ? 0 : value < 0x10000 ? 1 : value < 2 ** 32 ? 2 : 3
  out.uint(1, 0xcc + power)
  if (power === 3) out.int64(value)
  else out.uint(SIZES[power], value)
}

function signed(out: BinaryWriter, value: number): void {
  if (value >= -0x20) {
    out.uint(1, value + 0x100)
    return
  }
  const power = value >= -0x80 ? 0 : value >= -0x8000 ? 1 : value >= -(2 ** 31) ? 2 : 3
  out.uint(1, 0xd0 + power)
  if (power === 3) out.int64(value)
  else out.uint(SIZES[power], value + 2 ** (8 * SIZES[power]))
}
