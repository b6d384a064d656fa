import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { crc32 } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { BufferCounters } from '../contracts/counters.ts'
import type { BufferOptions } from '../contracts/delivery.ts'
import { SluiceError } from '../contracts/errors.ts'
import { createEvents } from '../contracts/events.ts'
import { Batch, Message } from '../contracts/message.ts'
import type { Sink } from '../contracts/sink.ts'
import type { Database, Storage } from '../contracts/storage.ts'
import { text } from '../formats/text.ts'
import { createStorage } from '../storage/storage.ts'
import { createBatch, createTestClock, testSource } from '../testing/part-context.ts'
import { BufferedSink } from './buffered-sink.ts'
import { DiskQueue } from './disk-queue.ts'
import { MemoryQueue } from './memory-queue.ts'
import { withMerging } from './merging.ts'
import { packBatch } from './packed-batch.ts'
import type { Entry, Queue } from './queue.ts'

const utf8 = text.create({ encoding: 'utf-8' })
const formatOf = () => utf8
const down = new SluiceError('sink_unavailable', 'down', { retryable: true })
const refused = new SluiceError('sink_failed', 'refused')
const textsOf = (entries: readonly Entry[]) => entries.flatMap(({ batch }) => batch.messages.map(({ msg }) => msg))
const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

describe('a disk queue', () => {
  const clock = createTestClock()
  let folder: string
  let file: string
  let storage: Storage
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sluice-defects-'))
    file = join(folder, 'buffers.db')
    storage = createStorage()
  })
  afterEach(async () => {
    await storage.close()
    rmSync(folder, { recursive: true })
  })

  async function open(on: Storage = storage): Promise<DiskQueue> {
    const queue = new DiskQueue(on, { file, step: 'store', clock, onDamaged: () => {} })
    await queue.open()
    ;(await queue.read(formatOf))()
    return queue
  }

  function change(sql: string): void {
    const database = new DatabaseSync(file)
    database.exec(sql)
    database.close()
  }

  test('gives what stands before an entry that cannot be put aside now, instead of deleting it undelivered', async () => {
    const before = await open()
    for (const letter of ['a', 'b', 'c']) await before.add(createBatch([letter]))
    await before.close()
    // The checksum is right, so it shows only when its turn has come, behind a and b.
    change(`UPDATE entries SET data = x'00', crc = ${crc32(Buffer.of(0))} WHERE id = 3`)
    let full = 1
    const queue = await open(
      watched(storage, (sql) => {
        if (sql.includes('INTO damaged') && full-- > 0) throw new SluiceError('storage_failed', 'the disk is full')
      }),
    )
    const given: unknown[] = []
    for (let tries = 0; tries < 3; tries++) {
      const entries = await queue.take(100, 1 << 20).catch(() => [])
      given.push(...textsOf(entries))
      queue.settle(entries)
    }
    await queue.add(createBatch(['d']))
    await queue.add(createBatch(['e']))
    const entries = await queue.take(100, 1 << 20)
    given.push(...textsOf(entries))
    queue.settle(entries)
    expect(given).toEqual(['a', 'b', 'd', 'e'])
    await queue.close()
  })

  test('comes to an end of reading after a damaged last entry and a change of the reader', async () => {
    const queue = await open()
    for (const letter of ['a', 'b']) await queue.add(createBatch([letter]))
    change('UPDATE entries SET data = zeroblob(length(data)) WHERE id = 2')
    queue.giveBack()
    const entries = await queue.take(100, 1 << 20)
    expect(textsOf(entries)).toEqual(['a'])
    queue.settle(entries)
    expect(await queue.take(100, 1 << 20)).toEqual([])
    queue.giveBack()
    const taken = queue.take(100, 1 << 20).catch(() => 'never')
    const late = new Promise((resolve) => setTimeout(resolve, 1000, 'still reading'))
    expect(await Promise.race([taken, late])).toEqual([])
  })

  test('reads no more than it was asked for into memory, also where large entries have many small ones behind them', async () => {
    await (await open()).close()
    const database = new DatabaseSync(file)
    const insert = database.prepare(
      "INSERT INTO entries (step, time, messages, bytes, crc, data) VALUES ('store', 1, 1, ?, ?, ?)",
    )
    const [small, large] = [packBatch(createBatch(['x'])), packBatch(createBatch(['x'.repeat(1 << 19)]))]
    database.exec('BEGIN')
    for (let i = 0; i < 100; i++) insert.run(large.length, crc32(large), large)
    for (let i = 0; i < 30_000; i++) insert.run(small.length, crc32(small), small)
    database.exec('COMMIT')
    database.close()
    let most = 0
    const queue = await open(
      watched(
        storage,
        () => {},
        (rows) => {
          most = Math.max(
            most,
            rows.reduce((sum, row) => sum + ((row['data'] as Uint8Array | undefined)?.length ?? 0), 0),
          )
        },
      ),
    )
    queue.settle(await queue.take(1024, 1 << 20))
    expect(most).toBeLessThan(8 << 20)
    await queue.close()
  })

  test('tells since when its oldest entry waits, also after a change of the reader', async () => {
    const queue = await open()
    for (const letter of ['a', 'b']) await queue.add(createBatch([letter]))
    queue.settle(await queue.take(1, 1))
    queue.giveBack()
    expect(queue.messages).toBe(1)
    expect(queue.oldest).toBe(clock.now())
    await queue.close()
  })
})

