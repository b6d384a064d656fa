import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Batch } from '../contracts/batch.ts'
import type { Dataflow } from '../contracts/dataflow.ts'
import { createExpression } from '../testing/expressions.ts'
import { createMessages, createTestClock, createTestContext } from '../testing/part-context.ts'
import { group } from './group.ts'
import { window } from './window.ts'

type Step = Awaited<ReturnType<typeof window.create>>

const LARGE = 64 * 1024 * 1024
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
  const step = await window.create({ count: 3, values, maxKeys: 9, maxSize: LARGE }, createTestContext())
  const { gives, flush } = await run(step, [{ v: 4 }, {}, { v: -2, w: 1 }, {}])
  await flush()
  expect(gives).toEqual([
    { ...times, n: 3, sum: 2, min: -2, max: 4, avg: 1, first: null, last: -2 },
    { ...times, n: 1, sum: null, min: null, max: null, avg: null, first: null, last: null },
  ])
})

test('a message that cannot be added fails alone and leaves no trace', async () => {
  const values = { n: 'count', sum: { sum: field('v') }, last: { max: field('t') } } as const
  const step = await window.create({ count: 2, values, maxKeys: 9, maxSize: LARGE }, createTestContext())
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
  const step = await window.create({ every: 60_000, values, maxKeys: 9, maxSize: LARGE }, createTestContext({ clock }))
  await run(step, [1, 2])
  clock.advance(999)
  await run(step, [3])
  clock.advance(1)
  const { gives } = await run(step, [4])
  await step.flush!()
  expect(gives).toMatchObject([{ n: 3 }, { n: 1 }])
})

test('many windows that end at once do so in several turns, and others have theirs', async () => {
  const clock = createTestClock()
  let inTurn = 0
  let most = 0
  const uuid = () => {
    if (inTurn === 0) setImmediate(() => (inTurn = 0))
    most = Math.max(most, ++inTurn)
    return clock.uuid()
  }
  const given = { every: 5, per: field('id'), values: { n: 'count' } as const, maxKeys: 20_000, maxSize: LARGE }
  const step = await window.create(given, createTestContext({ clock: { ...clock, uuid } }))
  const all = Promise.withResolvers<void>()
  let ended = 0
  const sizes: number[] = []
  const rest: Dataflow = {
    run(batch) {
      sizes.push(batch.length)
      ended += batch.length
      if (ended === 12_000) all.resolve()
      return batch
    },
  }
  step.attach!(rest)
  await step.runAround!(Batch.of(createMessages(Array.from({ length: 12_000 }, (_, id) => ({ id })))), rest, {
    add() {},
  })
  clock.advance(5)
  await all.promise
  expect(most).toBeLessThanOrEqual(5000)
  expect(Math.max(...sizes)).toBeLessThanOrEqual(1000)
  await step.flush!()
})

test('beyond maxKeys the oldest window ends early', async () => {
  const given = { count: 9, per: field('id'), values: { n: 'count' } as const, maxKeys: 2, maxSize: LARGE }
  const step = await window.create(given, createTestContext())
  const { gives, flush } = await run(step, [{ id: 'a' }, { id: 'b' }, { id: 'a' }, { id: null }])
  await flush()
  expect(gives).toMatchObject([
    { key: 'a', n: 2 },
    { key: 'b', n: 1 },
    { key: null, n: 1 },
  ])
})

test('beyond maxSize the oldest group ends early, also one that is too large alone', async () => {
  const given = { count: 9, per: field('id'), maxHeld: 100, maxSize: 3000 }
  const step = await group.create(given, createTestContext())
  const values = ['a', 'b', 'b', 'a', 'b'].map((id, at) => ({ id, at, text: id.repeat(700) }))
  const huge = { id: 'b', text: 'b'.repeat(5000) }
  const { gives, flush } = await run(step, [...values, huge, { id: 'b' }])
  await flush()
  const [a, b, b2, a2, b3] = values
  expect(gives).toEqual([[a], [b, b2], [a2], [b3, huge], [{ id: 'b' }]])
})

