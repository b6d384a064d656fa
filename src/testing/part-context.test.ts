import { expect, test } from 'vitest'
import { text } from '../formats/text.ts'
import { createBatch, createFramesBatch, createMessages, createTestContext, testSource } from './part-context.ts'

test('messages of a format are as if nobody had changed them', () => {
  const format = text.create({ encoding: 'latin1' })
  const [message] = createMessages(['é'], { format })
  expect(message!.raw).toEqual(Buffer.from([0xe9]))
  expect(message!.verbatim).toBe(format)
  expect(createMessages([{ a: 1 }])[0]).toMatchObject({ msg: { a: 1 }, verbatim: undefined, sequence: 1 })
})

test('a batch of frames makes its messages when they are asked for', () => {
  const source = testSource({ id: 'some-1' })
  const batch = createFramesBatch(['a', 'bc'], text.create({ encoding: 'utf-8' }), source)
  expect(batch.frames?.[0]?.count).toBe(2)
  expect(batch.messages.map(({ msg, raw, client }) => [msg, raw.toString(), client.id])).toEqual([
    ['a', 'a', 'some-1'],
    ['bc', 'bc', 'some-1'],
  ])
})

test('the context remembers what was done with it', async () => {
  const context = createTestContext()
  const source = testSource()
  const [message] = createBatch(['a'], { source }).messages
  message!.source.reply(0, 'text', 'OK')
  message!.source.close()
  context.log('info', 'hello')
  context.clients.send({ all: true }, 'text', 'x')
  expect(source).toMatchObject({ replies: [{ sequence: 0, kind: 'text', content: 'OK' }], closed: true })
  expect(context).toMatchObject({ logs: [{ level: 'info', text: 'hello' }], sends: [{ content: 'x' }] })
  await expect(context.storage.open('a')).rejects.toThrow('this test context has no storage')
})

test('share keeps one value for equal keys until its last user is gone', async () => {
  const { share } = createTestContext()
  let opened = 0
  let closed = 0
  const open = () => {
    opened++
    return { close: () => void closed++ }
  }
  const users = [share('a', open), share('a', open), share('b', open)]
  expect(users[0]!.value).toBe(users[1]!.value)
  expect(opened).toBe(2)
  await users[0]!.release()
  expect(closed).toBe(0)
  await users[1]!.release()
  expect(closed).toBe(1)
})
