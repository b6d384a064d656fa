import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createBackoff } from './backoff.ts'

describe('createBackoff', () => {
  test('doubles its bound up to the maximum', () => {
    const backoff = createBackoff({ first: 100, max: 5000, random: () => 0.999_999 })
    expect(Array.from({ length: 8 }, () => backoff.next())).toEqual([100, 200, 400, 800, 1600, 3200, 5000, 5000])
  })

  test('uses the whole range below the bound', () => {
    const draws = [0, 0.5, 0.25]
    const backoff = createBackoff({ first: 100, max: 5000, random: () => draws.shift()! })
    expect([backoff.next(), backoff.next(), backoff.next()]).toEqual([1, 101, 101])
  })

  test('starts again after a reset', () => {
    const backoff = createBackoff({ first: 100, max: 5000, random: () => 0.999_999 })
    backoff.next()
    backoff.next()
    backoff.reset()
    expect(backoff.next()).toBe(100)
  })

  test('never gives less than 1 or more than the maximum', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10_000 }),
        fc.integer({ min: 1, max: 10_000 }),
        fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), { minLength: 1, maxLength: 50 }),
        (first, max, draws) => {
          const rest = [...draws]
          const backoff = createBackoff({ first, max, random: () => rest.shift()! })
          for (const _ of draws) {
            const wait = backoff.next()
            expect(wait).toBeGreaterThanOrEqual(1)
            expect(wait).toBeLessThanOrEqual(max)
            expect(Number.isInteger(wait)).toBe(true)
          }
        },
      ),
    )
  })

  test('draws by itself when no source of chance is given', () => {
    expect(createBackoff({ first: 10, max: 10 }).next()).toBeLessThanOrEqual(10)
  })
})
