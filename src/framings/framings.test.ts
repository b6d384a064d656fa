import { afterAll, beforeAll, describe, test } from 'vitest'
import type { FramingDefinition } from '../contracts/define.ts'
import { type FramingSuiteOptions, framingSuite } from '../testing/framing-suite.ts'
import { delimiter } from './delimiter.ts'
import { fixed } from './fixed.ts'
import { lengthPrefix } from './length-prefix.ts'
import { line } from './line.ts'
import { mllp } from './mllp.ts'
import { raw } from './raw.ts'
import { startEnd } from './start-end.ts'

// Refused frames by the hundred thousand: without this, most of the time goes into stack traces that nobody reads.
const { stackTraceLimit } = Error
beforeAll(() => {
  Error.stackTraceLimit = 0
})
afterAll(() => {
  Error.stackTraceLimit = stackTraceLimit
})

const has = (options: unknown, name: string) => typeof options === 'object' && options !== null && name in options

const all: readonly [FramingDefinition, FramingSuiteOptions][] = [
  [raw, { cutByReads: true }],
  [line, {}],
  [delimiter, {}],
  [lengthPrefix, { rewrites: (options) => has(options, 'keepHeader') }],
  [fixed, { rewrites: (options) => has(options, 'pad') }],
  [startEnd, {}],
  [mllp, {}],
]

for (const [definition, options] of all) {
  describe(definition.name, () => {
    for (const check of framingSuite(definition, { decodes: 100_000, ...options })) test(check.name, check.run)
  })
}
