import fc from 'fast-check'
import { Packr } from 'msgpackr'
import { describe, expect, it } from 'vitest'
import { msgpack } from './msgpack.ts'

const create = (maxDepth?: number) => msgpack.create(msgpack.options.parse({ maxDepth }))
const format = create()
const parse = (bytes: Uint8Array) => format.parse(Buffer.from(bytes), 0, bytes.length)
const hex = (digits: string) => parse(Buffer.from(digits.replaceAll(' ', ''), 'hex'))
const print = (value: unknown) => Buffer.from(format.print(value))
/** The other implementation, as a referee. */
const packr = new Packr({ useRecords: false, int64AsType: 'number', variableMapSize: true })

/** Values that MessagePack and this format have in common. */
const time = fc.date({ min: new Date('0001-01-01'), max: new Date('9999-12-31'), noInvalidDate: true })
const bytes = fc.uint8Array({ maxLength: 300 }).map((value) => Buffer.from(value))
const text = fc.string({ unit: 'binary', maxLength: 300 })
const number = fc.oneof(fc.double(), fc.maxSafeInteger(), fc.integer({ min: -70_000, max: 70_000 }))
const { value: anyValue } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.oneof(fc.constant(null), fc.boolean(), number, text, bytes, time),
    fc.array(tie('value'), { maxLength: 20 }),
    fc.dictionary(
      text.filter((key) => key !== '__proto__'),
      tie('value'),
      { maxKeys: 20, noNullPrototype: true },
    ),
  ),
}))

describe('any value', () => {
  it('survives the way there and back', () => {
    fc.assert(
      fc.property(anyValue, (value) => {
        expect(parse(print(value))).toEqual(value)
      }),
    )
  })

  it('is read by msgpackr as it was written here', () => {
    const plain = fc
      .jsonValue({ noUnicodeString: false })
      .filter((value) => !JSON.stringify(value).includes('__proto__'))
    fc.assert(
      fc.property(fc.oneof(plain, number, text, bytes, time), (value) => {
        expect(packr.unpack(print(value))).toEqual(value)
      }),
    )
  })

  it('is read here as msgpackr has written it', () => {
    const plain = fc.jsonValue().filter((value) => !JSON.stringify(value).includes('__proto__'))
    fc.assert(
      fc.property(fc.oneof(plain, number, text, bytes), (value) => {
        const written = packr.pack(value)
        // It writes 0 for -0.
        expect(parse(written)).toEqual(packr.unpack(written))
      }),
    )
  })

  it('that is cut anywhere is refused', () => {
    fc.assert(
      fc.property(anyValue, fc.nat(), (value, cut) => {
        const whole = print(value)
        const part = whole.subarray(0, cut % whole.length)
        expect(() => parse(part)).toThrow(expect.objectContaining({ code: 'format_invalid' }))
      }),
    )
  })
})

describe('numbers', () => {
  it.each([
    ['7f', 127],
    ['cc ff', 255],
    ['cd ffff', 65_535],
    ['ce ffffffff', 4_294_967_295],
    ['cf 001fffffffffffff', 9_007_199_254_740_991],
    ['cf 0020000000000000', '9007199254740992'],
    ['e0', -32],
    ['d0 80', -128],
    ['d1 8000', -32_768],
    ['d2 80000000', -2_147_483_648],
    ['d3 ffe0000000000001', -9_007_199_254_740_991],
    ['d3 8000000000000000', '-9223372036854775808'],
    ['ca 3fc00000', 1.5],
    ['cb 7ff0000000000000', Number.POSITIVE_INFINITY],
  ])('%s is %s', (digits, value) => {
    expect(hex(digits)).toBe(value)
  })

  it.each([
    0,
    127,
    128,
    255,
    256,
    65_535,
    65_536,
    2 ** 32 - 1,
    2 ** 32,
    2 ** 53 - 1,
    -1,
    -32,
    -33,
    -128,
    -129,
    -32_768,
  ])('%d is written as short as it can be', (value) => {
    const shortest = [...Array(9).keys()].find((length) => length + 1 === packr.pack(value).length)
    expect(print(value).length).toBeLessThanOrEqual(1 + shortest!)
    for (const one of [value, -value - 1, value + 1]) expect(parse(print(one))).toBe(one)
  })

  it('keep the sign of zero, and what is no number', () => {
    expect([parse(print(-0)), parse(print(Number.NaN)), parse(print(2 ** 53))]).toEqual([-0, Number.NaN, 2 ** 53])
  })
})

describe('times', () => {
  it.each([
    ['d6 ff 65920080', '2024-01-01T00:00:00.000Z'],
    ['d7 ff 003d0900 65920080', '2024-01-01T00:00:00.001Z'],
    ['d7 ff 003d0901 00000000', '2106-02-07T06:28:16.001Z'],
    ['c7 0c ff 3b9ac9ff ffffffffffffffff', '1969-12-31T23:59:59.999Z'],
  ])('%s is %s', (digits, text) => {
    expect(hex(digits)).toEqual(new Date(text))
  })

  it.each([
    ['d7 ff ffffffff 00000000', 'more nanoseconds than a second has'],
    ['c7 0c ff 00000000 7fffffffffffffff', 'a year that is too far'],
    ['d5 ff 0000', 'a length that no timestamp has'],
  ])('%s is none: %s', (digits) => {
    expect(() => hex(digits)).toThrow('a timestamp that is none at byte')
  })
})

