import { expect, test } from 'vitest'
import { EndpointCounters } from '../contracts/counters.ts'
import { createTestContext } from '../testing/part-context.ts'
import { type Behind, EntryPoints, Level } from './entry-points.ts'

const hooks = { dropped() {}, handled() {} }
const failedThere = { passed: false, settled: false }

const points = () => new EntryPoints(createTestContext().codec.format, new EndpointCounters(), 'listen.a.key')

test('a step that is not there, or there twice, is no way in', () => {
  const entries = points()
  const level = new Level(hooks)
  entries.add('twice', { level, index: 0 })
  entries.add('twice', { level, index: 1 })
  expect(entries.at('gone', failedThere)).toBe('there is no step gone in the configuration any more')
  expect(entries.at('twice', failedThere)).toMatch(/^the step twice is used in several places/)
})

test('a step inside one that does not tell what is behind its dataflow is no way in', () => {
  const entries = points()
  const outer = new Level(hooks)
  const within = (level: Level, then: Behind['then']) =>
    new Level(hooks, { place: { level, index: 0 }, then, word: 'mine' })
  entries.add('deep', { level: within(within(outer, undefined), 'next'), index: 0 })
  expect(entries.at('deep', failedThere)).toBe('it failed inside a mine step, which cannot be entered')
})
