import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bytesOf, create, invalid, notPrintable, read, write } from '../../test/support/struct.ts'

describe('whole numbers', () => {
  const widths = [1, 2, 3, 4, 5, 6, 7, 8]
  const cases = widths.flatMap((size) =>
    ['big', 'little'].flatMap((endian) => ['u', 'i'].map((sign) => [sign, size, endian] as const)),
  )

  test.each(cases)('%s with %i bytes, %s endian, is two complement of the bytes', (sign, size, endian) => {
    const field = [{ name: 'n', type: `${sign}${size * 8}` }]
    const format = create(field, endian)
    fc.assert(
      fc.property(fc.uint8Array({ minLength: size, maxLength: size }), (given) => {
        const bytes = Buffer.from(given)
        const bigEndian = Buffer.from(endian === 'little' ? bytes.toReversed() : bytes).toString('hex')
        const expected = BigInt[sign === 'i' ? 'asIntN' : 'asUintN'](size * 8, BigInt(`0x${bigEndian}`))
        const { n } = format.parse(bytes, 0, size)
        expect(typeof n).toBe(Number.isSafeInteger(Number(expected)) ? 'number' : 'string')
        expect(String(n)).toBe(String(expected))
        expect(format.print({ n })).toEqual(bytes)
      }),
    )
  })

  test('are never a big integer, and large ones are written from a text', () => {
    const fields = [{ name: 'n', type: 'u64' }]
    expect(read(fields, '001fffffffffffff')).toEqual({ n: Number.MAX_SAFE_INTEGER })
    expect(read(fields, '0020000000000000')).toEqual({ n: '9007199254740992' })
    expect(write(fields, { n: '18446744073709551615' })).toBe('ffffffffffffffff')
    expect(() => write(fields, { n: '18446744073709551616' })).toThrow(notPrintable('n is "18446744073709551616"'))
    expect(() => write(fields, { n: `1${'0'.repeat(10_000_000)}` })).toThrow(notPrintable('n is a long text'))
  })

  test.each([[-1], [256], [1.5], [Number.NaN], ['x'], [true], [null], [[]], [{}]])('%j is no u8', (n) => {
    expect(() => write([{ name: 'n', type: 'u8' }], { n })).toThrow(notPrintable('n is '))
  })

  test('a field has an endianness of its own', () => {
    expect(
      read(
        [
          { name: 'a', type: 'u16' },
          { name: 'b', type: 'u16', endian: 'little' },
        ],
        '0102 0102',
      ),
    ).toEqual({ a: 258, b: 513 })
  })
})

