import { expect, test } from 'vitest'
import { createRandom } from './random.ts'

test('repeats for equal seeds and differs for others', () => {
  expect(createRandom(7).bytes(100)).toEqual(createRandom(7).bytes(100))
  expect(createRandom(7).bytes(100)).not.toEqual(createRandom(8).bytes(100))
})

test('reaches every value of a range, and no other', () => {
  const random = createRandom(1)
  const seen = new Set(Array.from({ length: 1000 }, () => random.int(-2, 2)))
  expect([...seen].sort((a, b) => a - b)).toEqual([-2, -1, 0, 1, 2])
  expect(new Set(random.bytes(10_000)).size).toBe(256)
  expect(new Set(Array.from({ length: 100 }, () => random.pick(['a', 'b'])))).toEqual(new Set(['a', 'b']))
})
