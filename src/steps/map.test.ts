import { expect, test } from 'vitest'
import { createExpression, messageExpression } from '../testing/expressions.ts'
import { createMessages, createTestContext } from '../testing/part-context.ts'
import { runStepNow } from '../testing/run-step.ts'
import { map } from './map.ts'

const context = createTestContext()

test('builds an object of the named keys alone, in their order', async () => {
  const step = await map.create(
    {
      device: createExpression(({ msg }) => (msg as { device: string }).device),
      missing: createExpression(() => undefined),
      twice: createExpression(({ msg }) => (msg as { temp: number }).temp * 2),
    },
    context,
  )
  const given = Object.freeze({ device: 'a', temp: 2, other: 1 })
  const run = runStepNow(step, createMessages([given, given]))
  expect(run.gives).toEqual([
    { device: 'a', missing: null, twice: 4 },
    { device: 'a', missing: null, twice: 4 },
  ])
  expect(Object.keys(run.gives[0] as object)).toEqual(['device', 'missing', 'twice'])
  expect(run.gives[0]).not.toBe(run.gives[1])
})

test('one expression gives the whole value; nothing is null', async () => {
  const length = await map.create(
    createExpression(({ msg }) => (msg as string).length),
    context,
  )
  expect(runStepNow(length, createMessages(['abc', ''])).gives).toEqual([3, 0])
  const nothing = await map.create(
    createExpression(() => undefined),
    context,
  )
  expect(runStepNow(nothing, createMessages(['a'])).gives).toEqual([null])
})

test('the message keeps its context and, where the value is unchanged, its bytes', async () => {
  const messages = createMessages(['abc'], { format: context.codec.format })
  const same = runStepNow(await map.create(messageExpression, context), messages).messages[0]!
  expect(same.verbatim).toBe(context.codec.format)
  const other = runStepNow(await map.create({ a: messageExpression }, context), messages).messages[0]!
  expect(other.verbatim).toBeUndefined()
  expect([other.raw.toString(), other.sequence]).toEqual(['abc', 1])
})

test('a key that throws fails that message alone', async () => {
  const step = await map.create({ a: createExpression(({ msg }) => (msg as { a: { b: 1 } }).a.b) }, context)
  const run = runStepNow(step, createMessages([{ a: { b: 1 } }, {}]))
  expect(run.gives).toEqual([{ a: 1 }])
  expect(run.failures).toHaveLength(1)
})

test('refuses __proto__ and a mapping without keys', () => {
  const proto = map.options.safeParse(JSON.parse('{"a": "1", "__proto__": "2"}'))
  expect(proto.error?.issues).toMatchObject([{ path: ['__proto__'], message: '__proto__ cannot be used as a name' }])
  expect(map.options.safeParse({}).success).toBe(false)
  expect(map.options.safeParse({ a: { b: 'msg' } }).success).toBe(false)
  expect(map.options.safeParse({ constructor: 'msg', a: 1, b: true }).success).toBe(true)
})