describe('other numbers', () => {
  test.each(['big', 'little'])('floating point, %s endian', (endian) => {
    const format = create(
      [
        { name: 'a', type: 'f32' },
        { name: 'b', type: 'f64' },
      ],
      endian,
    )
    fc.assert(
      fc.property(fc.float(), fc.double(), (a, b) => {
        const bytes = format.print({ a, b }) as Buffer
        expect(format.parse(bytes, 0, 12)).toEqual({ a, b })
        expect(endian === 'big' ? bytes.readFloatBE(0) : bytes.readFloatLE(0)).toBe(a)
      }),
    )
    expect(() => format.print({ a: '1', b: 1 })).toThrow(notPrintable('a is "1", and takes a number'))
  })

  test('a number that 32 bits would make infinite is refused', () => {
    const one = [{ name: 'a', type: 'f32' }]
    const list = [{ name: 'a', type: 'array', count: 1, of: 'f32' }]
    fc.assert(
      fc.property(fc.oneof(fc.double(), fc.double({ min: 3e38, max: 4e38 })), (a) => {
        if (Number.isFinite(a) && !Number.isFinite(Math.fround(a))) {
          const message = 'a number that fits into 32 bits'
          expect(() => write(one, { a })).toThrow(notPrintable(message))
          expect(() => write(one, { a: -a })).toThrow(notPrintable(message))
          expect(() => write(list, { a: [a] })).toThrow(notPrintable(message))
        } else {
          expect(read(one, write(one, { a }))).toEqual({ a: Math.fround(a) })
        }
      }),
    )
    // The largest float and half of a step more: the first that is rounded up to infinity (IEEE 754, section 4.3.1).
    expect(() => write(one, { a: 2 ** 128 - 2 ** 103 })).toThrow(notPrintable('a is 3.4028235677973366e+38, and takes'))
    expect(write(one, { a: 2 ** 128 - 2 ** 103 - 2 ** 75 })).toBe('7f7fffff')
    expect(write(one, { a: Number.POSITIVE_INFINITY })).toBe('7f800000')
    expect(read([{ name: 'a', type: 'f64' }], write([{ name: 'a', type: 'f64' }], { a: 1e39 }))).toEqual({ a: 1e39 })
  })

  test('binary coded decimal is a number, or a text with its zeros', () => {
    expect(read([{ name: 'n', type: 'bcd', length: 2 }], '0123')).toEqual({ n: 123 })
    expect(read([{ name: 'n', type: 'bcd', length: 2, endian: 'little' }], '2301')).toEqual({ n: 123 })
    expect(read([{ name: 'n', type: 'bcd', length: 2, scale: 0.01 }], '0123')).toEqual({ n: 1.23 })
    expect(read([{ name: 'n', type: 'bcd', length: 2, as: 'text' }], '0123')).toEqual({ n: '0123' })
    expect(read([{ name: 'n', type: 'bcd', length: 9 }], '123456789012345678')).toEqual({ n: '123456789012345678' })
    expect(write([{ name: 'n', type: 'bcd', length: 2, endian: 'little' }], { n: 123 })).toBe('2301')
    expect(() => read([{ name: 'n', type: 'bcd', length: 1 }], '1a')).toThrow(
      invalid('n is 1a, which is not binary coded decimal, at byte 0'),
    )
    expect(() => write([{ name: 'n', type: 'bcd', length: 1 }], { n: 100 })).toThrow(notPrintable('at most 2 digits'))
    expect(() => write([{ name: 'n', type: 'bcd', length: 1, as: 'text' }], { n: '1' })).toThrow(
      notPrintable('a text of 2 digits'),
    )
  })

  test('a scale gives the decimal that is meant', () => {
    for (const [scale, offset, digits] of [
      [0.1, 0, 1],
      [0.01, -40, 2],
      [1e-7, 0, 7],
      [0.25, 0.5, 2],
      [-0.1, 0, 1],
      [10, 0, 0],
    ] as const) {
      const format = create([{ name: 'n', type: 'i32', scale, offset }])
      fc.assert(
        fc.property(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), (raw) => {
          const bytes = Buffer.alloc(4)
          bytes.writeInt32BE(raw)
          const { n } = format.parse(bytes, 0, 4)
          expect(String(n)).toBe(String(Number((raw * scale + offset).toFixed(digits)) + 0))
          expect(format.print({ n })).toEqual(bytes)
        }),
      )
    }
    expect(write([{ name: 'n', type: 'u8', scale: 0.5 }], { n: 1.3 })).toBe('03')
    expect(() => read([{ name: 'n', type: 'u64', scale: 0.1 }], 'ffffffffffffffff')).toThrow(
      invalid('n is too large for an exact number, at byte 0'),
    )
    expect(() => write([{ name: 'n', type: 'u8', scale: 0.1 }], { n: 26 })).toThrow(notPrintable('n is 260'))
    expect(() => write([{ name: 'n', type: 'u8', scale: 0.1 }], { n: '1' })).toThrow(
      notPrintable('n is "1", and takes a number'),
    )
  })

  test('names stand for numbers, and what has none stays a number', () => {
    const fields = [{ name: 'n', type: 'i8', names: { '-1': 'error', '0': 'off', '1': 'on' } }]
    expect(read(fields, 'ff')).toEqual({ n: 'error' })
    expect(read(fields, '07')).toEqual({ n: 7 })
    expect(write(fields, { n: 'on' })).toBe('01')
    expect(write(fields, { n: 7 })).toBe('07')
    expect(() => write(fields, { n: 'toString' })).toThrow(notPrintable('one of off, on, error'))
  })
})

describe('bits', () => {
  const groups = [{ name: 'a' }, { bits: 2 }, { name: 'b', bits: 5 }, { name: 'c', bits: 16, names: { 7: 'seven' } }]
  const fields = [{ name: 'f', type: 'bits', of: groups }]

  test('stand from the highest to the lowest', () => {
    expect(read(fields, 'e3 0007')).toEqual({ f: { a: 1, b: 3, c: 'seven' } })
    expect(write(fields, { f: { a: true, b: 3, c: 'seven' } })).toBe('830007')
    expect(read([{ name: 'f', type: 'bits', of: [{ name: 'x', bits: 47 }, { name: 'y' }] }], 'fffffffffffe')).toEqual({
      f: { x: 2 ** 47 - 1, y: 0 },
    })
    expect(
      read(
        [
          {
            name: 'f',
            type: 'bits',
            endian: 'little',
            of: [
              { name: 'x', bits: 4 },
              { name: 'y', bits: 12 },
            ],
          },
        ],
        '3412',
      ),
    ).toEqual({ f: { x: 1, y: 0x234 } })
  })

  test('that do not fit are refused', () => {
    expect(() => write(fields, { f: { a: 2, b: 0, c: 0 } })).toThrow(
      notPrintable('f.a is 2, and takes a whole number from 0 to 1'),
    )
    expect(() => write(fields, { f: { a: 1, c: 0 } })).toThrow(notPrintable('f.b is missing'))
    expect(() => write(fields, { f: 7 })).toThrow(notPrintable('f is 7'))
  })
})

