import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Batch } from '../contracts/batch.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Sink } from '../contracts/sink.ts'
import type { Storage } from '../contracts/storage.ts'
import { text } from '../formats/text.ts'
import { createStorage } from '../storage/storage.ts'
import { createBatch, createTestClock } from '../testing/part-context.ts'
import { DiskQueue } from './disk-queue.ts'
import { MAX_MESSAGES } from './queue.ts'
import { DEATHS, type Suspicion } from './suspects.ts'

const formatOf = () => text.create({ encoding: 'utf-8' })
const clock = createTestClock()

let folder: string
let file: string
let storage: Storage
beforeEach(() => {
  storage = createStorage()
  folder = mkdtempSync(join(tmpdir(), 'sluice-suspects-'))
  file = join(folder, 'buffers.db')
})
afterEach(async () => {
  await storage.close()
  rmSync(folder, { recursive: true })
})

/** Another run of the server. One that is never closed has died. */
async function open(step = 'store'): Promise<{ queue: DiskQueue; suspicion: Suspicion | undefined }> {
  let suspicion: Suspicion | undefined
  const onSuspected = (given: Suspicion) => {
    suspicion = given
  }
  const queue = new DiskQueue(storage, { file, step, clock, onDamaged() {}, onSuspected })
  await queue.open()
  return { queue, suspicion }
}

async function add(queue: DiskQueue, ...writes: string[][]): Promise<void> {
  for (const texts of writes) await queue.add(createBatch(texts))
}

/** Opens it so often that what waits is suspected. */
async function suspect(): Promise<DiskQueue> {
  for (let i = 0; i < DEATHS - 1; i++) await open()
  const { queue, suspicion } = await open()
  expect(suspicion).toEqual({ deaths: DEATHS, blamed: 0 })
  return queue
}

const textsOf = (batch: Batch) => batch.messages.map(({ msg }) => msg)

/** A destination that does what the test says with each message. */
function sinkOf(
  deliver: (text: unknown) => SluiceError | undefined | Promise<undefined>,
): Sink & { given: unknown[][] } {
  const given: unknown[][] = []
  return {
    given,
    async write(batch) {
      given.push(textsOf(batch))
      const error = await deliver(batch.messages[0]!.msg)
      return error && [error]
    },
    close() {},
  }
}

/** Delivers the next entry as a buffer does. */
async function deliver(queue: DiskQueue, sink: Sink, over?: AbortSignal) {
  const suspects = queue.suspects!
  const [entry] = await queue.take(1, 1 << 20, formatOf)
  const outcomes = await suspects.guard(sink, entry!).write(entry!.batch, over)
  return { entry: entry!, outcomes, codes: (outcomes ?? []).map((error) => error?.code) }
}

function marks(): unknown[] {
  using database = new DatabaseSync(file, { readOnly: true })
  return database
    .prepare('SELECT step, entry, place FROM suspects')
    .all()
    .map((row) => ({ ...row }))
}

describe('nothing is suspected', () => {
  test('after a clean end, however often the head is the same', async () => {
    const { queue } = await open()
    await add(queue, ['a'])
    await queue.close()
    for (let i = 0; i < 2 * DEATHS; i++) {
      const { queue: next, suspicion } = await open()
      expect(suspicion).toBeUndefined()
      expect(next.suspects).toBeUndefined()
      await next.close()
    }
  })

  test('while the head is another each time, or there is none', async () => {
    const { queue } = await open()
    await add(queue, ['a'], ['b'], ['c'], ['d'], ['e'])
    for (let id = 1; id <= 5; id++) {
      const { queue: next, suspicion } = await open()
      expect(suspicion).toBeUndefined()
      next.settle(id)
      await next.reusable()
    }
    for (let i = 0; i < DEATHS; i++) expect((await open()).suspicion).toBeUndefined()
  })

  test('because another step of the file is', async () => {
    const { queue } = await open()
    await add(queue, ['a'])
    await suspect()
    expect((await open('other')).suspicion).toBeUndefined()
  })
})

