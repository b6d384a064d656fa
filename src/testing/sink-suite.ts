import assert from 'node:assert/strict'
import type { Batch } from '../contracts/batch.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Outcomes, Sink } from '../contracts/sink.ts'
import type { Check } from './check.ts'
import { createBatch } from './part-context.ts'

/** A sink with a destination of its own, made for one check. */
export interface SinkUnderTest {
  readonly sink: Sink
  /**
   * The messages that have been delivered so far, oldest first, as the texts that were their values. A destination that
   * learns of them late waits until there are `count`.
   */
  received(count: number): Promise<readonly string[]>
  /** Frees what the check used. The sink is closed already. */
  cleanup?(): Promise<void>
}

export interface SinkSuiteOptions<Tested extends SinkUnderTest> {
  create(): Promise<Tested>
  /** Makes deliveries fail until its result is called. Absent where a test cannot do that. */
  fail?(tested: Tested): Promise<() => Promise<void>>
  /** A value that the sink cannot write. Absent where there is none. */
  readonly unprintable?: { readonly value: unknown }
}

/** The checks that every sink passes: what was confirmed is there, and what failed is not. */
export function sinkSuite<Tested extends SinkUnderTest>(options: SinkSuiteOptions<Tested>): Check[] {
  const { create, fail, unprintable } = options
  const check = (name: string, body: (tested: Tested) => Promise<void>): Check => ({
    name,
    async run() {
      const tested = await create()
      try {
        await body(tested)
      } finally {
        await tested.sink.close()
        await tested.cleanup?.()
      }
    },
  })
  const checks = [
    check('what was confirmed has been delivered', confirmsWhatIsDelivered),
    check('batches that follow each other keep their order', keepsOrder),
    check('overlapping writes are all delivered, each in its order', overlaps),
    check('an empty batch is finished', async ({ sink, received }) => {
      assert.deepEqual(errorsOf(createBatch([]), await sink.write(createBatch([]))), [])
      assert.deepEqual(await received(0), [])
    }),
    check('close waits for what is begun', closesLate),
    check('closing twice does no harm', async ({ sink }) => {
      await sink.write(createBatch(['a']))
      await Promise.all([sink.close(), sink.close()])
      await sink.close()
    }),
    check('a closed sink refuses to write', async ({ sink }) => {
      await sink.close()
      await assert.rejects(async () => sink.write(createBatch(['a'])), SluiceError)
    }),
  ]
  if (fail !== undefined) {
    checks.push(
      check('a failure fails its own writes and leaves nothing behind', (tested) =>
        failsCleanly(tested, () => fail(tested)),
      ),
    )
  }
  if (unprintable !== undefined) {
    const { value } = unprintable
    checks.push(
      check('a message that cannot be written fails alone', (tested) => failsAlone(tested, value)),
      check('a batch of nothing but such messages delivers nothing', (tested) => failsTogether(tested, value)),
    )
  }
  return checks
}

async function confirmsWhatIsDelivered({ sink, received }: SinkUnderTest): Promise<void> {
  const batch = createBatch(['a', 'b', 'c'])
  assert.deepEqual(errorsOf(batch, await sink.write(batch)), [undefined, undefined, undefined])
  assert.deepEqual(await received(3), ['a', 'b', 'c'])
}

async function keepsOrder({ sink, received }: SinkUnderTest): Promise<void> {
  const texts = Array.from({ length: 60 }, (_, i) => `m${i}`)
  for (let i = 0; i < texts.length; i += 2) await sink.write(createBatch(texts.slice(i, i + 2)))
  assert.deepEqual(await received(texts.length), texts)
}

async function overlaps({ sink, received }: SinkUnderTest): Promise<void> {
  const batches = Array.from({ length: 40 }, (_, i) => [`${i}-first`, `${i}-second`, `${i}-third`])
  await Promise.all(batches.map(async (texts) => sink.write(createBatch(texts))))
  const all = await received(120)
  assert.equal(all.length, 120)
  for (const texts of batches)
    assert.deepEqual(
      all.filter((text) => texts.includes(text)),
      texts,
    )
}

async function closesLate({ sink, received }: SinkUnderTest): Promise<void> {
  const texts = Array.from({ length: 10 }, (_, i) => `m${i}`)
  let confirmed = 0
  const writes = texts.map(async (text) => {
    await sink.write(createBatch([text]))
    confirmed++
  })
  await sink.close()
  await Promise.all(writes)
  assert.equal(confirmed, texts.length)
  assert.deepEqual(await received(texts.length), texts)
}

async function failsCleanly(
  { sink, received }: SinkUnderTest,
  fail: () => Promise<() => Promise<void>>,
): Promise<void> {
  await sink.write(createBatch(['before']))
  await received(1)
  const restore = await fail()
  const writes = ['x', 'y'].map(async (text) => sink.write(createBatch([text])))
  for (const result of await Promise.allSettled(writes)) {
    assert.equal(result.status, 'rejected', 'a write that failed was confirmed')
    assert.ok(result.reason instanceof SluiceError)
    assert.match(result.reason.code, /^sink_/)
  }
  await restore()
  await sink.write(createBatch(['after']))
  assert.deepEqual(await received(2), ['before', 'after'])
}

async function failsAlone({ sink, received }: SinkUnderTest, unprintable: unknown): Promise<void> {
  const batch = createBatch<unknown>(['a', unprintable, 'b'])
  const [, mixed] = await Promise.all([
    sink.write(createBatch(['first'])),
    sink.write(batch),
    sink.write(createBatch(['last'])),
  ])
  const [a, bad, b] = errorsOf(batch, mixed)
  assert.ok(bad instanceof SluiceError, 'the message has no error')
  assert.equal(bad.retryable, false)
  assert.deepEqual([a, b], [undefined, undefined])
  assert.deepEqual([...(await received(4))].sort(), ['a', 'b', 'first', 'last'])
}

async function failsTogether({ sink, received }: SinkUnderTest, unprintable: unknown): Promise<void> {
  const batch = createBatch([unprintable, unprintable])
  for (const error of errorsOf(batch, await sink.write(batch))) assert.ok(error instanceof SluiceError)
  await sink.write(createBatch(['a']))
  assert.deepEqual(await received(1), ['a'])
}

/** The outcome of each message. */
function errorsOf(batch: Batch, outcomes: void | Outcomes): Outcomes {
  const errors = outcomes ?? new Array<undefined>(batch.length).fill(undefined)
  assert.equal(errors.length, batch.length, 'there must be one outcome for each message')
  return errors
}
