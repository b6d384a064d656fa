import { expect, test } from 'vitest'
import { hashedKey, keptKey } from './kept-key.ts'

test('a long key is not kept, and stays another than all others', () => {
  const long = 'x'.repeat(1024 * 1024)
  expect(keptKey(long).length).toBeLessThan(50)
  expect(keptKey(long)).toBe(keptKey(`${long}`))
  expect(keptKey(long)).not.toBe(keptKey(`${long}y`))
  expect(keptKey('x'.repeat(200))).toBe('x'.repeat(200))
  expect(keptKey('x'.repeat(201))).toBe(hashedKey('x'.repeat(201)))
})

test('no key can be written so that it is taken for a long one', () => {
  const hashed = keptKey('x'.repeat(300))
  expect(keptKey(hashed)).not.toBe(hashed)
})
