import { describe, expect, test } from 'vitest'
import { heapInUse } from '../../test/support/garbage.ts'
import { down, formatOf, gate, refused, setUp, turn } from '../../test/support/sink-buffer.ts'
import { SluiceError } from '../contracts/errors.ts'
import { createBatch, createTestClock } from '../testing/part-context.ts'
import type { Delivery } from './deliverer.ts'

describe('a buffer', () => {
  test('has finished when its queue has the message, and delivers behind that, in order', async () => {
    const { open, deliver } = gate()
    const { buffered, all, until, counters } = setUp({}, deliver)
    for (const text of ['a', 'b', 'c']) expect(await buffered.write(createBatch([text]))).toBeUndefined()
    expect(all()).toEqual([])
    expect(counters).toMatchObject({ messages: 3, stored: 3, delivered: 0 })
    open()
    await until(() => counters.delivered === 3)
    expect(all()).toEqual(['a', 'b', 'c'])
    expect(counters).toMatchObject({ messages: 0, bytes: 0, oldest: 0 })
    await buffered.close()
  })

  test('joins what waits', async () => {
    const { open, deliver } = gate()
    const { buffered, delivered, until, counters } = setUp({}, deliver)
    await buffered.write(createBatch(['first']))
    await turn()
    for (const text of ['a', 'b', 'c']) await buffered.write(createBatch([text]))
    open()
    await until(() => counters.delivered === 4)
    expect(delivered).toEqual([['first'], ['a', 'b', 'c']])
    await buffered.close()
  })

  test('on disk tries again for as long as it takes, whatever retry.for says', async () => {
    let left = 500
    const { buffered, all, until, counters, told } = setUp({}, () => {
      if (left-- > 0) throw down
    })
    await buffered.write(createBatch(['a']))
    await until(() => counters.delivered === 1)
    expect(all()).toEqual(['a'])
    expect(told.filter((name) => name === 'sink.retried')).toHaveLength(500)
    await buffered.close()
  })

  test('gives up what is refused for good, and only that', async () => {
    const { buffered, all, failed, until, counters } = setUp({}, (texts) =>
      texts.map((text) => (text === 'bad' ? refused : undefined)),
    )
    await buffered.write(createBatch(['a', 'bad', 'b']))
    await until(() => counters.delivered === 2 && counters.failed === 1)
    expect(all()).toEqual(['a', 'b'])
    expect(failed).toEqual(['bad: sink_failed'])
    await buffered.close()
  })

  test('gives up what is older than maxAge, without trying', async () => {
    const { open, deliver } = gate()
    const { buffered, all, failed, until, clock, counters } = setUp({ maxAge: 1000 }, deliver)
    await buffered.write(createBatch(['under way']))
    await turn()
    await buffered.write(createBatch(['old']))
    clock.advance(1001)
    await buffered.write(createBatch(['new']))
    open()
    await until(() => counters.delivered === 2)
    expect(all()).toEqual(['under way', 'new'])
    expect(failed).toEqual(['old: buffer_expired'])
    await buffered.close()
  })
})

describe('a full buffer', () => {
  const block = 'x'.repeat(1000)

  test('holds its senders back until it is emptier by far', async () => {
    const { open, deliver } = gate()
    const { buffered, told, counters, until } = setUp({ maxSize: 5000 }, deliver)
    let finished = 0
    const writes = Array.from({ length: 10 }, async () => {
      await buffered.write(createBatch([block]))
      finished++
    })
    await until(() => told.includes('buffer.filled'))
    for (let i = 0; i < 20; i++) await turn()
    const before = finished
    expect(before).toBeLessThan(10)
    open()
    await Promise.all(writes)
    await until(() => counters.delivered === 10)
    expect(told.filter((name) => name.startsWith('buffer.'))).toContain('buffer.emptied')
    await buffered.close()
  })

  test('keeps nothing of its looks, however long a sender waits', async () => {
    let looks = 0
    const wait = async () => {
      if (++looks % 100 === 0) await turn()
    }
    const { queueing, delivery, late } = setUp(
      { kind: 'memory', maxSize: 10, timing: { now: () => 0, random: () => 0, wait } },
      () => new Promise(() => {}),
    )
    await queueing.write(createBatch([block]), delivery.buffer)
    const blocked = queueing.write(createBatch([block]), delivery.buffer).catch(() => {})
    const heapAfter = async (count: number) => {
      while (looks < count) await turn()
      return heapInUse()
    }
    const before = await heapAfter(10_000)
    expect((await heapAfter(110_000)) - before).toBeLessThan(100_000 * 32)
    late.abort()
    await blocked
  })

  test('stores nothing that nobody waits for any more: what came behind it is stored already', async () => {
    const looked = Promise.withResolvers<boolean>()
    let looks = 0
    const { queueing, delivery, all, until } = setUp({
      hasRoom: () => (looks++ === 0 ? looked.promise : Promise.resolve(true)),
    })
    const over = new AbortController()
    const first = queueing.write(createBatch(['1']), delivery.buffer, over.signal)
    await turn()
    over.abort()
    await queueing.write(createBatch(['2']), delivery.buffer)
    looked.resolve(true)
    await expect(first).rejects.toThrow('nobody waited for it any more')
    await queueing.write(createBatch(['3']), delivery.buffer)
    await until(() => all().includes('3'))
    expect(all()).toEqual(['2', '3'])
  })

  test('drops and counts where it is told to', async () => {
    const { open, deliver } = gate()
    const { buffered, counters, all, until } = setUp({ maxSize: 2500, whenFull: 'drop' }, deliver)
    for (const letter of ['a', 'b', 'c', 'd'])
      expect(await buffered.write(createBatch([letter + block]))).toBeUndefined()
    expect(counters).toMatchObject({ stored: 2, dropped: 2 })
    open()
    await until(() => counters.delivered === 2)
    expect(all().map((text) => text[0])).toEqual(['a', 'b'])
    await buffered.close()
  })

  test('fails the message where it is told to', async () => {
    const { open, deliver } = gate()
    const { buffered } = setUp({ maxSize: 500, whenFull: 'error' }, deliver)
    await buffered.write(createBatch([block]))
    await expect(buffered.write(createBatch([block]))).rejects.toMatchObject({ code: 'buffer_full', retryable: true })
    open()
    await buffered.close()
  })
})

