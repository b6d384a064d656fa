import { expect, test } from 'vitest'
import { SluiceError } from '../contracts/errors.ts'
import { createExpression, messageExpression } from '../testing/expressions.ts'
import { createMessages, createTestContext, testSource } from '../testing/part-context.ts'
import { runStepNow } from '../testing/run-step.ts'
import { send } from './send.ts'

const field = (name: string) => createExpression(({ msg }) => (msg as Record<string, unknown>)[name])

test.each([
  ['all', { all: true }],
  [{ endpoint: 'chat' }, { endpoint: 'chat' }],
  [{ client: field('id') }, { client: 'a-7' }],
  [
    { tag: 'room', value: field('room') },
    { tag: 'room', value: '12' },
  ],
] as const)('to %j', async (to, target) => {
  const context = createTestContext()
  const step = await send.create({ to, text: field('text'), exceptSender: false }, context)
  const messages = createMessages([{ id: 'a-7', room: 12, text: 'hello' }])
  expect(runStepNow(step, messages).messages).toEqual(messages)
  expect(context.sends).toEqual([{ target, kind: 'text', content: 'hello', except: undefined }])
})

test('leaves the sender out when it shall', async () => {
  const context = createTestContext()
  const step = await send.create({ to: 'all', value: messageExpression, exceptSender: true }, context)
  runStepNow(step, createMessages([{ a: 1 }], { source: testSource({ id: 'test-9' }) }))
  expect(context.sends).toEqual([{ target: { all: true }, kind: 'value', content: { a: 1 }, except: 'test-9' }])
})

test('a client that cannot be reached fails the message', async () => {
  const context = createTestContext()
  const clients = {
    ...context.clients,
    send: () => {
      throw new SluiceError('client_unknown', 'no client a')
    },
  }
  const step = await send.create(
    { to: { client: field('id') }, raw: messageExpression as never, exceptSender: false },
    createTestContext({ clients }),
  )
  expect(runStepNow(step, createMessages([{ id: 'a' }])).failures).toMatchObject([
    { error: { code: 'client_unknown' } },
  ])
})

test('says what is wrong with its options', () => {
  const problem = (to: unknown, rest: object = { text: 'x' }) => {
    const result = send.options.safeParse({ to, ...rest })
    return result.success ? undefined : JSON.stringify(result.error.issues)
  }
  expect(problem('all')).toBeUndefined()
  expect(problem({ tag: 'room', value: 'state.room' })).toBeUndefined()
  expect(problem('everybody')).toBeDefined()
  expect(problem({})).toContain('one of client, tag and endpoint is needed')
  expect(problem({ client: 'a', endpoint: 'b' })).toContain('only one of client and endpoint')
  expect(problem({ tag: 'room' })).toContain('tag needs value')
  expect(problem({ endpoint: 'chat', value: 'msg' })).toContain('value belongs to tag')
  expect(problem('all', {})).toContain('one of text, value and raw is needed')
  expect(problem('all', { text: 'a', value: 'b' })).toContain('only one of text and value')
  expect(problem({ clients: 'a' })).toContain('clients')
  expect(send.options.parse({ to: 'all', text: 'x' }).exceptSender).toBe(false)
})
