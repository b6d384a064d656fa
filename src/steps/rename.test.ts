import { expect, test } from 'vitest'
import { createMessages, createTestContext } from '../testing/part-context.ts'
import { runStepNow } from '../testing/run-step.ts'
import { rename } from './rename.ts'

async function run(options: unknown, given: readonly unknown[]) {
  const { gives, failures } = runStepNow(
    await rename.create(rename.options.parse(options), createTestContext()),
    createMessages(given),
  )
  return { gives, failures: failures.map(({ error }) => error.message) }
}

test('two keys change places', async () => {
  expect(await run({ a: 'b', b: 'a' }, [{ a: 1, b: 2 }])).toEqual({ gives: [{ a: 2, b: 1 }], failures: [] })
})

test('a key may move into itself, and out of itself', async () => {
  expect(await run({ a: 'a.inner' }, [{ a: 1 }])).toEqual({ gives: [{ a: { inner: 1 } }], failures: [] })
  expect(await run({ 'a.b': 'b' }, [{ a: { b: 1 } }])).toEqual({ gives: [{ a: {}, b: 1 }], failures: [] })
})

test('a value is never written over, and none goes into what is no object', async () => {
  const { gives, failures } = await run({ a: 'b.c' }, [
    { a: 1, b: { c: 2 } },
    { a: 1, b: 'text' },
    { a: 1, b: {} },
  ])
  expect(gives).toEqual([{ b: { c: 1 } }])
  expect(failures).toEqual(['rename: the message has b.c already', 'rename: b.c is inside something that is no object'])
})

test('what is required and missing fails; what is not goes on as it is', async () => {
  const { gives, failures } = await run({ a: { to: 'b', required: true } }, [{ a: null }, {}, 'text'])
  expect(gives).toEqual([{ b: null }])
  expect(failures).toEqual(['rename: the message has no a', 'rename: the message has no a'])
  expect(await run({ a: 'b' }, ['text', null, []])).toEqual({ gives: ['text', null, []], failures: [] })
})

test.each([
  [{}, 'name a key, such as { temp: temperature }'],
  [{ a: 'c', b: 'c' }, "b and a are in each other's way"],
  [{ a: 'c', b: 'c.d' }, "b and a are in each other's way"],
  [{ a: 'x', 'a.b': 'y' }, "a.b and a are in each other's way"],
])('refuses %j', (options, message) => {
  expect(rename.options.safeParse(options).error?.issues).toMatchObject([{ message }])
})