describe('what is hostile', () => {
  it.each([
    ['dd ffffffff 01', 'a list of 4294967295 items in a frame that has 1 more bytes at byte 5'],
    ['df 7fffffff 01', 'a map of 2147483647 pairs in a frame that has 1 more bytes at byte 5'],
    ['db ffffffff 61', 'the frame ends in the middle of a text: 4294967295 bytes needed, 1 left at byte 5'],
    ['c6 ffffffff', 'the frame ends in the middle of bytes: 4294967295 bytes needed, 0 left at byte 5'],
    ['82 a1 61 01 a1 62', 'the frame ends in the middle of a value: 1 byte needed, 0 left at byte 6, in b'],
    ['81 a1 61 92 01 c1', 'the byte c1, which MessagePack never uses at byte 5, in a[1]'],
    ['81 a1 61 92 01 a1 ff', 'not valid UTF-8 at byte 6, in a[1]'],
    ['01 02 03', '2 more bytes behind the value at byte 1'],
    ['82 01 02 a1 31 03', 'a key that comes twice at byte 3, in 1'],
    ['81 c0 01', 'a key that is no text, number or boolean at byte 1, in [0]'],
  ])('%s is refused: %s', (digits, message) => {
    expect(() => hex(digits)).toThrow(message)
  })

  it('is refused where it names the prototype, deep inside too', () => {
    const proto = Buffer.concat([
      Buffer.from([0x81, 0xa1, 0x61, 0x81, 0xa9]),
      Buffer.from('__proto__'),
      Buffer.from([0x80]),
    ])
    expect(() => parse(proto)).toThrow('the key __proto__, which is refused, at byte 4, in a[0]')
    expect(parse(packr.pack({ constructor: 1, toString: 2 }))).toEqual({ constructor: 1, toString: 2 })
  })

  it('is refused where it is nested deeper than it may be, however deep', () => {
    const nested = (depth: number) => Buffer.concat([Buffer.alloc(depth, 0x91), Buffer.from([1])])
    expect(parse(nested(64))).toEqual(expect.any(Array))
    expect(() => parse(nested(65))).toThrow('nested deeper than maxDepth, 64 at byte 65')
    expect(() => parse(nested(1_000_000))).toThrow('nested deeper than maxDepth')
    expect(create(1000).parse(nested(1000), 0, 1001)).toEqual(expect.any(Array))
  })

  it('has keys that are no texts, and extensions that are somebody’s own', () => {
    expect(hex('83 01 a1 61 c2 a1 62 cb 3ff8000000000000 a1 63')).toEqual({ '1': 'a', false: 'b', '1.5': 'c' })
    expect(hex('d4 05 aa')).toEqual({ ext: 5, data: Buffer.from([0xaa]) })
    expect(hex('c7 02 80 0102')).toEqual({ ext: -128, data: Buffer.from([1, 2]) })
    expect(hex('c8 0001 01 aa')).toEqual({ ext: 1, data: Buffer.from([0xaa]) })
  })
})

describe('what is written', () => {
  it('leaves out what has no value', () => {
    expect(print({ a: undefined, b: [undefined] })).toEqual(print({ b: [null] }))
    expect(print(new Uint8Array([1]))).toEqual(Buffer.from([0xc4, 1, 1]))
  })

  it('is long where it must be', () => {
    for (const length of [15, 16, 31, 32, 255, 256, 65_535, 65_536]) {
      expect(parse(print('x'.repeat(length)))).toHaveLength(length)
      expect(parse(print(Buffer.alloc(length)))).toHaveLength(length)
      expect(parse(print(Array(length).fill(1)))).toHaveLength(length)
    }
    const map = Object.fromEntries(Array.from({ length: 65_536 }, (_, i) => [`k${i}`, i]))
    expect(parse(print(map))).toEqual(map)
  })

  it.each([
    [undefined, 'a value of the type undefined cannot be written'],
    [{ a: [1, () => 1] }, 'a value of the type function cannot be written, in a[1]'],
    [{ n: 1n }, 'a value of the type bigint cannot be written, in n'],
    [['\ud800'], 'a text with half a surrogate pair, in [0]'],
    [{ t: new Date(Number.NaN) }, 'a time that is not in the years 0 to 9999, in t'],
  ])('cannot be %o', (value, message) => {
    expect(() => print(value)).toThrow(expect.objectContaining({ code: 'format_not_printable', message }))
  })

  it('cannot be a ring', () => {
    const ring: Record<string, unknown> = {}
    ring['ring'] = ring
    expect(() => print(ring)).toThrow('nested deeper than maxDepth, 64, in ring.ring')
  })
})