describe('texts and bytes', () => {
  test('a text of a fixed length is filled up', () => {
    expect(read([{ name: 't', type: 'text', length: 4 }], '41420000')).toEqual({ t: 'AB' })
    expect(read([{ name: 't', type: 'text', length: 4, padding: ' ' }], '20412020')).toEqual({ t: ' A' })
    expect(write([{ name: 't', type: 'text', length: 4, padding: ' ' }], { t: 'A' })).toBe('41202020')
    expect(() => write([{ name: 't', type: 'text', length: 2 }], { t: 'grün' })).toThrow(
      notPrintable('at most 2 bytes'),
    )
  })

  test('a text that ends with something', () => {
    const fields = [
      { name: 't', type: 'text', until: '\r\n' },
      { name: 'n', type: 'u8' },
    ]
    expect(read(fields, '4142 0d0a 07')).toEqual({ t: 'AB', n: 7 })
    expect(write(fields, { t: '', n: 7 })).toBe('0d0a07')
    expect(() => read(fields, '4142 0d')).toThrow(invalid('t has no end at byte 0'))
    expect(() => write(fields, { t: 'a\r\nb', n: 7 })).toThrow(notPrintable('what does not hold its end'))
    // The end begins in the text: it would be read as shorter.
    expect(() => write([{ name: 't', type: 'text', until: 'aa' }], { t: 'xa' })).toThrow(notPrintable('t is "xa"'))
  })

  test('what is no text in the encoding is refused both ways', () => {
    const field = (encoding: string) => [{ name: 't', type: 'text', length: 2, encoding }]
    expect(() => read(field('utf-8'), 'c328')).toThrow(invalid('t is no UTF-8 text at byte 0'))
    expect(() => read(field('ascii'), '41ff')).toThrow(invalid('t is no ASCII text at byte 0'))
    expect(read(field('latin1'), 'e9e8')).toEqual({ t: 'éè' })
    expect(read([{ name: 't', type: 'text', length: 3 }], 'efbfbd')).toEqual({ t: '\ufffd' })
    expect(() => write(field('latin1'), { t: '€' })).toThrow(notPrintable('a text in latin1'))
    expect(() => write(field('ascii'), { t: 'é' })).toThrow(notPrintable('a text in ascii'))
    expect(() => write(field('utf-8'), { t: '\ud800' })).toThrow(notPrintable('a text in utf-8'))
    expect(() => write(field('utf-8'), { t: 5 })).toThrow(notPrintable('t is 5'))
  })

  test('bytes are a copy', () => {
    const format = create([{ name: 'b', type: 'bytes', length: 2 }])
    const bytes = bytesOf('0102')
    const { b } = format.parse(bytes, 0, 2)
    bytes.fill(0)
    expect(b).toEqual(bytesOf('0102'))
    expect(format.print({ b: new Uint8Array([3, 4]) })).toEqual(bytesOf('0304'))
    expect(() => format.print({ b: bytesOf('01') })).toThrow(notPrintable('b is 1 bytes, and takes 2 bytes'))
    expect(() => format.print({ b: 'ab' })).toThrow(notPrintable('b is "ab", and takes bytes'))
  })

  test('padding is passed over and written', () => {
    const fields = [
      { type: 'pad', length: 2, fill: 0xff },
      { name: 'n', type: 'u8' },
    ]
    expect(read(fields, '1234 05')).toEqual({ n: 5 })
    expect(write(fields, { n: 5 })).toBe('ffff05')
  })

  test('constants are checked and written', () => {
    const fields = [
      { name: 'magic', type: 'u16', equals: 0x7878 },
      { type: 'text', equals: 'AB' },
      { type: 'bytes', equals: { hex: '0d0a' } },
    ]
    expect(read(fields, '7878 4142 0d0a')).toEqual({ magic: 0x7878 })
    expect(write(fields, {})).toBe('787841420d0a')
    expect(() => read(fields, '7979 4142 0d0a')).toThrow(invalid('magic is 0x7979 instead of 0x7878 at byte 0'))
    expect(() => read(fields, '7878 4143 0d0a')).toThrow(invalid('field 2 is "AC" instead of "AB" at byte 2'))
    expect(() => read(fields, '7878 4142 0d0d')).toThrow(invalid('field 3 is 0d0d instead of 0d0a at byte 4'))
    expect(() => write(fields, { magic: 1 })).toThrow(notPrintable('magic is 1, and takes 0x7878'))
  })
})
