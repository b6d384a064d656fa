import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { EndpointPlan } from '../config/plan.ts'
import { assignConnects, type Connects } from './connects.ts'

const none: Connects = new Map()

function plan(workers: number, names: readonly string[]) {
  return { workers, endpoints: names.map((name) => ({ kind: 'connect', name }) as EndpointPlan) }
}

it('gives each endpoint that dials to one worker, in turn', () => {
  expect(Array.from(assignConnects(plan(2, ['a', 'b', 'c']), none))).toEqual([
    ['a', 1],
    ['b', 2],
    ['c', 1],
  ])
  const listening = { workers: 2, endpoints: [{ kind: 'listen', name: 'l' } as EndpointPlan] }
  expect(assignConnects(listening, none).size).toBe(0)
})

it('moves nothing at a reload, and spreads what is new', () => {
  const names = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g'))
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), names, names, (workers, before, after) => {
      const first = assignConnects(plan(workers, before), none)
      const counts = Array.from(
        { length: workers },
        (_, i) => [...first.values()].filter((slot) => slot === i + 1).length,
      )
      expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1)
      const second = assignConnects(plan(workers, after), first)
      expect([...second.keys()].sort()).toEqual([...after].sort())
      for (const [name, slot] of second) {
        expect(slot).toBeGreaterThanOrEqual(1)
        expect(slot).toBeLessThanOrEqual(workers)
        if (first.has(name)) expect(slot).toBe(first.get(name))
      }
    }),
  )
})
