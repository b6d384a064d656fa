import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { bytesOf, create, notPrintable, read, type Written, write } from '../../test/support/struct.ts'

const size = { name: 'l', type: 'u8' }
const kind = { name: 'k', type: 'u8' }
const unions: Readonly<Record<string, readonly Written[]>> = {
  lists: [
    { name: 'a', type: 'array', count: 'l', of: 'u8', if: 'k == 1' },
    { name: 'b', type: 'array', count: 'l', of: 'u16', if: 'k == 2' },
  ],
  texts: [
    { name: 'a', type: 'text', length: 'l', encoding: 'latin1', if: 'k == 1' },
    { name: 'b', type: 'text', length: 'l - 1', encoding: 'latin1', if: 'k == 2' },
  ],
  bytes: [
    { name: 'a', type: 'bytes', length: 'l', if: 'k == 1' },
    { name: 'b', type: 'bytes', length: 'l + 1', if: 'k == 2' },
  ],
  'a list and bytes': [
    { name: 'a', type: 'array', count: 'l', of: 'u16', if: 'k == 1' },
    { name: 'b', type: 'bytes', length: 'l', if: 'k == 2' },
  ],
  'a list of so many bytes and a text': [
    { name: 'a', type: 'array', length: 'l', of: 'u16', if: 'k == 1' },
    { name: 'b', type: 'text', length: 'l', encoding: 'latin1', if: 'k >= 1' },
  ],
}

describe('a number that is the size of one field or of another', () => {
  test.each(Object.entries(unions))('%s: what is read is written as it was', (_, parts) => {
    const format = create([size, kind, ...parts])
    const frame = fc.tuple(fc.nat(6), fc.nat(3), fc.uint8Array({ maxLength: 14 }))
    fc.assert(
      fc.property(frame, ([l, k, rest]) => {
        // Of all that could follow, so much as the size says.
        for (let end = 0; end <= rest.length; end++) {
          const bytes = Buffer.from([l, k, ...rest.subarray(0, end)])
          let value: ReturnType<typeof format.parse>
          try {
            value = format.parse(bytes, 0, bytes.length)
          } catch {
            continue
          }
          expect(format.print(value)).toEqual(bytes)
        }
      }),
      { numRuns: 300 },
    )
  })

  test('fits the one that is there', () => {
    const fields = [size, kind, ...unions['texts']!]
    expect(write(fields, { k: 1, a: 'AB' })).toBe('02014142')
    expect(write(fields, { k: 2, b: 'AB' })).toBe('03024142')
    expect(write(fields, { l: 77, k: 2, b: 'AB' })).toBe('03024142')
  })

  test('is as it is given when none is there, and else that of nothing', () => {
    const lists = [size, kind, ...unions['lists']!]
    expect(write(lists, { l: 7, k: 3 })).toBe('0703')
    expect(write(lists, { k: 3 })).toBe('0003')
    expect(write([size, { name: 'a', type: 'text', length: 'l - 2', if: 'l != 2' }], { l: 2 })).toBe('02')
    const texts = [size, kind, ...unions['texts']!]
    expect(write(texts, { l: 7, k: 3 })).toBe('0703')
    expect(() => write(texts, { k: 3 })).toThrow(notPrintable('l would have to be 0 for a and 1 for b'))
    expect(() => write(texts, { l: 'x', k: 3 })).toThrow(notPrintable('l is "x", and takes a whole number'))
  })

  test('is refused where fields that are there have not the same size', () => {
    const fields = [
      size,
      { name: 'a', type: 'array', count: 'l', of: 'u8' },
      { name: 'b', type: 'array', count: 'l - 1', of: 'u8' },
    ]
    expect(write(fields, { a: [1, 2], b: [3] })).toBe('02010203')
    expect(() => write(fields, { l: 2, a: [1, 2], b: [3, 4] })).toThrow(
      notPrintable('l would have to be 2 for a and 3 for b'),
    )
    const union = [size, kind, ...unions['lists']!]
    expect(() => write(union, { k: 1, a: [1], b: [2] })).toThrow(
      notPrintable('b has a value, and its condition is not met'),
    )
  })

  test('may be the length of several fields too', () => {
    const fields = [
      { name: 'l', type: 'u8', lengthOf: { from: 'l', to: 'd' } },
      { name: 'd', type: 'bytes', length: 'l - 1' },
    ]
    expect(read(fields, '03 0405')).toEqual({ l: 3, d: bytesOf('0405') })
    expect(write(fields, { d: bytesOf('0405') })).toBe('030405')
    expect(write(fields, { l: 9, d: bytesOf('0405') })).toBe('030405')
    const wrong = [{ name: 'l', type: 'u8', lengthOf: { from: 'd', to: 'd' } }, fields[1]!]
    expect(() => write(wrong, { d: bytesOf('0405') })).toThrow(
      notPrintable('l would have to be 2 for lengthOf and 3 for d'),
    )
  })
})
