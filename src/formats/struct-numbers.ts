import { FieldFault, type Fixed, notPrintable, type Read } from './struct-bytes.ts'

/** The types of numbers: `u16` is unsigned with 16 bits, `i16` has a sign, `f32` is a floating-point number. */
export const integerTypes = [
  'u8',
  'u16',
  'u24',
  'u32',
  'u40',
  'u48',
  'u56',
  'u64',
  'i8',
  'i16',
  'i24',
  'i32',
  'i40',
  'i48',
  'i56',
  'i64',
] as const
export const floatTypes = ['f32', 'f64'] as const

export type IntegerType = (typeof integerTypes)[number]
export type FloatType = (typeof floatTypes)[number]
export type Endian = 'big' | 'little'

export function isInteger(type: string): type is IntegerType {
  return (integerTypes as readonly string[]).includes(type)
}

/** The least and the largest value of an integer. */
export function rangeOf(type: IntegerType): readonly [bigint, bigint] {
  const bits = BigInt(type.slice(1))
  return type.startsWith('i') ? [-(2n ** (bits - 1n)), 2n ** (bits - 1n) - 1n] : [0n, 2n ** bits - 1n]
}

/**
 * An integer in two's complement. One of 56 or 64 bits that a JavaScript number cannot hold exactly is a text of its
 * decimal digits.
 */
export function integer(type: IntegerType, endian: Endian, label: string): Fixed {
  const size = Number(type.slice(1)) / 8
  const signed = type.startsWith('i')
  const little = endian === 'little'
  const [least, most] = rangeOf(type)
  const takes = `a whole number from ${least} to ${most}`
  const reader =
    readers[`${type}-${endian}`] ??
    (size > 6
      ? (offset: number): Read =>
          (view, at) =>
            readWide(view, at + offset, size, signed, little)
      : (offset: number): Read =>
          (view, at) =>
            readOdd(view, at + offset, size, signed, little))
  return {
    size,
    reader,
    write({ bytes }, at, value) {
      const whole = wholeOf(value)
      if (whole === undefined || whole < least || whole > most) throw notPrintable(label, value, takes)
      let rest = BigInt.asUintN(size * 8, whole)
      for (let i = 0; i < size; i++, rest >>= 8n) bytes[at + (little ? i : size - 1 - i)] = Number(rest & 0xffn)
    },
  }
}

/** A floating-point number (IEEE 754, binary32 and binary64). */
export function float(type: FloatType, endian: Endian, label: string): Fixed {
  const size = type === 'f32' ? 4 : 8
  return {
    size,
    reader: readers[`${type}-${endian}`]!,
    write({ bytes }, at, value) {
      if (typeof value !== 'number') throw notPrintable(label, value, 'a number')
      const little = endian === 'little'
      if (size === 8) little ? bytes.writeDoubleLE(value, at) : bytes.writeDoubleBE(value, at)
      else little ? bytes.writeFloatLE(value, at) : bytes.writeFloatBE(value, at)
    },
  }
}

/**
 * Binary coded decimal: two digits in each byte, the higher one first.
 * @param asText gives the digits as a text, with the zeros in front
 */
export function bcd(size: number, endian: Endian, asText: boolean, label: string): Fixed {
  const digits = size * 2
  const takes = asText ? `a text of ${digits} digits` : `a whole number of at most ${digits} digits`
  return {
    size,
    reader: (offset) => (_view, at, bytes) => {
      const from = at + offset - bytes.byteOffset
      const part = bytes.subarray(from, from + size)
      const text = (endian === 'little' ? Buffer.from(part).reverse() : part).toString('hex')
      if (/[a-f]/.test(text))
        throw new FieldFault(`${label} is ${text}, which is not binary coded decimal,`, at + offset)
      return asText || !Number.isSafeInteger(Number(text)) ? text : Number(text)
    },
    write({ bytes }, at, value) {
      const text = typeof value === 'number' && Number.isSafeInteger(value) ? String(value) : value
      const fits = typeof text === 'string' && /^\d+$/.test(text) && text.length <= digits
      if (!fits || (asText && text.length !== digits)) throw notPrintable(label, value, takes)
      const written = Buffer.from(text.padStart(digits, '0'), 'hex')
      bytes.set(endian === 'little' ? written.reverse() : written, at)
    },
  }
}

/** The sizes that a DataView reads in one go. Each is a function of its own, so that the engine can put it in place. */
const readers: Readonly<Record<string, (offset: number) => Read>> = {
  'u8-big': (offset) => (view, at) => view.getUint8(at + offset),
  'u8-little': (offset) => (view, at) => view.getUint8(at + offset),
  'i8-big': (offset) => (view, at) => view.getInt8(at + offset),
  'i8-little': (offset) => (view, at) => view.getInt8(at + offset),
  'u16-big': (offset) => (view, at) => view.getUint16(at + offset),
  'u16-little': (offset) => (view, at) => view.getUint16(at + offset, true),
  'i16-big': (offset) => (view, at) => view.getInt16(at + offset),
  'i16-little': (offset) => (view, at) => view.getInt16(at + offset, true),
  'u32-big': (offset) => (view, at) => view.getUint32(at + offset),
  'u32-little': (offset) => (view, at) => view.getUint32(at + offset, true),
  'i32-big': (offset) => (view, at) => view.getInt32(at + offset),
  'i32-little': (offset) => (view, at) => view.getInt32(at + offset, true),
  'f32-big': (offset) => (view, at) => view.getFloat32(at + offset),
  'f32-little': (offset) => (view, at) => view.getFloat32(at + offset, true),
  'f64-big': (offset) => (view, at) => view.getFloat64(at + offset),
  'f64-little': (offset) => (view, at) => view.getFloat64(at + offset, true),
}

/** Byte by byte: 24, 40 and 48 bits, which a number holds exactly. */
function readOdd(view: DataView, at: number, size: number, signed: boolean, little: boolean): number {
  let value = 0
  for (let i = 0; i < size; i++) value = value * 256 + view.getUint8(at + (little ? size - 1 - i : i))
  return signed && value >= 2 ** (size * 8 - 1) ? value - 2 ** (size * 8) : value
}

/** 56 and 64 bits, in two parts, so that big integers are made only where they are needed. */
function readWide(view: DataView, at: number, size: number, signed: boolean, little: boolean): number | string {
  const low = view.getUint32(little ? at : at + size - 4, little)
  const high = readOdd(view, little ? at + 4 : at, size - 4, signed, little)
  const value = high * 2 ** 32 + low
  return Number.isSafeInteger(value) ? value : String((BigInt(high) << 32n) + BigInt(low))
}

function wholeOf(value: unknown): bigint | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : undefined
  return typeof value === 'string' && /^-?\d{1,20}$/.test(value) ? BigInt(value) : undefined
}
