import { expect, test } from 'vitest'
import { createExpression, messageExpression } from '../testing/expressions.ts'
import { createMessages, createTestContext, testSource } from '../testing/part-context.ts'
import { runStepNow } from '../testing/run-step.ts'
import { set } from './set.ts'

const context = createTestContext()

test('writes state that the next message sees, and passes the message on', async () => {
  const count = createExpression(({ state }) => ((state['count'] as number | undefined) ?? 0) + 1)
  const step = await set.create({ 'state.count': count }, context)
  const source = testSource()
  const messages = createMessages(['a', 'b'], { source })
  const run = runStepNow(step, messages)
  expect(run.messages[1]).toBe(messages[1])
  expect(source.state).toEqual({ count: 2 })
})

test('tags are texts in a new object for each write', async () => {
  const step = await set.create({ 'client.tags.room': messageExpression }, context)
  const source = testSource()
  const before = source.client.tags
  runStepNow(step, createMessages([7], { source }))
  const seven = source.client.tags
  runStepNow(step, createMessages(['kitchen'], { source }))
  expect([before, seven, source.client.tags]).toEqual([{}, { room: '7' }, { room: 'kitchen' }])
  expect(Object.isFrozen(source.client.tags)).toBe(true)
})

test('null and nothing remove a name', async () => {
  const source = testSource({ tags: { room: 'a', floor: '1' } })
  source.state['x'] = 1
  source.state['y'] = 1
  const gone = createExpression(() => undefined)
  const step = await set.create({ 'state.x': null, 'state.y': gone, 'client.tags.room': null }, context)
  runStepNow(step, createMessages(['a'], { source }))
  expect([source.state, source.client.tags]).toEqual([{}, { floor: '1' }])
})

test('works out all values before it writes, so a failure changes nothing', async () => {
  const fails = createExpression(({ state }) => {
    expect(state).toEqual({})
    throw new Error('no')
  })
  const source = testSource()
  const step = await set.create({ 'state.a': messageExpression, 'state.b': fails }, context)
  const run = runStepNow(step, createMessages(['x'], { source }))
  expect(run.failures).toHaveLength(1)
  expect(source.state).toEqual({})
})

test('copies bytes, which else would keep the whole read in memory', async () => {
  const source = testSource()
  const read = Buffer.from('abcdef')
  const step = await set.create({ 'state.part': messageExpression }, context)
  runStepNow(step, createMessages([read.subarray(1, 3)], { source }))
  read.fill(0)
  expect(String(source.state['part'])).toBe('bc')
})

test('only state and tags can be set', () => {
  const accepts = (key: string) => set.options.safeParse(JSON.parse(`{${JSON.stringify(key)}: "1"}`)).success
  expect(['state.a', 'state._b2', 'client.tags.room'].map(accepts)).toEqual([true, true, true])
  for (const key of ['msg.a', 'state', 'state.', 'state.a.b', 'client.id', 'state.__proto__', '__proto__', 'a']) {
    expect([key, accepts(key)]).toEqual([key, false])
  }
  expect(set.options.safeParse({}).success).toBe(false)
  expect(set.options.safeParse({ 'state.a': null }).success).toBe(true)
  expect(set.options.safeParse({ 'msg.a': '1' }).error?.issues[0]).toMatchObject({
    path: ['msg.a'],
    message: 'only state.NAME and client.tags.NAME can be set',
  })
})
