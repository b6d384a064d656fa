import { expect, test } from 'vitest'
import { SluiceError } from '../contracts/errors.ts'
import type { Message } from '../contracts/message.ts'
import { createMessages } from '../testing/part-context.ts'
import { askEach } from './query-each.ts'

const up = { width: 2, isDown: () => false }

test('so many at a time, and outcomes in the order of the messages', async () => {
  let asking = 0
  let most = 0
  const outcomes = await askEach(createMessages([3, 0, 2, 1, 0]), up, async (message) => {
    most = Math.max(most, ++asking)
    for (let turns = message.msg as number; turns > 0; turns--) await new Promise(setImmediate)
    asking--
    if (message.msg === 2) throw new TypeError('not this one')
    return message
  })
  expect(most).toBe(2)
  expect(outcomes.map((one) => (one instanceof SluiceError ? one.message : one.msg))).toEqual([
    3,
    0,
    'not this one',
    1,
    0,
  ])
})

test('when the database is down, and when the time is over, no more are asked', async () => {
  const asked: unknown[] = []
  const down = new SluiceError('query_failed', 'nobody there', { retryable: true })
  const fail = (message: Message): Promise<Message> => {
    asked.push(message.msg)
    return Promise.reject(down)
  }
  const outcomes = await askEach(createMessages([1, 2, 3, 4]), { width: 2, isDown: () => true }, fail)
  expect(outcomes).toEqual([down, down, down, down])
  expect(asked).toEqual([1, 2])
  const over = new AbortController()
  const late = await askEach(
    createMessages([1, 2, 3, 4]),
    up,
    async (message) => {
      over.abort()
      return message
    },
    over.signal,
  )
  expect(late.map((one) => one instanceof SluiceError)).toEqual([false, true, true, true])
})
