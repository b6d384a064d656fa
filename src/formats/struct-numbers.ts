import { type Body, type Code, js } from '../codegen/code.ts'
import { FieldFault, notPrintable } from './struct-bytes.ts'
import { type Fixed, indexOf, type Place, type Writing } from './struct-coding.ts'
import { type Endian, type FloatType, type IntegerType, rangeOf } from './struct-types.ts'

/**
 * An integer in two's complement. One of 56 or 64 bits that a JavaScript number cannot hold exactly is a text of its
 * decimal digits.
 */
export function integer(type: IntegerType, endian: Endian, label: string): Fixed {
  const size = sizeOf(type)
  const [least, most] = rangeOf(type)
  if (size <= 6) {
    return {
      size,
      read: (_reading, place) => getNumber(type, endian, place),
      write(writing, place, value) {
        const whole = wholeBetween(writing.body, value, Number(least), Number(most), label)
        setNumber(writing, type, endian, place, whole)
      },
    }
  }
  const { high, low } = halvesOf(type, endian)
  return {
    size,
    read: ({ body }, place) => body.call(joined, getHalf(high, endian, place), getHalf(low, endian, place)),
    write({ body }, place, value) {
      const whole = body.call(wideOf, value, body.constant(least), body.constant(most), label)
      body.add(body.call(writeWide, js`writer.bytes`, indexOf(place), whole, size, endian === 'little'))
    },
  }
}

/**
 * A floating-point number (IEEE 754, binary32 and binary64). What has no room is refused, as of an integer; infinity itself
 * has room.
 */
export function float(type: FloatType, endian: Endian, label: string): Fixed {
  return {
    size: type === 'f32' ? 4 : 8,
    read: (_reading, place) => getNumber(type, endian, place),
    write(writing, place, value) {
      const { body } = writing
      const given = body.keep(value)
      const isSmall = type === 'f32'
      const takes = isSmall ? 'a number that fits into 32 bits' : 'a number'
      const isNone = js`typeof ${given} !== 'number'`
      const size = js`Math.abs(${given})`
      const isWrong = isSmall ? js`${isNone} || (${size} >= ${TOO_LARGE} && ${size} !== Infinity)` : isNone
      body.add(js`if (${isWrong}) throw ${body.call(notPrintable, label, given, takes)}`)
      setNumber(writing, type, endian, place, given)
    },
  }
}

/** What binary32 rounds to infinity, from here on: half a step above its largest number (IEEE 754, section 4.3.1). */
const TOO_LARGE = 2 ** 128 - 2 ** 103

/**
 * Binary coded decimal: two digits in each byte, the higher one first.
 * @param asText gives the digits as a text, with the zeros in front
 */
export function bcd(size: number, endian: Endian, asText: boolean, label: string): Fixed {
  const little = endian === 'little'
  return {
    size,
    read: ({ body }, place) => body.keep(body.call(readDigits, js`bytes`, indexOf(place), size, little, asText, label)),
    write({ body }, place, value) {
      body.add(body.call(writeDigits, js`writer.bytes`, indexOf(place), value, size, little, asText, label))
    },
  }
}

/** What a DataView reads and writes in one go. */
const methods: Readonly<Record<string, { readonly get: Code; readonly set: Code }>> = {
  u8: { get: js`getUint8`, set: js`setUint8` },
  i8: { get: js`getInt8`, set: js`setInt8` },
  u16: { get: js`getUint16`, set: js`setUint16` },
  i16: { get: js`getInt16`, set: js`setInt16` },
  u32: { get: js`getUint32`, set: js`setUint32` },
  i32: { get: js`getInt32`, set: js`setInt32` },
  f32: { get: js`getFloat32`, set: js`setFloat32` },
  f64: { get: js`getFloat64`, set: js`setFloat64` },
}

/** A part of an integer: its type, and where it stands in it. */
interface Half {
  readonly type: string
  readonly offset: number
}

/** An integer that no DataView knows as two smaller ones; one of the lower is worth 1, one of the higher `worth`. */
function halvesOf(type: string, endian: Endian): { high: Half; low: Half; worth: number } {
  const size = sizeOf(type)
  const lowSize = size > 4 ? 4 : 2
  const little = endian === 'little'
  return {
    high: { type: `${type[0]}${(size - lowSize) * 8}`, offset: little ? lowSize : 0 },
    low: { type: `u${lowSize * 8}`, offset: little ? 0 : size - lowSize },
    worth: 2 ** (lowSize * 8),
  }
}

