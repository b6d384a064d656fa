import { expect, test } from 'vitest'
import { createExpression } from '../testing/expressions.ts'
import { createMessages, createTestClock, createTestContext } from '../testing/part-context.ts'
import { runStep } from '../testing/run-step.ts'
import { throttle } from './throttle.ts'

const LIMIT = throttle.options.parse({ max: 2, every: '1s' })

test('wait: messages pass in their order, when the rate allows', async () => {
  const clock = createTestClock()
  const step = await throttle.create(LIMIT, createTestContext({ clock }))
  const begin = clock.now()
  expect((await runStep(step, createMessages([1, 2]))).gives).toEqual([1, 2])
  expect(clock.now() - begin).toBe(0)
  expect((await runStep(step, createMessages([3, 4, 5]))).gives).toEqual([3, 4, 5])
  expect(clock.now() - begin).toBe(1500)
})

test('wait: what is held back when the time is over fails, and can be tried again', async () => {
  const over = new AbortController()
  const step = await throttle.create(LIMIT, createTestContext({ signal: over.signal }))
  over.abort()
  const { gives, failures } = await runStep(step, createMessages([1, 2, 3]))
  expect(gives).toEqual([1, 2])
  expect(failures).toMatchObject([{ message: { msg: 3 }, error: { code: 'step_timeout', retryable: true } }])
})

test('error: what comes too soon fails, by key', async () => {
  const per = createExpression(({ msg }) => (msg as { id: string }).id)
  const given = { ...LIMIT, per, whenFull: 'error' as const, maxKeys: 2 }
  const step = await throttle.create(given, createTestContext())
  const ids = ['a', 'a', 'a', 'b', 'c'].map((id) => ({ id }))
  const { gives, failures } = await runStep(step, createMessages(ids))
  expect(gives).toEqual(ids.toSpliced(4, 1).toSpliced(2, 1))
  expect(failures.map(({ error }) => [error.code, error.message])).toEqual([
    ['rate_exceeded', expect.stringContaining('more than 2 messages in 1s for one ')],
    ['rate_exceeded', 'more keys are limited at once than maxKeys allows'],
  ])
})

test('drop: what comes too soon ends, also when there are too many keys', async () => {
  const per = createExpression(({ msg }) => msg)
  const given = { ...LIMIT, per, whenFull: 'drop' as const, maxKeys: 1 }
  const { gives, failures } = await runStep(
    await throttle.create(given, createTestContext()),
    createMessages([1, 1, 1, 2]),
  )
  expect(gives).toEqual([1, 1])
  expect(failures).toEqual([])
})

test('wait: too many keys fail, the others pass', async () => {
  const per = createExpression(({ msg }) => msg)
  const given = { ...LIMIT, per, maxKeys: 1 }
  const { gives, failures } = await runStep(
    await throttle.create(given, createTestContext()),
    createMessages([1, 2, 1]),
  )
  expect(gives).toEqual([1, 1])
  expect(failures).toMatchObject([{ message: { msg: 2 }, error: { code: 'rate_exceeded' } }])
})

test('keys of any length share no bucket', async () => {
  const per = createExpression(({ msg }) => msg)
  const step = await throttle.create({ ...LIMIT, max: 1, burst: 1, per, whenFull: 'drop' }, createTestContext())
  const long = 'x'.repeat(100_000)
  const { gives } = await runStep(step, createMessages([`${long}a`, `${long}b`, `${long}a`, 'a', 'b', 'a']))
  expect(gives).toEqual([`${long}a`, `${long}b`, 'a', 'b'])
})

test('the buckets of a step are there as long as one that is the same has not been closed', async () => {
  const context = createTestContext()
  const given = { ...LIMIT, per: createExpression(({ msg }) => msg), whenFull: 'drop' as const }
  const texts = ['a', 'a', 'a']
  const passed = async (options: typeof given) => {
    const step = await throttle.create(options, context)
    return { step, count: (await runStep(step, createMessages(texts))).gives.length }
  }
  const first = await passed(given)
  expect(first.count).toBe(2)
  const same = await passed({ ...given })
  expect(same.count).toBe(0)
  const other = await passed({ ...given, max: 3 })
  expect(other.count).toBe(3)
  for (const { step } of [first, same, other]) await step.close?.()
  expect((await passed(given)).count).toBe(2)
})
