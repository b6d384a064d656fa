import assert from 'node:assert/strict'
import { expect, test } from 'vitest'
import { collected } from '../../test/support/garbage.ts'
import { Batch } from '../contracts/batch.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Batching, Outcomes, Sink } from '../contracts/sink.ts'
import { createBatch } from '../testing/part-context.ts'
import { withMerging } from './merging.ts'

/** A sink whose writes finish when the test says so. */
class GatedSink implements Sink {
  readonly writes: {
    readonly texts: readonly string[]
    finish(outcomes?: Outcomes): void
    fail(error: Error): void
  }[] = []
  closed = false

  write(batch: Batch): Promise<void | Outcomes> {
    const { promise, resolve, reject } = Promise.withResolvers<void | Outcomes>()
    this.writes.push({ texts: textsOf(batch), finish: resolve, fail: reject })
    return promise
  }

  close(): void {
    this.closed = true
  }

  /** The texts of each write so far. */
  get seen(): string[] {
    return this.writes.map(({ texts }) => texts.join(' '))
  }
}

function textsOf(batch: Batch): string[] {
  return batch.messages.map(({ msg }) => String(msg))
}

function merge(sink: Sink, options: Partial<Batching> = {}): Sink {
  return withMerging(sink, { maxBatch: 100, maxWait: 0, maxInFlight: 1, ...options })
}

const refused = (text: string) => new SluiceError('sink_failed', text)

test('a write that finds nothing under way goes on at once; what comes meanwhile is joined', async () => {
  const sink = new GatedSink()
  const merged = merge(sink)
  const first = merged.write(createBatch(['a']))
  const others = [merged.write(createBatch(['b', 'c'])), merged.write(createBatch(['d']))]
  assert.deepEqual(sink.seen, ['a'])
  sink.writes[0]!.finish()
  await first
  assert.deepEqual(sink.seen, ['a', 'b c d'])
  sink.writes[1]!.finish()
  assert.deepEqual(await Promise.all(others), [undefined, undefined])
})

test('the end of who waits is told to the sink where there is one alone', async () => {
  const told: (boolean | undefined)[] = []
  const gate = Promise.withResolvers<void>()
  const sink: Sink = {
    async write(batch, over) {
      if (textsOf(batch).includes('first')) await gate.promise
      told.push(over?.aborted)
    },
    close() {},
  }
  const merged = merge(sink)
  const over = new AbortController()
  const first = merged.write(createBatch(['first']), over.signal)
  over.abort()
  const others = ['a', 'b'].map((text) => merged.write(createBatch([text]), new AbortController().signal))
  gate.resolve()
  await Promise.all([first, ...others])
  assert.deepEqual(told, [true, undefined])
  await merged.close()
})

test('each message keeps its own outcome', async () => {
  const sink = new GatedSink()
  const merged = merge(sink)
  const first = merged.write(createBatch(['a']))
  const second = merged.write(createBatch(['b', 'c']))
  const third = merged.write(createBatch(['d']))
  const [c, d] = [refused('c'), refused('d')]
  sink.writes[0]!.finish()
  await first
  sink.writes[1]!.finish([undefined, c, d])
  assert.deepEqual(await second, [undefined, c])
  assert.deepEqual(await third, [d])
})

test('a write is split at maxBatch, and its parts follow each other', async () => {
  const sink = new GatedSink()
  const merged = merge(sink, { maxBatch: 2, maxInFlight: 4 })
  const long = merged.write(createBatch(['1', '2', '3', '4', '5']))
  const other = merged.write(createBatch(['x']))
  assert.deepEqual(sink.seen, ['1 2', 'x'])
  const three = refused('3')
  sink.writes[0]!.finish()
  sink.writes[1]!.finish()
  await other
  assert.deepEqual(sink.seen, ['1 2', 'x', '3 4'])
  sink.writes[2]!.finish([three, undefined])
  await new Promise(setImmediate)
  assert.deepEqual(sink.seen, ['1 2', 'x', '3 4', '5'])
  sink.writes[3]!.finish()
  assert.deepEqual(await long, [undefined, undefined, three, undefined, undefined])
})

test('what waits behind a failure that may pass fails with it, so that it does not overtake', async () => {
  const sink = new GatedSink()
  const merged = merge(sink, { maxBatch: 2, maxInFlight: 4 })
  const long = merged.write(createBatch(['1', '2', '3', '4']))
  const other = merged.write(createBatch(['x', 'y', 'z']))
  const down = new SluiceError('sink_unavailable', 'down', { retryable: true })
  sink.writes[0]!.fail(down)
  assert.deepEqual(await long, [down, down, down, down])
  sink.writes[1]!.finish([refused('x'), undefined])
  await new Promise(setImmediate)
  assert.deepEqual(sink.seen, ['1 2', 'x y', 'z'])
  sink.writes[2]!.finish()
  await other
})

test('when a write is narrowed down and a half fails in a way that may pass, the other half is not sent', async () => {
  const down = new SluiceError('sink_unavailable', 'down', { retryable: true })
  const seen: string[] = []
  const merged = merge({
    write(batch) {
      seen.push(textsOf(batch).join(' '))
      throw batch.length === 4 ? refused('one of them') : down
    },
    close() {},
  })
  assert.deepEqual(await merged.write(createBatch(['a', 'b', 'c', 'd'])), [down, down, down, down])
  assert.deepEqual(seen, ['a b c d', 'a b'])
})

