import { bytes, define, type FunctionDefinition, optional, param, ValueError, whole } from './define.ts'

/** The example in hexadecimal is as long as what is read. */
type Reader = readonly [name: string, example: string, summary: string, read: (bytes: Buffer, at: number) => number]

const READERS: readonly Reader[] = [
  ['u8', 'ff', 'A byte', (b, at) => b.readUInt8(at)],
  ['i8', 'ff', 'A byte with a sign', (b, at) => b.readInt8(at)],
  ['u16be', '0102', 'A number of 2 bytes, high byte first,', (b, at) => b.readUInt16BE(at)],
  ['u16le', '0201', 'A number of 2 bytes, low byte first,', (b, at) => b.readUInt16LE(at)],
  ['i16be', 'fffe', 'A number of 2 bytes with a sign, high byte first,', (b, at) => b.readInt16BE(at)],
  ['i16le', 'feff', 'A number of 2 bytes with a sign, low byte first,', (b, at) => b.readInt16LE(at)],
  ['u24be', '010203', 'A number of 3 bytes, high byte first,', (b, at) => b.readUIntBE(at, 3)],
  ['u24le', '030201', 'A number of 3 bytes, low byte first,', (b, at) => b.readUIntLE(at, 3)],
  ['u32be', '00010000', 'A number of 4 bytes, high byte first,', (b, at) => b.readUInt32BE(at)],
  ['u32le', '00000100', 'A number of 4 bytes, low byte first,', (b, at) => b.readUInt32LE(at)],
  ['i32be', 'fffffffe', 'A number of 4 bytes with a sign, high byte first,', (b, at) => b.readInt32BE(at)],
  ['i32le', 'feffffff', 'A number of 4 bytes with a sign, low byte first,', (b, at) => b.readInt32LE(at)],
  ['u64be', '0000018bcfe56800', 'A number of 8 bytes, high byte first,', (b, at) => exact(b.readBigUInt64BE(at))],
  ['u64le', '0068e5cf8b010000', 'A number of 8 bytes, low byte first,', (b, at) => exact(b.readBigUInt64LE(at))],
  [
    'i64be',
    'fffffffffffffffe',
    'A number of 8 bytes with a sign, high byte first,',
    (b, at) => exact(b.readBigInt64BE(at)),
  ],
  [
    'i64le',
    'feffffffffffffff',
    'A number of 8 bytes with a sign, low byte first,',
    (b, at) => exact(b.readBigInt64LE(at)),
  ],
  [
    'f32be',
    '41200000',
    'A floating-point number of 4 bytes (IEEE 754), high byte first,',
    (b, at) => b.readFloatBE(at),
  ],
  ['f32le', '00002041', 'A floating-point number of 4 bytes (IEEE 754), low byte first,', (b, at) => b.readFloatLE(at)],
  [
    'f64be',
    '4024000000000000',
    'A floating-point number of 8 bytes (IEEE 754), high byte first,',
    (b, at) => b.readDoubleBE(at),
  ],
  [
    'f64le',
    '0000000000002440',
    'A floating-point number of 8 bytes (IEEE 754), low byte first,',
    (b, at) => b.readDoubleLE(at),
  ],
]

/** `u8(bytes, at?)` and its kin, made from a table because they differ in one call each. */
export const readers: Readonly<Record<string, FunctionDefinition>> = Object.fromEntries(
  READERS.map(([name, example, summary, read]) => [
    name,
    define({
      params: [param('bytes', bytes), optional('at', whole)],
      summary: `${summary} at a place counted from 0, which is 0 unless told otherwise.`,
      example: `${name}(unhex("${example}"))`,
      result: String(read(Buffer.from(example, 'hex'), 0)),
      run: (value, at = 0) => read(part(value, at, example.length / 2), 0),
    }),
  ]),
)

function exact(value: bigint): number {
  const result = Number(value)
  if (!Number.isSafeInteger(result)) throw new ValueError('the value is too large for an exact number')
  return result
}

/** Bytes from a place on. @throws ValueError when there are not as many */
export function part(value: Buffer, at: number, length: number): Buffer {
  if (at < 0 || length < 0 || at + length > value.length) {
    throw new ValueError(`there are ${value.length} bytes, and bytes ${at} to ${at + length - 1} were asked for`)
  }
  return value.subarray(at, at + length)
}