function sizeOf(type: string): number {
  return Number(type.slice(1)) / 8
}

/** A number of at most 48 bits, or a floating-point one. */
function getNumber(type: string, endian: Endian, place: Place): Code {
  const method = methods[type]
  if (method !== undefined) return js`view.${method.get}(${indexOf(place)}, ${endian === 'little'})`
  const { high, low, worth } = halvesOf(type, endian)
  return js`(${getHalf(high, endian, place)} * ${worth} + ${getHalf(low, endian, place)})`
}

function getHalf({ type, offset }: Half, endian: Endian, { base, offset: from }: Place): Code {
  return getNumber(type, endian, { base, offset: from + offset })
}

function setNumber(writing: Writing, type: string, endian: Endian, place: Place, value: Code): void {
  const method = methods[type]
  if (method !== undefined) {
    writing.body.add(js`${writing.view}.${method.set}(${indexOf(place)}, ${value}, ${endian === 'little'})`)
    return
  }
  const { high, low, worth } = halvesOf(type, endian)
  const { base, offset } = place
  setNumber(writing, high.type, endian, { base, offset: offset + high.offset }, js`Math.floor(${value} / ${worth})`)
  // A DataView takes of a number as many of its lowest bits as there is room for (ECMA-262, NumericToRawBytes).
  setNumber(writing, low.type, endian, { base, offset: offset + low.offset }, value)
}

/** 56 and 64 bits, in two parts, so that big integers are made only where they are needed. */
function joined(high: number, low: number): number | string {
  const value = high * 2 ** 32 + low
  return Number.isSafeInteger(value) ? value : String((BigInt(high) << 32n) + BigInt(low))
}

/** A whole number that is given. It is looked at in place, since V8 does not put so many calls into one function. */
function wholeBetween(body: Body, value: Code, least: number, most: number, label: string): Code {
  const given = body.keep(value)
  const isIt = js`typeof ${given} === 'number' && ${given} >= ${least} && ${given} <= ${most} && Math.floor(${given}) === ${given}`
  return body.keep(js`${isIt} ? ${given} : ${body.call(wholeOf, given, least, most, label)}`)
}

/** A whole number that may be a text of its digits. */
function wholeOf(value: unknown, least: number, most: number, label: string): number {
  return Number(wideOf(value, BigInt(least), BigInt(most), label))
}

function wideOf(value: unknown, least: bigint, most: bigint, label: string): bigint {
  const isWhole = typeof value === 'number' ? Number.isSafeInteger(value) : isDigits(value)
  const whole = isWhole ? BigInt(value as number | string) : undefined
  if (whole !== undefined && whole >= least && whole <= most) return whole
  throw notPrintable(label, value, `a whole number from ${least} to ${most}`)
}

function isDigits(value: unknown): boolean {
  return typeof value === 'string' && /^-?\d{1,20}$/.test(value)
}

function writeWide(bytes: Buffer, at: number, whole: bigint, size: number, little: boolean): void {
  let rest = BigInt.asUintN(size * 8, whole)
  for (let i = 0; i < size; i++, rest >>= 8n) bytes[at + (little ? i : size - 1 - i)] = Number(rest & 0xffn)
}

function readDigits(
  bytes: Buffer,
  at: number,
  size: number,
  little: boolean,
  asText: boolean,
  label: string,
): number | string {
  const part = bytes.subarray(at, at + size)
  const text = (little ? Buffer.from(part).reverse() : part).toString('hex')
  if (/[a-f]/.test(text)) throw new FieldFault(`${label} is ${text}, which is not binary coded decimal,`, at)
  return asText || !Number.isSafeInteger(Number(text)) ? text : Number(text)
}

function writeDigits(
  bytes: Buffer,
  at: number,
  value: unknown,
  size: number,
  little: boolean,
  asText: boolean,
  label: string,
): void {
  const digits = size * 2
  const text = typeof value === 'number' && Number.isSafeInteger(value) ? String(value) : value
  const fits = typeof text === 'string' && /^\d+$/.test(text) && text.length <= digits
  if (!fits || (asText && text.length !== digits)) {
    throw notPrintable(
      label,
      value,
      asText ? `a text of ${digits} digits` : `a whole number of at most ${digits} digits`,
    )
  }
  const written = Buffer.from(text.padStart(digits, '0'), 'hex')
  bytes.set(little ? written.reverse() : written, at)
}
