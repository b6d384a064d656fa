import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeAll, encodeOne } from '../testing/framing-run.ts'
import { Framer } from '../wire/framer.ts'
import { lengthPrefix } from './length-prefix.ts'

const create = (given: object = {}) => lengthPrefix.create(lengthPrefix.options.parse(given))
const hex = (digits: string) => Buffer.from(digits, 'hex')

test('a declared length above the limit is refused as soon as it is read', () => {
  const framer = new Framer(create().createDecoder(100), 100)
  expect(framer.push(hex('00000064')).count).toBe(0)
  expect(framer.broken).toBeUndefined()
  const other = new Framer(create().createDecoder(100), 100)
  other.push(hex('00000065'))
  expect(other.broken?.code).toBe('frame_too_long')
})

test('a kept header counts towards the limit', () => {
  const framer = new Framer(create({ bytes: 1, keepHeader: true }).createDecoder(4), 4)
  framer.push(hex('04'))
  expect(framer.broken?.code).toBe('frame_too_long')
})

test('eight bytes above 2^53 are too long, in both byte orders', () => {
  expect(decodeAll(create({ bytes: 8 }), [hex('ffffffffffffffff')])).toEqual(['frame_too_long'])
  expect(decodeAll(create({ bytes: 8, endian: 'little' }), [hex('0000000000002000')])).toEqual(['frame_too_long'])
})

test('a length below nothing breaks the stream', () => {
  expect(decodeAll(create({ bytes: 2, includesHeader: true }), [hex('0001')])).toEqual(['frame_invalid'])
  expect(decodeAll(create({ bytes: 1, adjust: -3 }), [hex('02')])).toEqual(['frame_invalid'])
})

test('header bytes are dropped, or kept with the field written anew', () => {
  expect(decodeAll(create({ bytes: 2, offset: 1 }), [hex('aa000142')])).toEqual(['=B'])
  expect(encodeOne(create({ bytes: 2, offset: 1 }), 'B')).toBeUndefined()
  const kept = create({ bytes: 2, offset: 1, keepHeader: true })
  expect(encodeOne(kept, hex('aaffff4243'))).toEqual(hex('aa00024243'))
  expect(encodeOne(kept, hex('aaff'))).toBeUndefined()
})

test('a length that the field cannot hold is refused', () => {
  expect(encodeOne(create({ bytes: 1 }), Buffer.alloc(255))?.length).toBe(256)
  expect(encodeOne(create({ bytes: 1 }), Buffer.alloc(256))).toBeUndefined()
  expect(encodeOne(create({ bytes: 1, adjust: 3 }), 'ab')).toBeUndefined()
})

test('what is written is read back for any layout', () => {
  const layout = fc.record({
    bytes: fc.integer({ min: 1, max: 8 }),
    endian: fc.constantFrom('big', 'little'),
    adjust: fc.integer({ min: -9, max: 9 }),
    includesHeader: fc.boolean(),
  })
  fc.assert(
    fc.property(layout, fc.uint8Array({ maxLength: 300 }), (given, payload) => {
      const framing = create(given)
      const written = encodeOne(framing, Buffer.from(payload))
      if (written !== undefined)
        expect(decodeAll(framing, [written])).toEqual([`=${Buffer.from(payload).toString('latin1')}`])
    }),
    { numRuns: 3000 },
  )
})

test('a varint has up to ten bytes and stands alone', () => {
  const framing = create({ varint: true })
  expect(encodeOne(framing, Buffer.alloc(300, 'a'))?.subarray(0, 2)).toEqual(hex('ac02'))
  expect(decodeAll(framing, [hex('80'), hex('80'), hex('00'), hex('8100'), hex('41')])).toEqual(['=', '=A'])
  expect(decodeAll(framing, [hex('ffffffffffffffffff01')])).toEqual(['frame_too_long'])
  expect(decodeAll(framing, [hex('ffffffffffffffffffff01')])).toEqual(['frame_invalid'])
  expect(decodeAll(create({ varint: true, offset: 1, adjust: 1 }), [hex('aa004142')])).toEqual([
    '=A',
    'frame_truncated',
  ])
  expect(encodeOne(create({ varint: true, adjust: 3 }), 'ab')).toBeUndefined()
  expect(encodeOne(create({ varint: true, adjust: 1 }), 'ab')).toEqual(hex('016162'))
  for (const more of [{ bytes: 2 }, { endian: 'little' }, { includesHeader: true }, { keepHeader: true }]) {
    expect(lengthPrefix.options.safeParse({ varint: true, ...more }).success).toBe(false)
  }
})
