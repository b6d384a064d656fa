import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeAll, encodeOne } from '../testing/framing-run.ts'
import { cobs } from './cobs.ts'

const framing = cobs.create({})
const hex = (digits: string) => Buffer.from(digits, 'hex')
const run = (from: number, to: number) => Buffer.from(Array.from({ length: to - from + 1 }, (_, i) => from + i))

test.each<[string, Buffer, Buffer]>([
  ['nothing', hex(''), hex('0100')],
  ['a zero', hex('00'), hex('010100')],
  ['two zeros', hex('0000'), hex('01010100')],
  ['zeros inside', hex('11220033'), hex('031122023300')],
  ['zeros at the end', hex('11000000'), hex('02110101 0100'.replace(' ', ''))],
  ['254 bytes, one whole piece', run(1, 254), Buffer.concat([hex('ff'), run(1, 254), hex('00')])],
  ['a zero before them', run(0, 254), Buffer.concat([hex('01ff'), run(1, 254), hex('00')])],
  ['255 bytes, a piece and one', run(1, 255), Buffer.concat([hex('ff'), run(1, 254), hex('02ff00')])],
  [
    'a zero behind 254',
    Buffer.concat([run(2, 255), hex('00')]),
    Buffer.concat([hex('ff'), run(2, 255), hex('010100')]),
  ],
])('%s', (_, payload, frame) => {
  expect(encodeOne(framing, payload)).toEqual(frame)
  expect(decodeAll(framing, [frame])).toEqual([`=${payload.toString('latin1')}`])
})

test('a frame that ends too early is damaged, and reading goes on behind it', () => {
  expect(decodeAll(framing, [hex('05414200024300')])).toEqual(['!\x05AB', '=C'])
})

test('any payload comes back, with at most one byte more for each 254', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 800 }), fc.boolean(), (bytes, zeros) => {
      const payload = Buffer.from(zeros ? bytes : bytes.map((byte) => byte || 1))
      const frame = encodeOne(framing, payload)!
      expect(frame.indexOf(0)).toBe(frame.length - 1)
      expect(frame.length).toBeLessThanOrEqual(payload.length + 2 + Math.floor(payload.length / 254))
      expect(decodeAll(framing, [frame])).toEqual([`=${payload.toString('latin1')}`])
    }),
    { numRuns: 2000 },
  )
})
