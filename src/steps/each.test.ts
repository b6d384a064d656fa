import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Batch } from '../contracts/batch.ts'
import type { Dataflow } from '../contracts/dataflow.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Message } from '../contracts/message.ts'
import { createExpression } from '../testing/expressions.ts'
import { createMessages, createTestContext, testSource } from '../testing/part-context.ts'
import { runStep, runStepNow } from '../testing/run-step.ts'
import { each } from './each.ts'

const items = createExpression(({ msg }) => (msg as { items?: unknown } | null)?.items)

/** A dataflow that gives what a function makes of each item: a value, nothing, several, or a failure. */
function dataflowOf(make: (message: Message) => readonly Message[] | SluiceError, sizes: number[] = []): Dataflow {
  return {
    run(batch, failures) {
      sizes.push(batch.length)
      // What comes out is in another order than what went in.
      const passed = batch.messages.toReversed().flatMap((message) => {
        const made = make(message)
        if (!(made instanceof SluiceError)) return made
        failures.add(message, made, 'inner')
        return []
      })
      return sizes.length % 2 === 0 ? Batch.of(passed) : Promise.resolve(Batch.of(passed))
    },
  }
}

async function run(dataflow: Dataflow, messages: readonly Message[], collect?: string) {
  const { gives, failures } = await runStep(
    await each.create({ list: items, dataflow, collect }, createTestContext()),
    messages,
  )
  return { gives, failures: failures.map(({ message, error, step }) => [message.msg, error.message, step]) }
}

test('each message gets what came of its own items, in their order, and fails with any of them', async () => {
  // What becomes of an item: it fails, is dropped, goes on, or becomes several.
  const list = fc.array(fc.nat({ max: 3 }), { maxLength: 6 })
  await fc.assert(
    fc.asyncProperty(fc.array(list), async (lists) => {
      const make = (message: Message): readonly Message[] | SluiceError => {
        const count = message.msg as number
        if (count === 0) return new SluiceError('step_failed', 'zero')
        if (count === 1) return [message.with('one')]
        return Array.from({ length: count === 2 ? 0 : 3 }, (_, i) => message.with(i).asPart(i))
      }
      const { gives, failures } = await run(
        dataflowOf(make),
        createMessages(lists.map((one) => ({ items: one }))),
        'out',
      )
      const whole = lists.filter((one) => !one.includes(0))
      const expected = whole.map((one) =>
        one.flatMap((item): unknown[] => (item === 1 ? ['one'] : item === 2 ? [] : [0, 1, 2])),
      )
      expect(gives.map((one) => (one as { out: unknown[] }).out)).toEqual(expected)
      expect(failures).toHaveLength(lists.length - whole.length)
      for (const [, error, step] of failures) expect([error, step]).toEqual(['zero', 'inner'])
    }),
  )
})

test('the items of all messages go through together, at most 1000 at a time', async () => {
  const sizes: number[] = []
  const lists = [700, 0, 1600].map((length) => ({ items: Array.from({ length }, (_, i) => i) }))
  const { gives } = await run(
    dataflowOf((message) => [message], sizes),
    createMessages(lists),
    'out',
  )
  expect(sizes).toEqual([1000, 1000, 300])
  expect(gives.map((one) => (one as { out: unknown[] }).out)).toEqual(lists.map((one) => one.items))
})

test('a long list gives others their turn after each 1000 items; a short one takes none', async () => {
  let turns = 0
  const seen: number[] = []
  const dataflow: Dataflow = {
    run(batch) {
      seen.push(turns)
      setImmediate(() => turns++)
      return batch
    },
  }
  const step = await each.create({ list: items, dataflow, collect: 'out' }, createTestContext())
  const lists = (...lengths: number[]) =>
    createMessages(lengths.map((length) => ({ items: Array.from({ length }, (_, i) => i) })))
  expect(runStepNow(step, lists(400, 0, 600)).gives.length).toBe(3)
  expect(seen.splice(0)).toEqual([0])
  await new Promise((resolve) => setImmediate(resolve))
  expect((await runStep(step, lists(4500))).gives).toEqual([
    { items: lists(4500)[0]!.msg.items, out: lists(4500)[0]!.msg.items },
  ])
  expect(seen).toEqual([1, 2, 3, 4, 5])
})

test('without collect the message itself goes on; each item has a key of its own', async () => {
  const keys: string[] = []
  const [message] = createMessages([{ items: ['a', 'b'] }])
  const step = await each.create(
    {
      list: items,
      dataflow: dataflowOf((item) => {
        keys.push(item.key)
        return []
      }),
    },
    createTestContext(),
  )
  expect((await runStep(step, [message!])).messages).toEqual([message])
  expect(keys.sort()).toEqual([`${message!.key}.0`, `${message!.key}.1`])
})

test('messages of several sources with the same sequence are told apart', async () => {
  const make = (message: Message) => (message.msg === 'bad' ? new SluiceError('step_failed', 'bad') : [message])
  const messages = [['bad'], ['good']].map((list) => createMessages([{ items: list }], { source: testSource() })[0]!)
  const { gives, failures } = await run(dataflowOf(make), messages)
  expect(gives).toEqual([{ items: ['good'] }])
  expect(failures).toEqual([[{ items: ['bad'] }, 'bad', 'inner']])
})

test('what is no list fails, and a failure of something unknown is passed on', async () => {
  const { gives, failures } = await run(
    dataflowOf(() => []),
    createMessages([{ items: 'text' }, {}, null, { items: [] }]),
  )
  expect(gives).toEqual([{ items: [] }])
  expect(failures.map(([, message]) => message)).toEqual([
    'each: the value is no list',
    'each: there is no list',
    'each: there is no list',
  ])
  const stranger = createMessages(['stranger'])[0]!
  const dataflow: Dataflow = {
    run(batch, inner) {
      inner.add(stranger, new SluiceError('step_failed', 'lost'))
      return batch
    },
  }
  expect((await run(dataflow, createMessages([{ items: [1] }]))).failures).toEqual([['stranger', 'lost', 'tested']])
})

test('one chance in an onError: an item that has had it has used that of the message', async () => {
  const info = { message: 'first', code: 'step_failed', step: 'x', retryable: false }
  const dataflow: Dataflow = {
    run(batch, failures) {
      for (const message of batch.messages)
        failures.add(message.withError(info), new SluiceError('step_failed', 'second'))
      return Batch.of([])
    },
  }
  const step = await each.create({ list: items, dataflow }, createTestContext())
  const { failures } = await runStep(step, createMessages([{ items: [1] }]))
  expect(failures[0]!.message.error).toEqual(info)
})
