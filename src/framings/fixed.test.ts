import { expect, test } from 'vitest'
import { decodeAll, encodeOne } from '../testing/framing-run.ts'
import { fixed } from './fixed.ts'

test('the input must end with a whole frame', () => {
  expect(decodeAll(fixed.create({ length: 2 }), [Buffer.from('abc')])).toEqual(['=ab', 'frame_truncated'])
})

test('only the exact length is written', () => {
  const framing = fixed.create({ length: 2 })
  expect(encodeOne(framing, 'ab')).toEqual(Buffer.from('ab'))
  expect(encodeOne(framing, 'a')).toBeUndefined()
  expect(encodeOne(framing, 'é')?.length, 'bytes count, not letters').toBe(2)
  expect(encodeOne(framing, 'abc')).toBeUndefined()
})

test('pad fills up a shorter payload', () => {
  const framing = fixed.create({ length: 4, pad: Buffer.from([0]) })
  expect(encodeOne(framing, 'ab')).toEqual(Buffer.from('ab\0\0'))
  expect(encodeOne(framing, 'abcde')).toBeUndefined()
})

test('the length is a size above zero and pad is one byte', () => {
  expect(fixed.options.parse({ length: '1KiB' })).toEqual({ length: 1024 })
  expect(fixed.options.safeParse({ length: 0 }).success).toBe(false)
  expect(fixed.options.safeParse({ length: 4, pad: 'ab' }).success).toBe(false)
})