test('beyond maxSize the oldest window ends early: what first and last keep counts, and what per gives', async () => {
  const last = { values: { text: { last: field('text') } }, per: field('id') }
  const first = { values: { text: { first: field('text') } }, per: field('id') }
  const key = { values: { n: 'count' as const }, per: field('text') }
  for (const one of [last, first, key]) {
    const step = await window.create({ count: 9, maxKeys: 9, maxSize: 3500, ...one }, createTestContext())
    const values = ['a', 'a', 'b', 'c', 'a', 'a'].map((id) => ({ id, text: id.repeat(900) }))
    const { gives, flush } = await run(step, values)
    await flush()
    const texts = gives.map((found) => (found as { text?: string; key: string }).text ?? (found as { key: string }).key)
    expect(texts.map((text) => text[0])).toEqual(['a', 'b', 'c', 'a'])
  }
})

test('a value that is replaced in its window does not count any more, and what has gone on does not either', async () => {
  const given = { count: 50, per: field('id'), values: { last: { last: field('text') } }, maxKeys: 9, maxSize: 3000 }
  const step = await window.create(given, createTestContext())
  const values = Array.from({ length: 1000 }, (_, i) => ({ id: i % 2, text: 'x'.repeat(500 + (i % 7)) }))
  const { gives, flush } = await run(step, values)
  await flush()
  expect(gives.length).toBe(20)
})

test('a message that fails leaves nothing of itself in the count, and failures behind neither', async () => {
  const until = createExpression(({ msg }) => {
    if ((msg as { bad?: boolean }).bad) throw new Error('bad')
    return (msg as { end?: boolean }).end === true
  })
  const context = createTestContext()
  const step = await group.create({ until, maxHeld: 9, maxSize: 3000 }, context)
  const text = 'x'.repeat(1000)
  const failing: Dataflow = {
    run() {
      throw new Error('broken')
    },
  }
  const failures: string[] = []
  const add = (_: unknown, { message }: Error) => void failures.push(message)
  step.attach!(failing)
  for (let round = 0; round < 20; round++) {
    const values = [
      { text, bad: true },
      { text, round },
      { text, bad: true },
      { end: true, round },
    ]
    await step.runAround!(Batch.of(createMessages(values)), failing, { add })
  }
  await step.flush!()
  expect(failures).toEqual(Array(40).fill('bad'))
  expect(context.dead.map(({ message }) => message.msg)).toEqual(
    Array.from({ length: 20 }, (_, round) => [
      { text, round },
      { end: true, round },
    ]),
  )
})

test('a group keeps no read for a few bytes of it, wherever in its values they are', async () => {
  const read = Buffer.alloc(64 * 1024, 'x')
  const step = await group.create({ count: 2, maxHeld: 9, maxSize: LARGE }, createTestContext())
  const { gives, flush } = await run(step, [read.subarray(0, 2), { list: [read.subarray(2, 4)] }])
  await flush()
  const [[first, second]] = gives as [[Buffer, { list: [Buffer] }]]
  for (const one of [first, second.list[0]]) {
    expect(one).toEqual(Buffer.from('xx'))
    expect(one.buffer).not.toBe(read.buffer)
  }
})

test('nothing is lost or doubled by groups, whatever ends them, and order stays', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ id: fc.nat(3), end: fc.boolean() }), { maxLength: 60 }),
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 8 }),
      async (values, count, maxHeld) => {
        const until = createExpression(({ msg }) => (msg as { end: boolean }).end)
        const step = await group.create(
          { count, until, per: field('id'), maxHeld, maxSize: LARGE },
          createTestContext(),
        )
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
  const step = await group.create({ count: 3, join: '|', maxHeld: 9, maxSize: LARGE }, createTestContext())
  const { gives, flush } = await run(step, ['a', Buffer.from('b'), 3])
  await flush()
  expect(gives).toEqual(['a|b|3'])
})

test('while what is behind is slow, senders wait', async () => {
  const step = await group.create({ count: 1, maxHeld: 9, maxSize: LARGE }, createTestContext())
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

test('while what is behind is slow, senders wait when as many bytes wait as may be held', async () => {
  const step = await group.create({ count: 1, maxHeld: 9, maxSize: 3000 }, createTestContext())
  let gate = Promise.withResolvers<Batch>()
  const rest: Dataflow = { run: () => gate.promise }
  step.attach!(rest)
  const take = (...values: unknown[]) => step.runAround!(Batch.of(createMessages(values)), rest, { add() {} })
  const text = 'x'.repeat(2000)
  for (let round = 0; round < 3; round++) {
    gate = Promise.withResolvers()
    expect(take(text)).toBeInstanceOf(Batch)
    const waits = take(text)
    expect(waits).toBeInstanceOf(Promise)
    gate.resolve(Batch.of([]))
    await waits
  }
  await step.flush!()
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
