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
