import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Batch } from '../contracts/batch.ts'
import type { Dataflow } from '../contracts/dataflow.ts'
import { createExpression } from '../testing/expressions.ts'
import { createMessages, createTestClock, createTestContext } from '../testing/part-context.ts'
import { group } from './group.ts'
import { window } from './window.ts'

type Step = Awaited<ReturnType<typeof window.create>>

const times = { from: new Date(Date.UTC(2026, 0, 1)), to: new Date(Date.UTC(2026, 0, 1)) }
const field = (name: string) => createExpression(({ msg }) => (msg as Record<string, unknown>)[name], `msg.${name}`)

/** Takes values through a step, and what it makes of them. */
async function run(step: Step, values: readonly unknown[]) {
  const gives: unknown[] = []
  const rest: Dataflow = {
    run(batch) {
      gives.push(...batch.messages.map(({ msg }) => msg))
      return batch
    },
  }
  const failed: string[] = []
  const failures = { add: (_: unknown, { message }: Error) => void failed.push(message) }
  step.attach!(rest)
  expect((await step.runAround!(Batch.of(createMessages(values)), rest, failures)).length).toBe(0)
  return { gives, failed, flush: () => step.flush!() }
}

test('all values, with what is missing left out', async () => {
  const v = field('v')
  const values = {
    n: 'count',
    sum: { sum: v },
    min: { min: v },
    max: { max: v },
    avg: { avg: v },
    first: { first: field('w') },
    last: { last: v },
  } as const
  const step = await window.create({ count: 3, values, maxKeys: 9 }, createTestContext())
  const { gives, flush } = await run(step, [{ v: 4 }, {}, { v: -2, w: 1 }, {}])
  await flush()
  expect(gives).toEqual([
    { ...times, n: 3, sum: 2, min: -2, max: 4, avg: 1, first: null, last: -2 },
    { ...times, n: 1, sum: null, min: null, max: null, avg: null, first: null, last: null },
  ])
})

test('a message that cannot be added fails alone and leaves no trace', async () => {
  const values = { n: 'count', sum: { sum: field('v') }, last: { max: field('t') } } as const
  const step = await window.create({ count: 2, values, maxKeys: 9 }, createTestContext())
  const late = new Date(5)
  const { gives, failed } = await run(step, [{ v: 'x' }, { v: 1, t: late }, { v: 1, t: 'x' }, { v: 2, t: new Date(1) }])
  await step.flush!()
  expect(gives).toEqual([{ ...times, n: 2, sum: 3, last: late }])
  expect(failed).toEqual([
    'the window needs a number, and msg.v gives something else',
    'the window needs a number or a time, and msg.t gives something else',
  ])
})

test('a window ends at the multiple of its time, whether or not the timer was late', async () => {
  const clock = createTestClock(Date.UTC(2026, 0, 1, 0, 0, 59))
  const values = { n: 'count' } as const
  const step = await window.create({ every: 60_000, values, maxKeys: 9 }, createTestContext({ clock }))
  await run(step, [1, 2])
  clock.advance(999)
  await run(step, [3])
  clock.advance(1)
  const { gives } = await run(step, [4])
  await step.flush!()
  expect(gives).toMatchObject([{ n: 3 }, { n: 1 }])
})

test('beyond maxKeys the oldest window ends early', async () => {
  const given = { count: 9, per: field('id'), values: { n: 'count' } as const, maxKeys: 2 }
  const step = await window.create(given, createTestContext())
  const { gives, flush } = await run(step, [{ id: 'a' }, { id: 'b' }, { id: 'a' }, { id: null }])
  await flush()
  expect(gives).toMatchObject([
    { key: 'a', n: 2 },
    { key: 'b', n: 1 },
    { key: null, n: 1 },
  ])
})

test('nothing is lost or doubled by groups, whatever ends them, and order stays', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ id: fc.nat(3), end: fc.boolean() }), { maxLength: 60 }),
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 8 }),
      async (values, count, maxHeld) => {
        const until = createExpression(({ msg }) => (msg as { end: boolean }).end)
        const step = await group.create({ count, until, per: field('id'), maxHeld }, createTestContext())
        const { gives } = await run(step, values)
        await step.flush!()
        for (const one of gives as { id: number; end: boolean }[][]) {
          expect(one.length).toBeLessThanOrEqual(count)
          expect(new Set(one.map(({ id }) => id)).size).toBe(1)
          expect(one.slice(0, -1).some(({ end }) => end)).toBe(false)
        }
        const flat = (gives as (typeof values)[]).flat()
        for (const id of [0, 1, 2, 3]) {
          expect(flat.filter((one) => one.id === id)).toEqual(values.filter((one) => one.id === id))
        }
      },
    ),
    { numRuns: 50 },
  )
})

test('a group as one text, with bytes in it', async () => {
  const step = await group.create({ count: 3, join: '|', maxHeld: 9 }, createTestContext())
  const { gives, flush } = await run(step, ['a', Buffer.from('b'), 3])
  await flush()
  expect(gives).toEqual(['a|b|3'])
})

test('while what is behind is slow, senders wait', async () => {
  const step = await group.create({ count: 1, maxHeld: 9 }, createTestContext())
  const gate = Promise.withResolvers<Batch>()
  const rest: Dataflow = { run: () => gate.promise }
  const failures = { add() {} }
  step.attach!(rest)
  let isDone = false
  const values = Array.from({ length: 20_000 }, (_, i) => i)
  const result = Promise.resolve(step.runAround!(Batch.of(createMessages(values)), rest, failures)).then(() => {
    isDone = true
  })
  await new Promise((resolve) => setImmediate(resolve))
  expect(isDone).toBe(false)
  gate.resolve(Batch.of([]))
  await result
})

test('the options say when it ends, and leave the names of a window alone', () => {
  const problem = (definition: typeof window | typeof group, options: unknown) =>
    definition.options.safeParse(options).error?.issues[0]?.message
  expect(problem(window, {})).toBe('every or count is missing, such as every: 1m')
  expect(problem(window, { every: '0s' })).toBe('a window needs a time, such as 1m')
  expect(problem(window, { count: 1, values: { from: 'count' } })).toBe(
    'from is what every window gives; choose another name',
  )
  expect(problem(group, {})).toBe('count, every or until is missing, such as count: 10')
})
