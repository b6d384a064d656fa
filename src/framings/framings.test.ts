import fc from 'fast-check'
import { afterAll, beforeAll, describe, test } from 'vitest'
import type { FramingDefinition } from '../contracts/define.ts'
import { framings } from '../registry/builtins.ts'
import { type FramingSuiteOptions, framingSuite } from '../testing/framing-suite.ts'

/** Seeds that fast-check tries at each framing, and the streams that each of them decodes: 1e5 in all. */
const SEEDS = 100
const DECODES = 1000

// Refused frames by the hundred thousand: without this, most of the time goes into stack traces that nobody reads.
const { stackTraceLimit } = Error
beforeAll(() => {
  Error.stackTraceLimit = 0
})
afterAll(() => {
  Error.stackTraceLimit = stackTraceLimit
})

const has = (options: unknown, name: string) => typeof options === 'object' && options !== null && name in options

/** What the suite must know of a framing that its definition does not say. Most framings need no entry. */
const exceptions: { readonly [Name in (typeof framings)[number]['name']]?: FramingSuiteOptions } = {
  raw: { cutByReads: true },
  gap: { cutByReads: true },
  'until-close': { cutByReads: true },
  'modbus-tcp': { rewrites: () => true },
  'length-prefix': { rewrites: (options) => has(options, 'keepHeader') },
  fixed: { rewrites: (options) => has(options, 'pad') },
}

describe.each(framings.map(({ name }, i) => ({ name, definition: framings[i] as FramingDefinition })))(
  '$name',
  ({ name, definition }) => {
    const suite = (seed: number) => framingSuite(definition, { decodes: DECODES, seed, ...exceptions[name] })
    for (const [i, check] of suite(1).entries()) {
      const property = fc.property(fc.integer(), (seed) => void suite(seed)[i]!.run())
      test(check.name, check.random ? () => fc.assert(property, { numRuns: SEEDS }) : check.run)
    }
  },
)
