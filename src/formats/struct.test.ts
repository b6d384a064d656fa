import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { SluiceError } from '../contracts/errors.ts'
import { type ChecksumName, checksumNames, checksums } from '../util/checksum.ts'
import { struct } from './struct.ts'

/** What a user writes; a field with a mistake has no type. */
type Written = Readonly<Record<string, unknown>>

const create = (fields: readonly Written[], endian = 'big') => struct.create(struct.options.parse({ endian, fields }))
const bytesOf = (hex: string) => Buffer.from(hex.replaceAll(' ', ''), 'hex')

function read(fields: readonly Written[], hex: string, endian?: string): unknown {
  const bytes = bytesOf(hex)
  return create(fields, endian).parse(bytes, 0, bytes.length)
}

function write(fields: readonly Written[], value: unknown, endian?: string): string {
  return (create(fields, endian).print(value as never) as Buffer).toString('hex')
}

/** The mistakes of a layout: where, and what. */
function problems(...fields: readonly Written[]): string[] {
  const { error } = struct.options.safeParse({ fields })
  return error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`) ?? []
}

const invalid = (message: string) =>
  expect.objectContaining({ code: 'format_invalid', message: expect.stringContaining(message) })
const notPrintable = (message: string) =>
  expect.objectContaining({ code: 'format_not_printable', message: expect.stringContaining(message) })

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

describe('lengths, counts and lists', () => {
  const item = [
    { name: 'id', type: 'u16' },
    { name: 'label', type: 'text', length: 2 },
  ]

  test('a number says how many items there are, and is written to fit', () => {
    const fields = [
      { name: 'n', type: 'u8' },
      { name: 'list', type: 'array', count: 'n', of: item },
    ]
    expect(read(fields, '02 0001 4141 0002 4242')).toEqual({
      n: 2,
      list: [
        { id: 1, label: 'AA' },
        { id: 2, label: 'BB' },
      ],
    })
    expect(write(fields, { list: [{ id: 1, label: 'A' }] })).toBe('0100014100')
    expect(write(fields, { n: 77, list: [] })).toBe('00')
    expect(() => write(fields, { list: Array(256).fill({ id: 1, label: '' }) })).toThrow(notPrintable('n is 256'))
    expect(() => write(fields, { list: [{ id: 1 }] })).toThrow(notPrintable('list[].label is missing'))
    expect(() => write(fields, { list: 'x' })).toThrow(notPrintable('list is "x", and takes a list'))
  })

  test('a count that lies makes nothing and says where', () => {
    const fields = [
      { name: 'n', type: 'u32' },
      { name: 'list', type: 'array', count: 'n', of: 'u16' },
    ]
    expect(() => read(fields, 'ffffffff 0001')).toThrow(
      invalid('list has 4294967295 items, and there are 2 bytes left, at byte 4'),
    )
  })

  test('a number says how many bytes there are', () => {
    const fields = [
      { name: 'size', type: 'u8' },
      { name: 'data', type: 'bytes', length: 'size - 3' },
      { name: 'end', type: 'u8' },
    ]
    expect(read(fields, '05 4142 07')).toEqual({ size: 5, data: Buffer.from('AB'), end: 7 })
    expect(write(fields, { data: Buffer.from('AB'), end: 7 })).toBe('05414207')
    expect(() => read(fields, '02 4142 07')).toThrow(invalid('data has no length: size is 2 at byte 1'))
    expect(() => read(fields, 'ff 4142 07')).toThrow(
      invalid('data has 252 bytes, and the frame ends after 3 of them, at byte 1'),
    )
  })

  test('a list may be as long as so many bytes, or as the rest', () => {
    const measured = [
      { name: 'size', type: 'u8' },
      { name: 'list', type: 'array', length: 'size', of: 'u16' },
      { name: 'end', type: 'u8' },
    ]
    expect(read(measured, '04 0001 0002 07')).toEqual({ size: 4, list: [1, 2], end: 7 })
    expect(write(measured, { list: [1, 2], end: 7 })).toBe('040001000207')
    expect(() => read(measured, '03 0001 0002 07')).toThrow(
      invalid('list[] has 2 bytes, and the frame ends after 1 of them, at byte 3'),
    )
    const rest = [
      { name: 'list', type: 'array', length: 'rest', of: item },
      { name: 'crc', type: 'checksum', algorithm: 'crc8' },
    ]
    const value = {
      list: [
        { id: 7, label: 'x' },
        { id: 8, label: '' },
      ],
    }
    const bytes = create(rest).print(value) as Buffer
    expect(create(rest).parse(bytes, 0, bytes.length)).toMatchObject(value)
    expect(() => read(rest, '')).toThrow(invalid('the frame ends inside the fields behind list, at byte 0'))
  })

  test('rest reaches to the fields behind the struct that it stands in', () => {
    const fields = [
      {
        name: 's',
        type: 'struct',
        of: [
          { name: 't', type: 'text', length: 'rest' },
          { name: 'a', type: 'u8' },
        ],
      },
      { name: 'b', type: 'u8' },
    ]
    expect(read(fields, '4142 01 02')).toEqual({ s: { t: 'AB', a: 1 }, b: 2 })
    expect(write(fields, { s: { t: 'AB', a: 1 }, b: 2 })).toBe('41420102')
  })

  test('a count of an outer struct is checked when it is written, and so is a fixed one', () => {
    const fields = [
      { name: 'n', type: 'u8' },
      { name: 'rows', type: 'array', count: 2, of: [{ name: 'cells', type: 'array', count: 'n', of: 'u8' }] },
    ]
    expect(read(fields, '02 0102 0304')).toEqual({ n: 2, rows: [{ cells: [1, 2] }, { cells: [3, 4] }] })
    expect(write(fields, { n: 2, rows: [{ cells: [1, 2] }, { cells: [3, 4] }] })).toBe('0201020304')
    expect(() => write(fields, { n: 2, rows: [{ cells: [1, 2] }, { cells: [3] }] })).toThrow(
      notPrintable('rows[].cells is a list, and takes 2 items'),
    )
    expect(() => write(fields, { n: 2, rows: [] })).toThrow(notPrintable('rows is a list, and takes 2 items'))
  })

  test('the length of a text or a list that another struct says is checked', () => {
    const text = [
      { name: 'h', type: 'struct', of: [{ name: 'n', type: 'u8' }] },
      { name: 't', type: 'text', length: 'h.n' },
    ]
    expect(read(text, '02 4142')).toEqual({ h: { n: 2 }, t: 'AB' })
    expect(write(text, { h: { n: 2 }, t: 'AB' })).toBe('024142')
    expect(() => write(text, { h: { n: 3 }, t: 'AB' })).toThrow(notPrintable('t is "AB", and takes 3 bytes'))
    const list = [
      { name: 'h', type: 'struct', of: [{ name: 'n', type: 'u8' }] },
      { name: 't', type: 'array', length: 'h.n', of: 'u16' },
    ]
    expect(() => write(list, { h: { n: 3 }, t: [1] })).toThrow(notPrintable('t is a list, and takes 3 bytes, not 2'))
  })

  test('a length over several fields is checked, and written', () => {
    const fields = [
      { name: 'len', type: 'u8', lengthOf: { from: 'len', to: 't', plus: 1 } },
      { name: 't', type: 'text', until: '\0' },
    ]
    expect(write(fields, { t: 'AB' })).toBe('05414200')
    expect(read(fields, '05 414200')).toEqual({ len: 5, t: 'AB' })
    expect(() => read(fields, '09 414200')).toThrow(
      invalid('len is 9, and the fields that it is of have the length 5, at byte 0'),
    )
  })
})

describe('checksums', () => {
  test.each(checksumNames)('%s is checked and written', (algorithm: ChecksumName) => {
    const { width, compute } = checksums[algorithm]
    const format = create([
      { name: 'a', type: 'u32' },
      { name: 'crc', type: 'checksum', algorithm, endian: 'little' },
    ])
    fc.assert(
      fc.property(fc.nat(), (a) => {
        const bytes = format.print({ a }) as Buffer
        expect(bytes.readUIntLE(4, width / 8)).toBe(compute(bytes, 0, 4))
        expect(format.parse(bytes, 0, bytes.length)).toEqual({ a, crc: compute(bytes, 0, 4) })
        bytes[bytes.length - 1]! ^= 1
        expect(() => format.parse(bytes, 0, bytes.length)).toThrow(invalid(`, and the ${algorithm} of the bytes is 0x`))
      }),
      { numRuns: 20 },
    )
  })

  test('a checksum counts from the start of its frame, wherever that lies in memory', () => {
    const format = create([
      { name: 'a', type: 'u16' },
      { name: 't', type: 'text', until: '\0' },
      { type: 'checksum', algorithm: 'xor', from: 't' },
    ])
    const frame = format.print({ a: 1, t: 'AB' }) as Buffer
    const bytes = Buffer.concat([Buffer.alloc(5), frame, frame])
    expect(format.parse(bytes, 5, 5 + frame.length)).toEqual({ a: 1, t: 'AB' })
    expect(format.parse(bytes, 5 + frame.length, bytes.length)).toEqual({ a: 1, t: 'AB' })
  })

  test('a checksum that is not there is not checked', () => {
    const fields = [
      { name: 'k', type: 'u8' },
      { name: 'crc', type: 'checksum', algorithm: 'sum8', if: 'k' },
    ]
    expect(read(fields, '00')).toEqual({ k: 0, crc: null })
    expect(read(fields, '07 07')).toEqual({ k: 7, crc: 7 })
    expect(write(fields, { k: 0 })).toBe('00')
    expect(write(fields, { k: 7 })).toBe('0707')
  })
})

describe('conditions', () => {
  const named = { name: 'kind', type: 'u8', names: { 1: 'alarm' } }
  const flags = { name: 'flags', type: 'bits', of: [{ name: 'a' }, { bits: 3 }, { name: 'b', bits: 4 }] }
  const header = [named, flags, { name: 'n', type: 'i16' }]
  test.each<[string, string, boolean]>([
    ['kind == "alarm"', '01 00 0000', true],
    ["kind == 'alarm'", '02 00 0000', false],
    ['kind != "alarm"', '02 00 0000', true],
    ['flags.a', '01 80 0000', true],
    ['flags.a', '01 7f 0000', false],
    ['flags.a && flags.b > 3', '01 84 0000', true],
    ['flags.a && flags.b > 3', '01 83 0000', false],
    ['flags.a == 1 || n < -1', '01 00 fffe', true],
    ['flags.a == 1 || n < -1', '01 00 ffff', false],
    ['n <= 5 && n >= 5', '01 00 0005', true],
    ['n & 0x0101', '01 00 0100', true],
    ['n & 0x0101 == 1', '01 00 0100', false],
    ['kind > 1', '01 00 0000', false],
    ['kind & 1', '01 00 0000', false],
  ])('%s, for %s: %s', (condition, hex, there) => {
    const fields = [...header, { name: 'extra', type: 'u8', if: condition }]
    const value = read(fields, `${hex} ${there ? '07' : ''}`)
    expect(value).toMatchObject({ extra: there ? 7 : null })
    expect(write(fields, value)).toBe(
      bytesOf(hex + (there ? '07' : ''))
        .toString('hex')
        .replace(/^(..)./, (all, kind) => kind + (flagsOf(all) & 8 ? '8' : '0')),
    )
    if (!there)
      expect(() => write(fields, { ...(value as object), extra: 7 })).toThrow(
        notPrintable('extra has a value, and its condition is not met'),
      )
  })

  /** Bits without a name are written as 0. */
  function flagsOf(hex: string): number {
    return Number.parseInt(hex[2]!, 16)
  }

  test.each<[string, string]>([
    ['q', 'no field q stands before this one'],
    ['knd == 1', 'no field knd stands before this one; did you mean kind?'],
    ['flags.c', 'no field flags.c stands before this one'],
    ['kind.a', 'no field kind.a stands before this one'],
    ['n = 1', '= 1 is no part of a condition'],
    ['n ==', 'the condition ends too early'],
    ['n &&', 'the condition ends too early'],
    ['', 'the condition ends too early'],
    ['1 == n', 'there is 1 where the name of a field is needed'],
    ['n == kind', 'there is kind where a number or a text in quotes is needed'],
    ['n kind', 'there is kind where && or || is needed'],
    ['n & "x"', '& needs a whole number behind it, such as 0x80'],
    ['extra', 'no field extra stands before this one'],
  ])('%j is a mistake: %s', (condition, message) => {
    expect(problems(...header, { name: 'extra', type: 'u8', if: condition })).toEqual([
      expect.stringMatching(`fields.3.if: ${message.replaceAll(/[?|$]/g, '.')}`),
    ])
  })
})

describe('structs', () => {
  test('see what stands before them outside, and have names of their own', () => {
    const inner = [
      { name: 'n', type: 'u8', if: 'n == 1' },
      { name: 'x', type: 'u8' },
    ]
    const fields = [
      { name: 'n', type: 'u8' },
      { name: 's', type: 'struct', of: inner },
      { name: 'x', type: 'u8', if: 's.x == 2' },
    ]
    expect(read(fields, '01 05 02 03')).toEqual({ n: 1, s: { n: 5, x: 2 }, x: 3 })
    expect(read(fields, '00 03')).toEqual({ n: 0, s: { n: null, x: 3 }, x: null })
    expect(write(fields, { n: 0, s: { n: null, x: 3 }, x: null })).toBe('0003')
    expect(() => write(fields, { n: 1, s: { n: 1, y: 2 } })).toThrow(notPrintable('s has no field y'))
  })

  test('more fields than are unrolled', () => {
    const fields = Array.from({ length: 100 }, (_, i) => ({ name: `f${i}`, type: i % 2 ? 'u8' : 'u16' }))
    const value = Object.fromEntries(fields.map(({ name }, i) => [name, i]))
    const hex = write(fields, value)
    expect(read(fields, hex)).toEqual(value)
    expect(Object.keys(read(fields, hex) as object)).toEqual(Object.keys(value))
  })

  test('a value with a field that the layout lacks is not written', () => {
    const fields = [
      { name: 'serial', type: 'u8' },
      { name: 'toString', type: 'u8' },
    ]
    const error = (() => {
      try {
        write(fields, { sreial: 1 })
      } catch (thrown) {
        return thrown as SluiceError
      }
    })()
    expect(error).toMatchObject({ message: 'the value has no field sreial', hint: 'Did you mean serial?' })
    expect(() => write(fields, { serial: 1 })).toThrow(notPrintable('toString is missing'))
    expect(() => write(fields, JSON.parse('{"__proto__": 1}'))).toThrow(
      notPrintable('the value has no field __proto__'),
    )
    expect(() => write(fields, null)).toThrow(notPrintable('the value is missing'))
    expect(() => write(fields, [1])).toThrow(notPrintable('the value is a list'))
  })

  test('a frame that is cut, or has too much, is refused, with the field and the place', () => {
    const fields = [
      { name: 'a', type: 'u16' },
      { name: 't', type: 'text', until: '\0' },
      { name: 'n', type: 'u8' },
      { name: 'list', type: 'array', count: 'n', of: [{ name: 'x', type: 'f64' }] },
    ]
    const frame = bytesOf(write(fields, { a: 1, t: 'AB', list: [{ x: 1 }, { x: 2 }] }))
    const format = create(fields)
    for (let end = 0; end < frame.length; end++) {
      expect(() => format.parse(frame, 0, end)).toThrow(/^(a|t|n|list\S*) .* at byte \d+, near "/)
    }
    expect(() => read(fields, '00 01 4100 00 0102')).toThrow(
      invalid('there are 2 bytes more than the fields have, at byte 5'),
    )
  })
})

describe('mistakes in the fields', () => {
  const a = { name: 'a', type: 'u8' }
  test.each<[string, readonly Written[], string]>([
    ['a type', [{ name: 'a', type: 'u17' }], 'fields.0.type: '],
    ['__proto__', [{ name: '__proto__', type: 'u8' }], 'fields.0.name: __proto__ cannot be used as a name'],
    ['a name', [{ name: 'a b', type: 'u8' }], 'fields.0.name: expected a name of letters'],
    ['an unknown key', [{ name: 'a', type: 'u8', scael: 2 }], 'fields.0: Unrecognized key: "scael"'],
    ['two names', [a, a], 'fields.1.name: there are two fields a'],
    ['no name', [{ type: 'u8' }], 'fields.0: a field of type u8 needs a name'],
    ['a constant', [{ ...a, equals: 256 }], 'fields.0.equals: 256 is no u8'],
    ['a scaled constant', [{ ...a, equals: 1, scale: 2 }], 'fields.0.equals: a number that is always the same'],
    ['a named number', [{ ...a, names: { 300: 'x' } }], 'fields.0.names.300: 300 is no u8'],
    ['names of names', [{ ...a, names: { x: 'y' } }], 'fields.0.names.x: '],
    ['equal names', [{ ...a, names: { 1: 'x', 2: 'x' } }], 'fields.0.names: two numbers have the name x'],
    ['names with a scale', [{ ...a, names: { 1: 'x' }, scale: 2 }], 'fields.0.names: a number has names or a scale'],
    ['no scale', [{ ...a, scale: 0 }], 'fields.0.scale: expected a number other than 0'],
    ['a text', [{ name: 't', type: 'text' }], 'fields.0: a text needs one of length and until'],
    ['a constant text', [{ type: 'text', equals: 'a', length: 1 }], 'fields.0.equals: a text that is always the same'],
    [
      'padding',
      [{ name: 't', type: 'text', until: '\0', padding: ' ' }],
      'fields.0.padding: only a text of a fixed length',
    ],
    ['padding of two', [{ name: 't', type: 'text', length: 2, padding: 'ab' }], 'fields.0.padding: expected one byte'],
    ['bytes', [{ name: 'b', type: 'bytes' }], 'fields.0: bytes need one of length and equals'],
    ['a length', [{ name: 'b', type: 'bytes', length: 'b' }], 'fields.0.length: no field b stands before this one'],
    [
      'a length of words',
      [a, { name: 'b', type: 'bytes', length: '2 * a' }],
      'fields.1.length: expected a number, the name',
    ],
    [
      'a length with a scale',
      [
        { ...a, scale: 2 },
        { name: 'b', type: 'bytes', length: 'a' },
      ],
      'fields.1.length: a is no whole number',
    ],
    [
      'a length that is a text',
      [
        { name: 't', type: 'text', length: 1 },
        { name: 'b', type: 'text', length: 't' },
      ],
      'fields.1.length: t is no whole number',
    ],
    [
      'bits',
      [{ name: 'f', type: 'bits', of: [{ name: 'x', bits: 7 }] }],
      'fields.0.of: the groups have 7 bits together',
    ],
    [
      'two groups',
      [{ name: 'f', type: 'bits', of: [{ name: 'x', bits: 7 }, { name: 'x' }] }],
      'fields.0.of.1.name: there are two groups x',
    ],
    ['an array', [{ name: 'l', type: 'array', of: 'u8' }], 'fields.0: an array needs one of count and length'],
    ['a count', [{ name: 'l', type: 'array', of: 'u8', count: 'x' }], 'fields.0.count: no field x stands before'],
    ['a count of the rest', [{ name: 'l', type: 'array', of: 'u8', count: 'rest' }], 'fields.0: an array needs one of'],
    [
      'an empty item',
      [a, { name: 'l', type: 'array', count: 'a', of: [{ ...a, if: 'a > 3' }] }],
      'fields.1.of: an item can be empty',
    ],
    [
      'rest in an array',
      [{ name: 'l', type: 'array', count: 2, of: [a, { name: 't', type: 'text', length: 'rest' }] }],
      'fields.0.of.1.length: rest means nothing inside an array',
    ],
    [
      'rest before what varies',
      [
        { name: 't', type: 'text', length: 'rest' },
        { name: 'u', type: 'text', until: '\0' },
      ],
      'fields.0.length: rest needs fields of fixed size behind it',
    ],
    [
      'rest in a struct before what varies',
      [
        { name: 's', type: 'struct', of: [{ name: 't', type: 'text', length: 'rest' }] },
        { ...a, if: 's' },
      ],
      'fields.0: rest needs fields of fixed size behind it',
    ],
    [
      'a checksum from',
      [a, { type: 'checksum', algorithm: 'crc8', from: 'aa' }],
      'fields.1.from: there is no field aa beside this one; did you mean a?',
    ],
    ['a checksum of nothing', [{ type: 'checksum', algorithm: 'crc8' }], 'fields.0: the checksum is of no field'],
    [
      'a checksum of itself',
      [a, { name: 'c', type: 'checksum', algorithm: 'crc8', to: 'c' }],
      'fields.1: a checksum cannot be of itself',
    ],
    [
      'a length of nothing',
      [
        { ...a, lengthOf: { from: 'c', to: 'b' } },
        { ...a, name: 'b' },
        { ...a, name: 'c' },
      ],
      'fields.0.lengthOf: the length is of no field',
    ],
    [
      'a constant length',
      [{ ...a, equals: 1, lengthOf: { from: 'a', to: 'a' } }],
      'fields.0.lengthOf: a length has no equals',
    ],
  ])('%s', (_title, fields, message) => {
    expect(problems(...fields)).toContainEqual(expect.stringContaining(message))
  })

  test('structs can be nested, but not for ever', () => {
    const nest = (depth: number): Written => ({ name: 'a', type: 'struct', of: [depth === 0 ? a : nest(depth - 1)] })
    expect(problems(nest(6))).toEqual([])
    expect(problems(nest(7))).toEqual([expect.stringContaining('there can be 8 structs inside each other')])
  })
})