describe('storing', () => {
  test('is tried again when the reason may pass: the sender waits', async () => {
    const { buffered, queue, told, counters, until } = setUp()
    const add = queue.add.bind(queue)
    let left = 3
    queue.add = (batch) =>
      left-- > 0 ? Promise.reject(new SluiceError('storage_failed', 'full', { retryable: true })) : add(batch)
    await buffered.write(createBatch(['a']))
    expect(told.filter((name) => name === 'buffer.blocked')).toHaveLength(3)
    await until(() => counters.delivered === 1)
    await buffered.close()
  })

  test('fails a message that cannot be stored, and not its neighbours', async () => {
    const { buffered, queue, counters, all, until } = setUp()
    const add = queue.add.bind(queue)
    queue.add = (batch) => (batch.messages.some(({ msg }) => msg === 'bad') ? Promise.reject(refused) : add(batch))
    expect(await buffered.write(createBatch(['a', 'bad', 'b']))).toEqual([undefined, refused, undefined])
    await until(() => counters.delivered === 2)
    expect(all()).toEqual(['a', 'b'])
    await buffered.close()
  })
})

test('of a batch that is stored message by message nothing is begun once nobody waits for it: it has failed already', async () => {
  const { buffered, queue, until, all } = setUp()
  const add = queue.add.bind(queue)
  const over = new AbortController()
  queue.add = async (batch) => {
    if (batch.length > 1) throw refused
    await add(batch)
    over.abort()
  }
  expect(await buffered.write(createBatch(['a', 'b', 'c']), over.signal)).toMatchObject([
    undefined,
    { code: 'sink_unavailable' },
    { code: 'sink_unavailable' },
  ])
  await until(() => all().length > 0)
  await buffered.close()
  expect(all()).toEqual(['a'])
})

test('what cannot be read for a moment is delivered afterwards, whether more comes or not', async () => {
  const { buffered, queue, told, counters, all, until } = setUp()
  const take = queue.take.bind(queue)
  let left = 3
  queue.take = (...limits) => (left-- > 0 ? Promise.reject(new SluiceError('storage_failed', 'busy')) : take(...limits))
  await buffered.write(createBatch(['a']))
  await until(() => counters.delivered === 1)
  expect(all()).toEqual(['a'])
  expect(told.filter((name) => name === 'buffer.blocked')).toHaveLength(3)
  await buffered.close()
})

test('a defect on the way to the sink is told and tried again, and ends nothing else', async () => {
  const { buffered, queue, told, counters, until } = setUp()
  const settle = queue.settle.bind(queue)
  let left = 2
  queue.settle = (upTo) => {
    if (left-- > 0) throw new TypeError('a defect')
    settle(upTo)
  }
  await buffered.write(createBatch(['a']))
  await until(() => counters.delivered === 1)
  expect(told.filter((name) => name === 'buffer.blocked')).toHaveLength(2)
  await buffered.close()
})

describe('the end', () => {
  test('of a memory buffer waits until all is delivered', async () => {
    const { open, deliver } = gate()
    const { buffered, all, sink } = setUp({ kind: 'memory' }, deliver)
    for (const text of ['a', 'b']) await buffered.write(createBatch([text]))
    const closing = buffered.close()
    open()
    await closing
    expect(all()).toEqual(['a', 'b'])
    expect(sink.closed).toBe(true)
  })

  test('of a disk buffer leaves what could not be delivered where it is', async () => {
    const { buffered, queue, told, until, failed } = setUp({}, () => {
      throw down
    })
    await buffered.write(createBatch(['a']))
    await until(() => told.includes('sink.retried'))
    await buffered.close()
    expect(failed).toEqual([])
    expect(queue.messages).toBe(1)
    expect((await queue.take(10, 1000, formatOf)).flatMap(({ batch }) => batch.messages.map(({ msg }) => msg))).toEqual(
      ['a'],
    )
  })

  test('of the server ends a memory buffer that cannot deliver', async () => {
    const { buffered, late } = setUp({ kind: 'memory' }, () => {
      throw down
    })
    await buffered.write(createBatch(['a']))
    const closing = buffered.close()
    late.abort()
    await closing
  })
})

