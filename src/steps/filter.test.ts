import { expect, test } from 'vitest'
import { createExpression } from '../testing/expressions.ts'
import { createMessages, createTestContext } from '../testing/part-context.ts'
import { runStepNow } from '../testing/run-step.ts'
import { filter } from './filter.ts'

const hot = createExpression(({ msg }) => (msg as number) > 30)

test('keeps what the condition takes, in order, as the same message', async () => {
  const messages = createMessages([31, 5, 40])
  const step = await filter.create(hot, createTestContext())
  const run = runStepNow(step, messages)
  expect(run.messages).toEqual([messages[0], messages[2]])
  expect(run.messages[0]).toBe(messages[0])
})

test('a condition that throws fails that message alone', async () => {
  const picky = createExpression(({ msg }) => {
    if (msg === 0) throw new Error('zero')
    return true
  })
  const run = runStepNow(await filter.create(picky, createTestContext()), createMessages([1, 0, 2]))
  expect(run.gives).toEqual([1, 2])
  expect(run.failures.map(({ message, error }) => [message.msg, error.message])).toEqual([[0, 'zero']])
})

test('takes text, true and a function as its condition, and nothing else', () => {
  expect(filter.options.safeParse('msg > 1').success).toBe(true)
  expect(filter.options.safeParse(true).success).toBe(true)
  expect(filter.options.safeParse(() => true).success).toBe(true)
  expect(filter.options.safeParse({ if: 'x' }).success).toBe(false)
})
