import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RateLimit } from './rate-limit.ts'

const rates = fc.record({
  max: fc.integer({ min: 1, max: 50 }),
  every: fc.integer({ min: 1, max: 5000 }),
  burst: fc.integer({ min: 1, max: 100 }),
})

/** Times that go forward. */
const times = fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 200 }).map((steps) => {
  let now = 0
  return steps.map((step) => (now += step))
})

/** Most that may pass between two moments: the burst, and what has come back meanwhile. */
function most({ max, every, burst }: { max: number; every: number; burst: number }, span: number): number {
  return burst + Math.floor((span * max) / every + 1e-6)
}

function passesNoMore(passed: readonly number[], rate: Parameters<typeof most>[0]): void {
  for (const [i, from] of passed.entries()) {
    for (let j = i; j < passed.length; j++) {
      expect(j - i + 1).toBeLessThanOrEqual(most(rate, passed[j]! - from))
    }
  }
}

test('take: in no span of time more passes than the rate and the burst allow, and after a pause the whole burst does', () => {
  fc.assert(
    fc.property(rates, times, (rate, moments) => {
      const limit = new RateLimit(rate, 1)
      passesNoMore(
        moments.filter((now) => limit.take('', now)),
        rate,
      )
      const later = (moments.at(-1) ?? 0) + (rate.burst * rate.every) / rate.max + 1
      expect(Array.from({ length: rate.burst + 1 }, () => limit.take('', later))).toEqual([
        ...Array(rate.burst).fill(true),
        false,
      ])
    }),
    { numRuns: 50 },
  )
})

test('reserve: everybody gets a place, in order, and no sooner than the rate allows', () => {
  fc.assert(
    fc.property(rates, times, (rate, moments) => {
      const limit = new RateLimit(rate, 1)
      const passed = moments.map((now) => now + limit.reserve('', now)!)
      expect(passed).toEqual(passed.toSorted((a, b) => a - b))
      passesNoMore(passed, rate)
    }),
    { numRuns: 50 },
  )
})

test('keys do not share, and their number is bounded until buckets are full again', () => {
  const limit = new RateLimit({ max: 1, every: 1000, burst: 1 }, 2)
  expect([limit.take('a', 0), limit.take('a', 0), limit.take('b', 500)]).toEqual([true, false, true])
  expect(limit.take('c', 500)).toBeUndefined()
  expect(limit.reserve('c', 999)).toBeUndefined()
  expect(limit.take('c', 1000)).toBe(true)
  expect(limit.take('d', 1000)).toBeUndefined()
  expect(limit.reserve('b', 1000)).toBe(500)
  expect(limit.take('d', 2000)).toBe(true)
})