/** A real storage whose statements and rows a test may look at, or refuse. */
function watched(
  storage: Storage,
  look: (sql: string) => void,
  read: (rows: Awaited<ReturnType<Database['all']>>) => void = () => {},
): Storage {
  return {
    async open(file) {
      const database = await storage.open(file)
      return {
        exec: (sql) => database.exec(sql),
        async write(sql, rows) {
          look(sql)
          return database.write(sql, rows)
        },
        insert: (sql, rows) => database.insert(sql, rows),
        async all(sql, parameters) {
          const rows = await database.all(sql, parameters)
          read(rows)
          return rows
        },
        close: () => database.close(),
      }
    },
    close: () => storage.close(),
  }
}

describe('a memory queue', () => {
  test('counts the memory that its messages hold: the whole read of a small frame', async () => {
    const queue = new MemoryQueue(createTestClock())
    const source = testSource()
    let held = 0
    for (let i = 0; i < 100; i++) {
      // What a filter leaves of a read of 64 KiB.
      const read = Buffer.alloc(65_536)
      held += read.length
      await queue.add(Batch.of([new Message('x', source, 'message', 1, i + 1, read, 0, 100, undefined, undefined)]))
    }
    expect(queue.bytes).toBeGreaterThan(held / 4)
  })

  test('counts the memory that its messages hold: values that are larger than their frames', async () => {
    const queue = new MemoryQueue(createTestClock())
    const [message] = createBatch(['a']).messages
    for (let i = 0; i < 10; i++) await queue.add(Batch.of([message!.with(Buffer.alloc(1 << 20))]))
    expect(queue.bytes).toBeGreaterThan(1 << 20)
  })
})

describe('a buffered sink', () => {
  function setUp(sink: Sink, given: Partial<BufferOptions>, queue: Queue, clock = createTestClock()) {
    const counters: BufferCounters = {
      step: 'store',
      endpoint: 'test',
      kind: 'disk',
      messages: 0,
      bytes: 0,
      oldest: 0,
      stored: 0,
      delivered: 0,
      dropped: 0,
      failed: 0,
    }
    const failed: string[] = []
    const buffered = new BufferedSink(sink, queue, {
      buffer: { kind: 'disk', maxSize: 1 << 20, maxAge: 0, whenFull: 'wait', ...given },
      counters,
      clock,
      events: createEvents(() => {}),
      formatOf,
      retry: {
        forMs: 10_000,
        step: 'store',
        signal: new AbortController().signal,
        onRetry: () => {},
        timing: {
          now: () => clock.now(),
          async wait(milliseconds) {
            clock.advance(milliseconds)
            await turn()
          },
          random: () => 0.5,
        },
      },
      settle(all) {
        failed.push(...all.map(({ message }) => String(message.msg)))
        return Promise.resolve()
      },
    })
    return { buffered, counters, failed }
  }

  test('gives up a message when it is older than maxAge itself, not when the oldest of its batch is', async () => {
    const clock = createTestClock()
    const queue = new MemoryQueue(clock)
    await queue.add(createBatch(['old']))
    clock.advance(59_000)
    await queue.add(createBatch(['young']))
    const back = clock.now() + 20_000
    const delivered: unknown[] = []
    const sink: Sink = {
      write(batch) {
        if (clock.now() < back) throw down
        delivered.push(...batch.messages.map(({ msg }) => msg))
      },
      close() {},
    }
    const { buffered, counters, failed } = setUp(sink, { maxAge: 60_000 }, queue, clock)
    while (counters.delivered + counters.failed < 2) await turn()
    expect({ delivered, failed }).toEqual({ delivered: ['young'], failed: ['old'] })
    await buffered.close()
  })

  test('is not ended, with the process, by a sink whose answer makes no sense', async () => {
    const answer = { ok: true } as never
    const { buffered } = setUp(
      { write: () => Promise.resolve(answer), close() {} },
      {},
      new MemoryQueue(createTestClock()),
    )
    await buffered.write(createBatch(['a']))
    await expect(buffered.close()).resolves.toBeUndefined()
  })
})

describe('merging', () => {
  test('blames the right message when a sink tells nothing of the half that it has delivered', async () => {
    const delivered: unknown[] = []
    const sink: Sink = {
      async write({ messages }) {
        if (messages.length > 1) throw refused
        if (messages[0]!.msg === 'bad') return [refused]
        delivered.push(messages[0]!.msg)
        return []
      },
      close() {},
    }
    const merged = withMerging(sink, { maxBatch: 10, maxWait: 0, maxInFlight: 1 })
    const outcomes = await merged.write(createBatch(['a', 'bad']))
    expect(delivered).toEqual(['a'])
    expect(outcomes).toEqual([undefined, refused])
  })
})
