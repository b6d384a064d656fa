import { expect, test } from 'vitest'
import type { Message } from '../contracts/message.ts'
import { createMessages } from '../testing/part-context.ts'
import { remoteQuestion } from './remote-request.ts'

const matches = () => true
const waitOf = (asker: Message) => ({ timeout: 1000, matches, condition: { source: 'answer == msg', asker } })

test('a question without match, and one with a condition, can travel', () => {
  const [message] = createMessages([{ at: new Date(0), bytes: Buffer.from('x') }])
  expect(remoteQuestion('text', 'a', { timeout: 1000 })).toMatchObject({ kind: 'text', content: 'a', match: undefined })
  const question = remoteQuestion('value', { n: 1 }, waitOf(message!))
  expect(structuredClone(question)).toMatchObject({
    content: { n: 1 },
    timeout: 1000,
    match: { source: 'answer == msg' },
  })
})

test('a value with methods of its own cannot, nor what holds one', () => {
  const [read] = createMessages([
    new (class {
      get() {}
    })(),
  ])
  for (const message of [read!, read!.with({ value: read!.msg })])
    expect(() => remoteQuestion('text', 'a', waitOf(message))).toThrow(
      expect.objectContaining({ code: 'wait_failed', message: expect.stringContaining('it is read with get') }),
    )
})

test('a function cannot, and neither can a message that holds one', () => {
  expect(() => remoteQuestion('text', 'a', { timeout: 1000, matches })).toThrow(
    expect.objectContaining({
      code: 'wait_failed',
      message: 'the client is connected to another worker, where a function cannot go',
      hint: 'Write match as an expression, or run with workers: 1.',
    }),
  )
  const [message] = createMessages([{ run: () => 1 }])
  expect(() => remoteQuestion('text', 'a', waitOf(message!))).toThrow(
    /^the message cannot be taken to another worker: /,
  )
})
