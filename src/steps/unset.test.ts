import { expect, test } from 'vitest'
import { createMessages, createTestContext } from '../testing/part-context.ts'
import { runStepNow } from '../testing/run-step.ts'
import { unset } from './unset.ts'

const context = createTestContext()

test('a message without the keys is the same message, whatever its value', async () => {
  const step = await unset.create({ paths: ['a.b', 'constructor'], required: false }, context)
  const messages = createMessages([{ c: 1 }, { a: 'text' }, 'text', null, [{ a: 1 }]])
  expect(runStepNow(step, messages).messages).toEqual(messages)
})

test('an object and something inside of it, in either order', async () => {
  for (const paths of [
    ['a', 'a.b'],
    ['a.b', 'a'],
  ]) {
    const step = await unset.create({ paths, required: true }, context)
    expect(runStepNow(step, createMessages([{ a: { b: 1 }, c: 2 }])).gives).toEqual([{ c: 2 }])
  }
})

test('a required key that is missing fails that message alone', async () => {
  const step = await unset.create({ paths: 'a.b', required: true }, context)
  const { gives, failures } = runStepNow(step, createMessages([{ a: { b: null } }, { a: {} }, 7]))
  expect(gives).toEqual([{ a: {} }])
  expect(failures.map(({ error }) => error.message)).toEqual(Array(2).fill('unset: the message has no a.b'))
})

test('refuses an empty list', () => {
  expect(unset.options.safeParse({ paths: [] }).success).toBe(false)
})
