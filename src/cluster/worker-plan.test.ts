import fc from 'fast-check'
import { expect, it } from 'vitest'
import { configOfValue } from '../config/loaded.ts'
import { type Plan, planConfig } from '../config/plan.ts'
import { createRegistry } from '../registry/builtins.ts'
import { dataDirOf, planOfWorker } from './worker-plan.ts'

const ticketKeys = Buffer.alloc(48, 7)

function planOf(config: unknown): Plan {
  const { plan, problems } = planConfig(configOfValue(config, '/srv'), createRegistry(), {})
  expect(problems.filter(({ severity }) => severity === 'error')).toEqual([])
  return plan!
}

it('keeps what listens, and of what dials only its own', () => {
  const dataflow = [{ log: 'x' }]
  const plan = planOf({
    workers: 2,
    listen: { a: { port: 9100, dataflow } },
    connect: { b: { host: 'h', port: 1, dataflow }, c: { host: 'h', port: 2, dataflow } },
  })
  const names = (connects: readonly string[]) =>
    planOfWorker(plan, { slot: 1, connects, ticketKeys }).endpoints.map(({ name }) => name)
  expect(names(['c'])).toEqual(['a', 'c'])
  expect(names([])).toEqual(['a'])
  expect(dataDirOf(plan)).toBe('/srv/sluice-data')
})

it('shares the limit on connections exactly where nobody sees all of them', () => {
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 64 }), fc.integer({ min: 1, max: 100_000 }), (workers, maxConnections) => {
      const listen = {
        shared: { port: 9100, dataflow: [], limits: { maxConnections } },
        free: { port: 0, dataflow: [], limits: { maxConnections } },
      }
      const plan = planOf({ workers, balance: 'reusePort', listen })
      const limits = Array.from({ length: workers }, (_, i) =>
        planOfWorker(plan, { slot: i + 1, connects: [], ticketKeys }).endpoints.map((one) => {
          if (one.kind !== 'listen') throw new Error('it listens')
          return one.limits.maxConnections
        }),
      )
      const shares = limits.map(([shared]) => shared!)
      expect(shares.reduce((sum, share) => sum + share, 0)).toBe(maxConnections)
      expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1)
      // The supervisor counts those of a port that the system chooses.
      expect(new Set(limits.map(([, free]) => free))).toEqual(new Set([maxConnections]))
    }),
    { numRuns: 20 },
  )
})
