import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { down, formatOf, gate, refused, setUp, turn } from '../../test/support/sink-buffer.ts'
import type { Sink } from '../contracts/sink.ts'
import { createBatch, createTestClock } from '../testing/part-context.ts'
import type { Delivery } from './deliverer.ts'
import type { MemoryQueue } from './memory-queue.ts'

describe('what a destination has confirmed of an entry', () => {
  /** Another destination that takes everything. */
  function taking(delivery: Delivery) {
    const seen: string[] = []
    const sink: Sink = {
      write({ messages }) {
        seen.push(...messages.map(({ msg }) => String(msg)))
      },
      close() {},
    }
    return { seen, next: { ...delivery, sink } }
  }
  const textsOf = async (queue: MemoryQueue) =>
    (await queue.take(100, 1 << 20, formatOf)).flatMap(({ batch }) => batch.messages.map(({ msg }) => msg))

  test('is not delivered again by another delivery, nor what is confirmed behind it', async () => {
    const { open, deliver } = gate()
    const { queueing, delivery, buffered, all, told, counters, until } = setUp({}, async (texts) => {
      await deliver()
      return texts.map((text) => (text.endsWith('!') ? undefined : down))
    })
    await buffered.write(createBatch(['under way!']))
    await turn()
    await buffered.write(createBatch(['a!', 'b', 'c!', 'd']))
    await buffered.write(createBatch(['e!', 'f!']))
    open()
    await until(() => told.includes('sink.retried'))
    const { seen, next } = taking(delivery)
    queueing.use(next)
    await until(() => counters.delivered === 7)
    expect([all(), seen]).toEqual([
      ['under way!', 'a!', 'c!', 'e!', 'f!'],
      ['b', 'd'],
    ])
    expect(counters).toMatchObject({ messages: 0, bytes: 0, stored: 7, failed: 0 })
    await queueing.leave(next)
  })

  test('is known at an end, also when a later attempt hangs', async () => {
    const hanging = Promise.withResolvers<void>()
    let attempts = 0
    const { buffered, queue, counters, late } = setUp({}, (texts) => {
      if (++attempts === 1) return texts.map((text) => (text === 'b' ? down : undefined))
      hanging.resolve()
      return new Promise(() => {})
    })
    await buffered.write(createBatch(['a', 'b', 'c']))
    await hanging.promise
    late.abort()
    await buffered.close()
    expect(counters).toMatchObject({ messages: 1, delivered: 2 })
    expect(await textsOf(queue)).toEqual(['b'])
  })

  test('is known when it comes after all before the end, however long an attempt takes', async () => {
    const { open, deliver } = gate()
    const { buffered, queueing, delivery, queue, counters, late } = setUp({}, async (texts) => {
      await deliver()
      return texts.map((text) => (text === 'b' ? down : undefined))
    })
    await buffered.write(createBatch(['a', 'b', 'c']))
    await turn()
    late.abort()
    await queueing.leave(delivery)
    expect(queue.messages).toBe(3)
    open()
    while (queue.messages === 3) await turn()
    expect(counters).toMatchObject({ messages: 1, delivered: 2 })
    expect(await textsOf(queue)).toEqual(['b'])
  })

  test('is not delivered again while a neighbour cannot become a dead letter', async () => {
    const { queueing, delivery, buffered, queue, counters, until } = setUp()
    const seen: string[] = []
    let isFull = true
    queueing.use({
      ...delivery,
      sink: {
        write({ messages }) {
          seen.push(...messages.map(({ msg }) => String(msg)))
          return messages.map(({ msg }) => (msg === 'bad' ? refused : undefined))
        },
        close() {},
      },
      settle: ([first]) => Promise.resolve(isFull ? first!.entry : undefined),
    })
    await buffered.write(createBatch(['a', 'bad', 'b']))
    await until(() => seen.filter((text) => text === 'bad').length > 5)
    expect(queue.messages).toBe(1)
    isFull = false
    await until(() => counters.failed === 1)
    expect(seen.filter((text) => text !== 'bad')).toEqual(['a', 'b'])
    expect(counters).toMatchObject({ messages: 0, delivered: 2 })
  })

  test('does not expire with what is left of it', async () => {
    const clock = createTestClock()
    const { queueing, delivery, buffered, failed, told, counters, until } = setUp({ maxAge: 60_000, clock }, (texts) =>
      texts.map((text) => (text === 'b' ? down : undefined)),
    )
    await buffered.write(createBatch(['a', 'b']))
    await until(() => told.includes('sink.retried'))
    clock.advance(60_000)
    queueing.use({ ...delivery })
    await until(() => counters.failed === 1)
    expect(failed).toEqual([expect.stringMatching(/^b: /)])
    expect(counters).toMatchObject({ messages: 0, delivered: 1 })
  })

  test('is delivered once, whatever it refuses and however often the delivery changes', async () => {
    const writes = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 5 })
    const refusals = fc.array(fc.boolean(), { maxLength: 40 })
    const changes = fc.uniqueArray(fc.integer({ min: 1, max: 8 }))
    await fc.assert(
      fc.asyncProperty(writes, refusals, changes, async (sizes, refuses, changesAt) => {
        let attempts = 0
        const { queueing, delivery, buffered, queue, all, counters, until } = setUp({}, (texts) => {
          if (changesAt.includes(++attempts)) {
            current = { ...delivery }
            queueing.use(current)
          }
          return texts.map(() => (refuses.pop() ? down : undefined))
        })
        let current = delivery
        const given = sizes.map((size, write) => Array.from({ length: size }, (_, i) => `${write}.${i}`))
        for (const texts of given) await buffered.write(createBatch(texts))
        await until(() => counters.delivered >= given.flat().length)
        await turn()
        expect(all().sort()).toEqual(given.flat().sort())
        expect([queue.messages, queue.bytes, counters.delivered]).toEqual([0, 0, given.flat().length])
        await queueing.leave(current)
      }),
    )
  })
})
