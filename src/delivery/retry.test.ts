import { getEventListeners } from 'node:events'
import { describe, expect, test } from 'vitest'
import type { Batch } from '../contracts/batch.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Outcomes, Sink } from '../contracts/sink.ts'
import { createBatch } from '../testing/part-context.ts'
import { type RetryOptions, type RetryTiming, withRetry } from './retry.ts'

const busy = new SluiceError('storage_failed', 'locked', { retryable: true, hint: 'Unlock it.' })
const refused = new SluiceError('sink_failed', 'refused')

type Result = void | Outcomes | Promise<void | Outcomes>

/** A sink that answers each attempt from a list, or throws what stands there; what it was given is kept. */
function scripted(...results: (() => Result)[]) {
  const attempts: unknown[][] = []
  const batches: Batch[] = []
  let closed = 0
  const sink: Sink = {
    write(batch) {
      attempts.push(batch.messages.map(({ msg }) => msg))
      batches.push(batch)
      const result = results.shift()
      if (result === undefined) throw new Error('one attempt too many')
      return result()
    },
    close() {
      closed++
    },
  }
  return { sink, attempts, batches, closed: () => closed }
}

/** Time that passes only in waits, and at once. */
function fakeTiming(onWait: (total: number) => void = () => {}) {
  let time = 1000
  const waits: number[] = []
  const timing: RetryTiming = {
    now: () => time,
    async wait(milliseconds) {
      waits.push(milliseconds)
      time += milliseconds
      onWait(waits.length)
    },
    random: () => 0.999_999,
  }
  return { timing, waits, pass: (milliseconds: number) => (time += milliseconds) }
}

function options(given: Partial<RetryOptions> = {}): RetryOptions & { retries: [number, SluiceError, number][] } {
  const retries: [number, SluiceError, number][] = []
  const { timing } = fakeTiming()
  return {
    forMs: 10_000,
    step: 'store',
    signal: new AbortController().signal,
    onRetry: (...retry) => retries.push(retry),
    timing,
    ...given,
    retries,
  }
}

const fail = () => {
  throw busy
}