test('at most maxInFlight writes are under way', () => {
  const sink = new GatedSink()
  const merged = merge(sink, { maxInFlight: 2 })
  for (const text of ['a', 'b', 'c', 'd']) void merged.write(createBatch([text]))
  assert.deepEqual(sink.seen, ['a', 'b'])
})

test('a refusal for good is narrowed down to the message that is to blame', async () => {
  const accepted: string[] = []
  const merged = merge({
    write(batch) {
      const texts = textsOf(batch)
      if (texts.includes('bad')) throw refused(`bad among ${texts.length}`)
      accepted.push(...texts)
    },
    close() {},
  })
  const outcomes = await merged.write(createBatch(['a', 'b', 'bad', 'c', 'd']))
  assert.deepEqual(
    (outcomes as Outcomes).map((error) => error?.message),
    [undefined, undefined, 'bad among 1', undefined, undefined],
  )
  assert.deepEqual(accepted, ['a', 'b', 'c', 'd'])
})

test('a failure that may pass is not narrowed down: all of the batch may be tried again', async () => {
  const sink = new GatedSink()
  const merged = merge(sink)
  const write = merged.write(createBatch(['a', 'b']))
  const down = new SluiceError('sink_unavailable', 'down', { retryable: true })
  sink.writes[0]!.fail(down)
  assert.deepEqual(await write, [down, down])
  assert.equal(sink.writes.length, 1)
})

test('with maxWait a write waits for others, until it is full', async () => {
  const sink = new GatedSink()
  const merged = merge(sink, { maxBatch: 3, maxWait: 60_000 })
  void merged.write(createBatch(['a']))
  void merged.write(createBatch(['b']))
  assert.deepEqual(sink.seen, [])
  void merged.write(createBatch(['c']))
  assert.deepEqual(sink.seen, ['a b c'])
})

test('with maxWait a write that is not full goes on when its time is over', async () => {
  const sink = new GatedSink()
  const merged = merge(sink, { maxWait: 5 })
  const write = merged.write(createBatch(['a']))
  while (sink.writes.length === 0) await new Promise((resolve) => setTimeout(resolve, 1))
  sink.writes[0]!.finish()
  await write
})

test('what waits when nobody waits for it any more is not sent, also the rest of a write under way', async () => {
  const sink = new GatedSink()
  const merged = merge(sink, { maxBatch: 2 })
  const [long, short] = [new AbortController(), new AbortController()]
  const first = merged.write(createBatch(['1', '2', '3']), long.signal)
  const second = merged.write(createBatch(['a']), short.signal)
  const third = merged.write(createBatch(['b']))
  long.abort()
  short.abort()
  expect((await second) as Outcomes).toMatchObject([{ code: 'step_timeout' }])
  sink.writes[0]!.finish()
  expect((await first) as Outcomes).toMatchObject([undefined, undefined, { code: 'step_timeout' }])
  sink.writes[1]!.finish()
  assert.equal(await third, undefined)
  assert.deepEqual(sink.seen, ['1 2', 'b'])
})

test('nothing of a write stays with a signal that lives on', async () => {
  const merged = withMerging({ write: () => undefined, close() {} }, { maxBatch: 2, maxWait: 0, maxInFlight: 1 })
  const { signal } = new AbortController()
  const written = new WeakRef(createBatch(['a', 'b', 'c']).messages)
  await merged.write(Batch.of(written.deref()!), signal)
  await collected(written)
  assert.equal(signal.aborted, false)
})

test('close has nothing to wait for when the last that waited was given up', async () => {
  const sink = new GatedSink()
  const merged = merge(sink, { maxBatch: 1, maxWait: 60_000 })
  const over = new AbortController()
  const first = merged.write(createBatch(['a']))
  const second = merged.write(createBatch(['b']), over.signal)
  over.abort()
  expect((await second) as Outcomes).toMatchObject([{ code: 'step_timeout' }])
  const closing = merged.close()
  sink.writes[0]!.finish()
  await first
  await closing
  assert.deepEqual(sink.seen, ['a'])
})

test('close does not wait for company, and closes the sink when all is delivered', async () => {
  const sink = new GatedSink()
  const merged = merge(sink, { maxWait: 60_000 })
  const write = merged.write(createBatch(['a']))
  const closing = merged.close()
  assert.deepEqual(sink.seen, ['a'])
  assert.equal(sink.closed, false)
  sink.writes[0]!.finish()
  await write
  await closing
  assert.equal(sink.closed, true)
})

test('a half that says nothing of its messages fails them, and shifts no blame', async () => {
  const merged = merge({
    write({ messages }) {
      if (messages.length > 1) throw refused('bad')
      return messages[0]!.msg === 'bad' ? [refused('bad')] : []
    },
    close() {},
  })
  const outcomes = (await merged.write(createBatch(['a', 'bad']))) as Outcomes
  expect(outcomes.map((error) => error?.code)).toEqual(['internal', 'sink_failed'])
})
