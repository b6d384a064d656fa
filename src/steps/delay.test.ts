import { expect, test } from 'vitest'
import { createExpression } from '../testing/expressions.ts'
import { createMessages, createTestClock, createTestContext } from '../testing/part-context.ts'
import { runStep } from '../testing/run-step.ts'
import { delay } from './delay.ts'

const until = createExpression(({ msg }) => msg)

test('for: a batch is held back once', async () => {
  const clock = createTestClock()
  const begin = clock.now()
  const step = await delay.create(delay.options.parse({ for: '3s' }), createTestContext({ clock }))
  expect((await runStep(step, createMessages(['a', 'b']))).gives).toEqual(['a', 'b'])
  expect(clock.now() - begin).toBe(3000)
})

test('for: longer than a timer can count', async () => {
  const clock = createTestClock()
  const begin = clock.now()
  const step = await delay.create(delay.options.parse({ for: '24d' }), createTestContext({ clock }))
  await runStep(step, createMessages(['a']))
  expect(clock.now() - begin).toBe(24 * 24 * 3_600_000)
})

test('until: a time, a text or a time that has passed; what is too far away or none fails alone', async () => {
  const clock = createTestClock(Date.UTC(2026, 0, 1))
  const step = await delay.create({ until, max: 60_000 }, createTestContext({ clock }))
  const given = [
    new Date(Date.UTC(2026, 0, 1, 0, 0, 10)),
    '2026-01-01T01:00:20+01:00',
    '2025-06-01T00:00:00Z',
    '2026-01-01T00:05:00Z',
    '2026-01-01',
    7,
    null,
  ]
  const { gives, failures } = await runStep(step, createMessages(given))
  expect(gives).toEqual(given.slice(0, 3))
  expect(clock.now()).toBe(Date.UTC(2026, 0, 1, 0, 0, 20))
  expect(failures.map(({ error }) => error.message)).toEqual([
    expect.stringMatching(/^the message would be held back for .*, and max is 1m$/),
    ...Array(3).fill(expect.stringContaining('until gives no time')),
  ])
})

test('what is held back when the server stops has failed, and can be tried again', async () => {
  const over = new AbortController()
  const context = createTestContext({ signal: over.signal })
  over.abort()
  for (const options of [
    { for: 5, max: 0 },
    { until: createExpression(() => '2026-01-01T00:00:01Z'), max: 60_000 },
  ]) {
    const { gives, failures } = await runStep(await delay.create(options, context), createMessages(['a', 'b']))
    expect(gives).toEqual([])
    expect(failures).toMatchObject([
      { message: { msg: 'a' }, error: { code: 'step_timeout', retryable: true } },
      { message: { msg: 'b' }, error: { code: 'step_timeout', retryable: true } },
    ])
  }
})

test('either for or until', () => {
  const problem = (options: unknown) => delay.options.safeParse(options).error?.issues[0]?.message
  expect(problem({})).toBe('for or until is missing, such as delay: 5s')
  expect(problem({ for: '5s', until: 'msg' })).toBe('only one of for and until')
})