describe('withRetry', () => {
  test('leaves a delivery that works alone, without a promise more', () => {
    const { sink } = scripted(() => undefined)
    expect(withRetry(sink, options()).write(createBatch([1]))).toBeUndefined()
  })

  test('passes on what the sink says of each message when nothing may pass', async () => {
    const { sink } = scripted(
      () => [undefined, refused],
      async () => [undefined, refused],
    )
    const retrying = withRetry(sink, options())
    expect(retrying.write(createBatch([1, 2]))).toEqual([undefined, refused])
    expect(await retrying.write(createBatch([1, 2]))).toEqual([undefined, refused])
  })

  test('sends only those again that may pass, in their order', async () => {
    const { sink, attempts } = scripted(
      () => [busy, undefined, refused, busy, busy],
      async () => [undefined, busy, undefined],
      () => undefined,
    )
    const given = options()
    const outcomes = await withRetry(sink, given).write(createBatch(['a', 'b', 'c', 'd', 'e']))
    expect(attempts).toEqual([['a', 'b', 'c', 'd', 'e'], ['a', 'd', 'e'], ['d']])
    expect(outcomes).toEqual([undefined, undefined, refused, undefined, undefined])
    expect(given.retries).toEqual([
      [1, busy, 100],
      [2, busy, 100],
    ])
  })

  test('a throw, now or later, concerns every message', async () => {
    const { sink, attempts } = scripted(
      fail,
      async () => fail(),
      () => undefined,
    )
    expect(await withRetry(sink, options()).write(createBatch([1, 2]))).toEqual([undefined, undefined])
    expect(attempts).toEqual([
      [1, 2],
      [1, 2],
      [1, 2],
    ])
  })

  test('a batch that failed as a whole is sent as it is', async () => {
    const { sink, batches } = scripted(fail, () => undefined)
    const batch = createBatch([1, 2])
    await withRetry(sink, options()).write(batch)
    expect(batches).toEqual([batch, batch])
    expect(batches[1]).toBe(batch)
  })

  test('does not try what was refused for good', async () => {
    const thrown = new TypeError('a defect')
    const { sink, attempts } = scripted(
      () => Promise.reject(refused),
      () => {
        throw thrown
      },
    )
    const retrying = withRetry(sink, options())
    expect(await retrying.write(createBatch([1]))).toEqual([refused])
    expect(await retrying.write(createBatch([1]))).toEqual([
      expect.objectContaining({ code: 'sink_failed', cause: thrown, retryable: false }),
    ])
    expect(attempts).toHaveLength(2)
  })

  test('waits 100 ms, twice as long each time up to 5 s, and gives up when the time is over', async () => {
    const { timing, waits } = fakeTiming()
    const { sink, attempts } = scripted(...Array.from({ length: 30 }, () => fail))
    const outcomes = (await withRetry(sink, options({ forMs: 20_000, timing })).write(createBatch([1, 2]))) ?? []
    expect(waits).toEqual([100, 200, 400, 800, 1600, 3200, 5000, 5000, 3700])
    expect(attempts).toHaveLength(10)
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({
        code: 'sink_unavailable',
        message: 'store cannot deliver: locked (tried 10 times in 20s)',
        cause: busy,
        hint: 'Unlock it.',
        attempts: 10,
        retryable: true,
      })
    }
    expect(outcomes).toHaveLength(2)
  })

  test('waits 100 ms again when some of the messages have got through', async () => {
    const { timing, waits } = fakeTiming()
    const { sink } = scripted(
      fail,
      fail,
      fail,
      () => [undefined, busy, busy],
      () => [undefined, busy],
      fail,
      () => undefined,
    )
    expect(await withRetry(sink, options({ timing })).write(createBatch([1, 2, 3]))).toEqual([
      undefined,
      undefined,
      undefined,
    ])
    expect(waits).toEqual([100, 200, 400, 100, 100, 200])
  })

  test('does not try before the time that the destination asks for, also not at the end', async () => {
    const asks = (retryAfter: number) => new SluiceError('sink_unavailable', 'busy', { retryable: true, retryAfter })
    const { timing, waits } = fakeTiming()
    const { sink, attempts } = scripted(
      () => [asks(60_000), asks(4000), busy],
      () => [asks(4000), undefined],
      () => [asks(7000)],
    )
    const given = options({ timing })
    const outcomes = await withRetry(sink, given).write(createBatch(['a', 'b', 'c']))
    // The first holds its lane to the end: more messages at once would disregard the wish all the more.
    expect(waits).toEqual([4000, 4000, 2000])
    expect(attempts).toEqual([['a', 'b', 'c'], ['b', 'c'], ['b']])
    expect(given.retries.map(([attempt, , wait]) => [attempt, wait])).toEqual([
      [1, 4000],
      [2, 4000],
    ])
    expect(outcomes).toMatchObject([
      {
        code: 'sink_unavailable',
        attempts: 1,
        message: 'store cannot deliver: busy (tried once; it asks for a wait of 1m)',
      },
      { attempts: 3, message: 'store cannot deliver: busy (tried 3 times in 8s; it asks for a wait of 7s)' },
      undefined,
    ])
  })

  test('counts the time that attempts take', async () => {
    const { timing, waits, pass } = fakeTiming()
    const slow = () => {
      pass(6000)
      throw busy
    }
    const { sink, attempts } = scripted(fail, slow, slow)
    await withRetry(sink, options({ timing })).write(createBatch([1]))
    expect(attempts).toHaveLength(3)
    expect(waits).toEqual([100, 200])
  })

  test('tries again at most max times', async () => {
    const { sink, attempts } = scripted(fail, fail, fail)
    const [outcome] = (await withRetry(sink, options({ max: 2 })).write(createBatch([1]))) ?? []
    expect(attempts).toHaveLength(3)
    expect(outcome).toMatchObject({ code: 'sink_unavailable', attempts: 3 })
  })

  test('with no time at all gives up after the first attempt', async () => {
    const { sink } = scripted(fail)
    const [outcome] = (await withRetry(sink, options({ forMs: 0 })).write(createBatch([1]))) ?? []
    expect(outcome).toMatchObject({ code: 'sink_unavailable', message: 'store cannot deliver: locked (tried once)' })
  })

  test('a message that is refused for good on a later attempt keeps that error', async () => {
    const { sink } = scripted(
      () => [busy, busy],
      () => [refused, undefined],
    )
    expect(await withRetry(sink, options()).write(createBatch([1, 2]))).toEqual([refused, undefined])
  })

  test('ends its wait at once when the server stops, and leaves nothing behind', async () => {
    const stop = new AbortController()
    const { sink, attempts } = scripted(fail)
    const { timing: _, ...real } = options({ signal: stop.signal, forMs: 60_000 })
    // The real clock: the first wait may be 100 ms, the test takes as long as the abort.
    const waiting = Promise.withResolvers<void>()
    const written = withRetry(sink, { ...real, onRetry: () => waiting.resolve() }).write(createBatch([1]))
    await waiting.promise
    stop.abort()
    const [outcome] = (await written) ?? []
    expect(outcome).toMatchObject({
      code: 'sink_unavailable',
      message: 'store cannot deliver: locked (tried once, then the server stopped)',
      cause: busy,
    })
    expect(attempts).toHaveLength(1)
    expect(getEventListeners(stop.signal, 'abort')).toEqual([])
  })

  test('closes the sink', async () => {
    const { sink, closed } = scripted()
    await withRetry(sink, options()).close()
    expect(closed()).toBe(1)
  })
})

test('nothing is tried again once nobody waits for it', async () => {
  const over = new AbortController()
  const { timing } = fakeTiming((total) => {
    if (total === 2) over.abort()
  })
  const { sink, attempts } = scripted(...Array.from({ length: 3 }, () => () => [busy]))
  const outcomes = await withRetry(sink, options({ timing })).write(createBatch(['a']), over.signal)
  expect((outcomes as Outcomes)[0]).toMatchObject({ code: 'sink_unavailable' })
  expect(attempts).toHaveLength(2)
})