describe('what is suspected', () => {
  test('is what one delivery can have begun with, and nothing behind it', async () => {
    const { queue } = await open()
    const many = Array.from({ length: MAX_MESSAGES - 1 }, (_, i) => `${i}`)
    await add(queue, many, ['last', 'more'], ['behind'])
    const next = await suspect()
    for (let i = 0; i < 2; i++) {
      expect(next.suspects).toBeDefined()
      await next.take(1, 1 << 20, formatOf)
    }
    expect(next.suspects).toBeUndefined()
    next.giveBack()
    expect(next.suspects).toBeDefined()
  })

  test('is delivered one by one and in order, each with a mark on the disk while it is under way', async () => {
    const { queue } = await open()
    await add(queue, ['a', 'b'], ['c'])
    const next = await suspect()
    const seen: unknown[] = []
    const sink = sinkOf((text) => {
      seen.push([text, ...marks()])
      return undefined
    })
    await deliver(next, sink)
    await deliver(next, sink)
    expect(sink.given).toEqual([['a'], ['b'], ['c']])
    expect(seen).toEqual([
      ['a', { step: 'store', entry: 1, place: 0 }],
      ['b', { step: 'store', entry: 1, place: 1 }],
      ['c', { step: 'store', entry: 2, place: 0 }],
    ])
    expect(marks()).toEqual([])
  })

  test('and was under way when the process died is given up in the next run, and no other', async () => {
    const { queue } = await open()
    await add(queue, ['a', 'poison', 'c'])
    const dying = await suspect()
    const reached = Promise.withResolvers<void>()
    void deliver(
      dying,
      sinkOf((text) => {
        if (text !== 'poison') return undefined
        reached.resolve()
        return new Promise(() => {})
      }),
    )
    await reached.promise
    const { queue: next, suspicion } = await open()
    expect(suspicion).toEqual({ deaths: DEATHS + 1, blamed: 1 })
    const sink = sinkOf(() => undefined)
    const { entry, codes } = await deliver(next, sink)
    expect(codes).toEqual([undefined, 'process_died', undefined])
    expect(sink.given).toEqual([['a'], ['c']])
    // It is remembered until it is dealt with, also across a clean end.
    await next.close()
    const { queue: again, suspicion: still } = await open()
    expect(still).toMatchObject({ blamed: 1 })
    again.settle(entry.id)
    await again.close()
    expect(marks()).toEqual([])
  })

  test('is marked by its place in the whole entry, also when a part of that is dealt with', async () => {
    const { queue } = await open()
    await add(queue, ['a', 'b'])
    const next = await suspect()
    next.note((await next.take(1, 1, formatOf))[0]!.id, [0])
    next.giveBack()
    let marked: unknown
    const sink = sinkOf(() => {
      marked = marks()
      return undefined
    })
    await deliver(next, sink)
    expect(sink.given).toEqual([['b']])
    expect(marked).toMatchObject([{ place: 1 }])
  })

  test('and fails in a way that may pass holds back what is behind it, and keeps no mark', async () => {
    const { queue } = await open()
    await add(queue, ['a', 'b', 'c'])
    const next = await suspect()
    const down = new SluiceError('sink_unavailable', 'down', { retryable: true })
    const sink = sinkOf((text) => (text === 'b' ? down : undefined))
    expect((await deliver(next, sink)).codes).toEqual([undefined, 'sink_unavailable', 'sink_unavailable'])
    expect(sink.given).toEqual([['a'], ['b']])
    expect(marks()).toEqual([])
  })

  test('and is refused for good, or makes the sink throw, fails alone', async () => {
    const { queue } = await open()
    await add(queue, ['a', 'b', 'c'])
    const next = await suspect()
    const sink = sinkOf((text) => {
      if (text === 'a') throw new Error('a defect')
      return text === 'b' ? new SluiceError('sink_failed', 'no') : undefined
    })
    expect((await deliver(next, sink)).codes).toEqual(['sink_failed', 'sink_failed', undefined])
  })

  test('is not delivered any more when nobody waits for it', async () => {
    const { queue } = await open()
    await add(queue, ['a', 'b', 'c'])
    const next = await suspect()
    const over = new AbortController()
    const sink = sinkOf(() => {
      over.abort()
      return undefined
    })
    expect((await deliver(next, sink, over.signal)).codes).toEqual([undefined, 'step_timeout', 'step_timeout'])
    expect(sink.given).toEqual([['a']])
  })

  test('and was under way at a clean end is not blamed', async () => {
    const { queue } = await open()
    await add(queue, ['a'])
    const next = await suspect()
    const reached = Promise.withResolvers<void>()
    void deliver(
      next,
      sinkOf(() => {
        reached.resolve()
        return new Promise(() => {})
      }),
    )
    await reached.promise
    expect(marks()).toHaveLength(1)
    await next.close()
    expect(marks()).toEqual([])
    expect((await open()).suspicion).toBeUndefined()
  })
})

test('what cannot be marked is not delivered, and is tried again', async () => {
  const { queue } = await open()
  await add(queue, ['a'])
  const next = await suspect()
  using database = new DatabaseSync(file)
  database.exec('DROP TABLE suspects')
  const sink = sinkOf(() => undefined)
  const { outcomes } = await deliver(next, sink)
  expect(outcomes).toMatchObject([{ code: 'storage_failed', retryable: true }])
  expect(sink.given).toEqual([])
})
