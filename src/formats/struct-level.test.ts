import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bytesOf, create, invalid, notPrintable, read, write } from '../../test/support/struct.ts'
import type { SluiceError } from '../contracts/errors.ts'
import { type ChecksumName, checksumNames, checksums } from '../util/checksum.ts'

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

  test('two texts of the same length must have the same', () => {
    const fields = [
      { name: 'n', type: 'u8' },
      { name: 'a', type: 'text', length: 'n' },
      { name: 'b', type: 'text', length: 'n' },
    ]
    expect(write(fields, { n: 7, a: 'AB', b: 'CD' })).toBe('0241424344')
    expect(write(fields, { a: 'AB', b: 'CD' })).toBe('0241424344')
    expect(() => write(fields, { a: 'AB', b: 'C' })).toThrow(notPrintable('n would have to be 2 for a and 1 for b'))
    expect(() => write(fields, { a: 'AB' })).toThrow(notPrintable('b is missing'))
  })

  test('a number that is worked out must be given where a condition asks for it', () => {
    const fields = [
      { name: 'n', type: 'u8', lengthOf: { from: 'n', to: 'b' } },
      { name: 'a', type: 'u8' },
      { name: 'b', type: 'u8', if: 'n == 3' },
    ]
    expect(write(fields, { n: 3, a: 1, b: 2 })).toBe('030102')
    expect(write(fields, { n: 2, a: 1, b: null })).toBe('0201')
    expect(() => write(fields, { a: 1 })).toThrow(notPrintable('n is missing'))
    expect(() => write(fields, { n: 7, a: 1 })).toThrow(notPrintable('n is 7, and takes 2'))
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
