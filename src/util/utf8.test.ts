import { isUtf8 } from 'node:buffer'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { findInvalidUtf8 } from './utf8.ts'

test('finds the end of the longest part that is valid', () => {
  const piece = fc.oneof(
    fc.constantFrom(...['a', 'é', '€', '😀', '\ufffd'].map((some) => Buffer.from(some))),
    fc.uint8Array({ maxLength: 2 }),
  )
  fc.assert(
    fc.property(fc.array(piece), fc.nat(3), (pieces, start) => {
      const bytes = Buffer.concat([Buffer.from('xyz'), ...pieces])
      const at = findInvalidUtf8(bytes, start, bytes.length)
      expect(at === -1).toBe(isUtf8(bytes.subarray(start)))
      if (at === -1) return
      expect(isUtf8(bytes.subarray(start, at))).toBe(true)
      for (let end = at + 1; end <= Math.min(at + 4, bytes.length); end++) {
        expect(isUtf8(bytes.subarray(start, end))).toBe(false)
      }
    }),
    { numRuns: 5000 },
  )
})