test('a message is given up when it is older than maxAge itself, not when the oldest of its batch is', async () => {
  const clock = createTestClock()
  const wait = async (milliseconds: number) => {
    clock.advance(milliseconds)
    await turn()
  }
  const back = clock.now() + 79_000
  const timing = { now: () => clock.now(), wait, random: () => 0.5 }
  const { buffered, all, failed, until, counters } = setUp({ maxAge: 60_000, clock, timing }, (texts) => {
    if (clock.now() < back) return texts.map(() => down)
  })
  await buffered.write(createBatch(['old']))
  while (clock.now() < back - 20_000) await turn()
  await buffered.write(createBatch(['young']))
  await until(() => counters.delivered + counters.failed === 2)
  expect({ delivered: all(), failed }).toEqual({ delivered: ['young'], failed: ['old: sink_unavailable'] })
  await buffered.close()
})

test.each([
  ['forward', 5 * 3_600_000],
  ['back', -5 * 3_600_000],
])('a clock that is set %s while messages wait expires none of them, and delays no attempt', async (_, shift) => {
  let steady = 0
  let set = 0
  const base = createTestClock()
  const clock = { ...base, now: () => base.now() + steady + set }
  const waits: number[] = []
  const wait = async (milliseconds: number) => {
    waits.push(milliseconds)
    steady += milliseconds
    await turn()
  }
  const timing = { now: () => steady, wait, random: () => 0.5 }
  const { buffered, all, failed, until, counters } = setUp({ maxAge: 60_000, clock, timing }, (texts) => {
    if (steady < 40_000) return texts.map(() => down)
  })
  await buffered.write(createBatch(['under way']))
  while (steady < 10_000) await turn()
  await buffered.write(createBatch(['before']))
  set = shift
  await buffered.write(createBatch(['after']))
  await until(() => counters.delivered + counters.failed === 3)
  expect({ delivered: all(), failed }).toEqual({ delivered: ['under way', 'before', 'after'], failed: [] })
  expect(Math.max(...waits)).toBeLessThanOrEqual(5000)
  await buffered.close()
})

test('a sink whose answer makes no sense fails its messages and nothing else', async () => {
  const { buffered, failed, until } = setUp({}, () => ({ ok: true }) as never)
  await buffered.write(createBatch(['a']))
  await until(() => failed.length === 1)
  expect(failed).toEqual(['a: internal'])
  await buffered.close()
})

describe('another delivery', () => {
  test('goes on where the one before has stopped, and is not held up by an attempt that hangs', async () => {
    const { queueing, delivery, buffered, counters, until } = setUp({}, () => new Promise(() => {}))
    await buffered.write(createBatch(['a']))
    await turn()
    const seen: unknown[] = []
    const next: Delivery = {
      ...delivery,
      sink: {
        write({ messages }) {
          seen.push(...messages.map(({ msg }) => msg))
        },
        close() {},
      },
    }
    queueing.use(next)
    await buffered.write(createBatch(['b']))
    await until(() => counters.delivered === 2)
    expect(seen).toEqual(['a', 'b'])
    // The old one is not in use any more, so its end ends nothing.
    await queueing.leave(delivery)
    await queueing.leave(next)
  })

  test('makes room in a buffer that is full because the one before could not deliver', async () => {
    const { queueing, delivery, buffered, told, counters, until } = setUp({ maxSize: 500 }, () => {
      throw down
    })
    await buffered.write(createBatch(['x'.repeat(1000)]))
    const held = buffered.write(createBatch(['y']))
    await until(() => told.includes('buffer.filled'))
    queueing.use({ ...delivery, sink: { write() {}, close() {} } })
    await held
    await until(() => counters.delivered === 2)
  })
})

test('what cannot become a dead letter stays where it is, with what is behind it', async () => {
  let unkept: number | undefined = 2
  const { queueing, delivery, buffered, queue, counters, until } = setUp()
  queueing.use({
    ...delivery,
    sink: {
      write() {
        throw refused
      },
      close() {},
    },
    settle: () => Promise.resolve(unkept),
  })
  for (const value of ['a', 'b', 'c']) await buffered.write(createBatch([value]))
  for (let i = 0; i < 20; i++) await turn()
  expect([queue.messages, counters.failed]).toEqual([2, 1])
  unkept = undefined
  await until(() => counters.failed === 3)
  expect(queue.messages).toBe(0)
})
