import { DatabaseSync } from 'node:sqlite'
import { serialize } from 'node:v8'
import { crc32 } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { formatOf, QueueFile, take, textsOf } from '../../test/support/queue-file.ts'
import { changed } from '../../test/support/storage.ts'
import { Batch } from '../contracts/batch.ts'
import { SluiceError } from '../contracts/errors.ts'
import { Message } from '../contracts/message.ts'
import { createStorage } from '../storage/storage.ts'
import { createBatch, testSource } from '../testing/part-context.ts'
import { MemoryQueue } from './memory-queue.ts'
import { packBatch } from './packed-batch.ts'
import type { Queue } from './queue.ts'

let disk: QueueFile
beforeEach(() => {
  disk = new QueueFile()
})
afterEach(() => disk[Symbol.asyncDispose]())

describe.each([
  ['on disk', () => disk.open()],
  ['in memory', () => Promise.resolve(new MemoryQueue(disk.clock))],
])('%s', (_, open) => {
  test('entries come out in the order in which they went in, each once', async () => {
    const queue: Queue = await open()
    for (const letter of ['a', 'b', 'c']) await queue.add(createBatch([`${letter}1`, `${letter}2`]))
    expect(await take(queue)).toEqual(['a1', 'a2', 'b1', 'b2', 'c1', 'c2'])
    expect(await take(queue)).toEqual([])
    await queue.add(createBatch(['d']))
    expect(await take(queue)).toEqual(['d'])
    await queue.close()
  })

  test('adds that overlap keep the order of the calls', async () => {
    const queue: Queue = await open()
    const texts = Array.from({ length: 100 }, (_unused, i) => `m${i}`)
    await Promise.all(texts.map((one) => queue.add(createBatch([one]))))
    expect(await take(queue)).toEqual(texts)
    await queue.close()
  })

  test('so many messages are taken, but at least one entry', async () => {
    const queue: Queue = await open()
    await queue.add(createBatch(['a', 'b', 'c']))
    await queue.add(createBatch(['d']))
    expect(await take(queue, 2)).toEqual(['a', 'b', 'c'])
    expect(await take(queue, 2)).toEqual(['d'])
    await queue.close()
  })

  test('what waits is counted until it is settled', async () => {
    const queue: Queue = await open()
    expect([queue.messages, queue.bytes, queue.oldest]).toEqual([0, 0, 0])
    await queue.add(createBatch(['a']))
    await queue.add(createBatch(['b', 'c']))
    const [first] = await queue.take(1, 1, formatOf)
    expect(queue.messages).toBe(3)
    expect(queue.oldest).toBe(disk.clock.now())
    queue.settle(first!.id)
    expect(queue.messages).toBe(2)
    queue.settle((await queue.take(10, 1 << 20, formatOf)).at(-1)!.id)
    expect([queue.messages, queue.bytes, queue.oldest]).toEqual([0, 0, 0])
    await queue.close()
  })

  test('what was taken and not settled is given again', async () => {
    const queue: Queue = await open()
    for (const letter of ['a', 'b', 'c']) await queue.add(createBatch([letter]))
    queue.settle((await queue.take(1, 1, formatOf))[0]!.id)
    await queue.take(1, 1, formatOf)
    queue.giveBack()
    expect(await take(queue)).toEqual(['b', 'c'])
    await queue.close()
  })
})

describe('on disk', () => {
  test('what was not settled is there after the end, and only that', async () => {
    const queue = await disk.open()
    for (const letter of ['a', 'b', 'c']) await queue.add(createBatch([letter]))
    queue.settle((await queue.take(1, 1, formatOf))[0]!.id)
    await queue.close()
    const again = await disk.open()
    expect(again.messages).toBe(2)
    expect(again.oldest).toBe(disk.clock.now())
    expect(await take(again)).toEqual(['b', 'c'])
    await again.close()
  })

  const rows = (sql: string) => {
    const database = new DatabaseSync(disk.path, { readOnly: true })
    const found = database
      .prepare(sql)
      .all()
      .map((row) => Object.values(row))
    database.close()
    return found
  }

  test('what is added in one turn is one entry, up to a bound; a large batch is one of its own', async () => {
    const queue = await disk.open()
    const large = 'x'.repeat(300_000)
    const added = ['a', 'b', large, 'c'].map((one) => queue.add(createBatch([one])))
    const many = Array.from({ length: 30 }, (_, i) => queue.add(createBatch(Array.from({ length: 100 }, () => i))))
    await Promise.all([...added, ...many])
    await queue.add(createBatch(['later']))
    const counts = rows('SELECT messages FROM entries ORDER BY id').flat()
    expect(counts).toEqual([2, 1, 1001, 1000, 1000, 1])
    expect(queue.messages).toBe(3005)
    const take = () => queue.take(10_000, 1 << 24, formatOf)
    const texts: unknown[] = []
    for (let more = await take(); more.length > 0; more = await take()) texts.push(...textsOf(more))
    expect(texts.slice(0, 5)).toEqual(['a', 'b', large, 'c', 0])
    expect(texts).toHaveLength(3005)
    expect(texts.at(-1)).toBe('later')
    await queue.close()
  })

  test('a value that cannot be stored fails alone among what is added in the same turn', async () => {
    const queue = await disk.open()
    const results = await Promise.allSettled(['a', () => 1, 'b'].map((one) => queue.add(createBatch([one]))))
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(await take(queue)).toEqual(['a', 'b'])
    await queue.close()
  })

  test('what was added just before the end is stored', async () => {
    const queue = await disk.open()
    const added = queue.add(createBatch(['a']))
    await queue.close()
    await added
    const again = await disk.open()
    expect(await take(again)).toEqual(['a'])
    await again.close()
  })

  test('what is settled is deleted along with what is added next, or soon, or at once when it is much', async () => {
    const deletions: string[] = []
    const queue = await disk.open(
      'store',
      changed(disk.storage, (database) => ({
        write(sql, rows) {
          if (sql.startsWith('DELETE')) deletions.push(sql)
          return database.write(sql, rows)
        },
      })),
    )
    const settleAll = async () => queue.settle((await queue.take(1000, 1 << 20, formatOf)).at(-1)!.id)
    await queue.add(createBatch(['a']))
    await settleAll()
    await queue.add(createBatch(['b']))
    expect(deletions).toHaveLength(1)
    expect(rows('SELECT id FROM entries')).toEqual([[2]])
    await settleAll()
    await expect.poll(() => rows('SELECT id FROM entries')).toEqual([])
    await queue.add(createBatch(Array.from({ length: 128 }, () => 'c')))
    deletions.length = 0
    await settleAll()
    await Promise.resolve()
    expect(deletions).toHaveLength(1)
    await queue.close()
  })

  test('a file of layout 1 is taken over with what is in it', async () => {
    await (await disk.open()).close()
    const [{ client, boot, endpoint }, value] = [testSource(), Buffer.from('old')]
    const part = { frames: value, starts: Int32Array.of(0), ends: Int32Array.of(3), time: 1, sequence: 1 }
    const data = serialize([{ client, boot, endpoint, state: {}, parts: [part] }])
    const database = new DatabaseSync(disk.path)
    database
      .prepare("INSERT INTO entries (step, time, messages, bytes, crc, data) VALUES ('store', 1, 1, ?, ?, ?)")
      .run(data.length, crc32(data), data)
    database.exec('PRAGMA user_version = 1')
    database.close()
    const queue = await disk.open()
    await queue.add(createBatch(['new']))
    expect(await take(queue)).toEqual(['old', 'new'])
    await queue.close()
    expect(rows('PRAGMA user_version')).toEqual([[2]])
    expect(disk.damaged).toEqual([])
  })

  test('steps share the file and see nothing of each other', async () => {
    const [one, two] = [await disk.open('one'), await disk.open('two')]
    await Promise.all([one.add(createBatch(['1'])), two.add(createBatch(['2']))])
    const [first] = await one.take(1, 1, formatOf)
    expect(first!.batch.messages[0]!.msg).toBe('1')
    one.settle(first!.id)
    expect(await take(two)).toEqual(['2'])
    await Promise.all([one.close(), two.close()])
  })

  test('more than is kept in memory comes from the disk, in order and each once', async () => {
    const queue = await disk.open()
    const block = 'x'.repeat(100_000)
    const texts: unknown[] = []
    // Far more than the tail holds, added before, between and while what is there is taken.
    for (let i = 0; i < 120; i++) {
      await queue.add(createBatch([`${i} ${block}`]))
      if (i % 3 === 0) {
        const entries = await queue.take(2, 1 << 20, formatOf)
        texts.push(...textsOf(entries))
        queue.settle(entries.at(-1)!.id)
      }
    }
    for (
      let entries = await queue.take(7, 1 << 20, formatOf);
      entries.length > 0;
      entries = await queue.take(7, 1 << 20, formatOf)
    ) {
      texts.push(...textsOf(entries))
      queue.settle(entries.at(-1)!.id)
    }
    expect(texts).toEqual(Array.from({ length: 120 }, (_, i) => `${i} ${block}`))
    expect(queue.messages).toBe(0)
    await queue.close()
  })

  test('a damaged entry is put aside with its bytes; those around it are delivered', async () => {
    const queue = await disk.open()
    for (const letter of ['a', 'b', 'c']) await queue.add(createBatch([letter]))
    await queue.close()
    await disk.storage.close()
    const database = new DatabaseSync(disk.path)
    database.exec(
      "UPDATE entries SET data = zeroblob(length(data)) WHERE id = 2; UPDATE entries SET data = x'00', crc = 3523407757 WHERE id = 3",
    )
    database.close()
    disk.storage = createStorage()
    const again = await disk.open()
    await again.add(createBatch(['d']))
    expect(await take(again)).toEqual(['a', 'd'])
    expect(disk.damaged).toHaveLength(2)
    expect(disk.damaged[0]).toContain('entry 2')
    await again.close()
    await disk.storage.close()
    const kept = new DatabaseSync(disk.path, { readOnly: true })
      .prepare('SELECT id, detail FROM damaged ORDER BY id')
      .all()
    expect(kept.map(({ id }) => id)).toEqual([2, 3])
    disk.storage = createStorage()
  })

  test('a value that cannot be stored fails for good', async () => {
    const queue = await disk.open()
    await expect(queue.add(createBatch([() => 1]))).rejects.toMatchObject({ code: 'sink_failed', retryable: false })
    await queue.close()
  })

  test('a file of a newer version is not touched', async () => {
    const database = new DatabaseSync(disk.path)
    database.exec('PRAGMA user_version = 99')
    database.close()
    await expect(disk.open()).rejects.toThrow('were written by a newer version of Sluice (layout 99)')
  })

  function change(sql: string): void {
    const database = new DatabaseSync(disk.path)
    database.exec(sql)
    database.close()
  }

  test('gives what stands before an entry that cannot be put aside now, instead of deleting it undelivered', async () => {
    const before = await disk.open()
    for (const letter of ['a', 'b', 'c']) await before.add(createBatch([letter]))
    await before.close()
    // The checksum is right, so it shows only when its turn has come, behind a and b.
    change(`UPDATE entries SET data = x'00', crc = ${crc32(Buffer.of(0))} WHERE id = 3`)
    let full = 1
    const queue = await disk.open(
      'store',
      changed(disk.storage, (database) => ({
        async write(sql, rows) {
          if (sql.includes('INTO damaged') && full-- > 0) throw new SluiceError('storage_failed', 'the disk is full')
          return database.write(sql, rows)
        },
      })),
    )
    const given: unknown[] = []
    for (let tries = 0; tries < 3; tries++) {
      const entries = await queue.take(100, 1 << 20, formatOf).catch(() => [])
      given.push(...textsOf(entries))
      if (entries.length > 0) queue.settle(entries.at(-1)!.id)
    }
    await queue.add(createBatch(['d']))
    await queue.add(createBatch(['e']))
    const entries = await queue.take(100, 1 << 20, formatOf)
    given.push(...textsOf(entries))
    if (entries.length > 0) queue.settle(entries.at(-1)!.id)
    expect(given).toEqual(['a', 'b', 'd', 'e'])
    await queue.close()
  })

  test('comes to an end of reading after a damaged last entry and a change of the reader', async () => {
    const queue = await disk.open()
    for (const letter of ['a', 'b']) await queue.add(createBatch([letter]))
    change('UPDATE entries SET data = zeroblob(length(data)) WHERE id = 2')
    queue.giveBack()
    const entries = await queue.take(100, 1 << 20, formatOf)
    expect(textsOf(entries)).toEqual(['a'])
    if (entries.length > 0) queue.settle(entries.at(-1)!.id)
    expect(await queue.take(100, 1 << 20, formatOf)).toEqual([])
    queue.giveBack()
    const taken = queue.take(100, 1 << 20, formatOf).catch(() => 'never')
    const late = new Promise((resolve) => setTimeout(resolve, 1000, 'still reading'))
    expect(await Promise.race([taken, late])).toEqual([])
  })

  test('of an entry whose bytes are fewer than it says nothing waits any more', async () => {
    const before = await disk.open()
    await before.add(createBatch(['a'.repeat(1000)]))
    await before.close()
    change("UPDATE entries SET data = x'00'")
    const queue = await disk.open()
    expect([await take(queue), queue.messages, queue.bytes]).toEqual([[], 0, 0])
    await queue.close()
  })

  test('reads no more than it was asked for into memory, also where large entries have many small ones behind them', async () => {
    await (await disk.open()).close()
    const database = new DatabaseSync(disk.path)
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
    const queue = await disk.open(
      'store',
      changed(disk.storage, (database) => ({
        async all(sql, parameters) {
          const rows = await database.all(sql, parameters)
          const bytes = rows.map((row) => (row['data'] as Uint8Array | undefined)?.length ?? 0)
          most = Math.max(
            most,
            bytes.reduce((sum, length) => sum + length, 0),
          )
          return rows
        },
      })),
    )
    await queue.take(1024, 1 << 20, formatOf)
    expect(most).toBeLessThan(8 << 20)
    await queue.close()
  })

  test('tells since when its oldest entry waits while that is being read', async () => {
    const queue = await disk.open()
    expect(await take(queue)).toEqual([])
    await queue.add(createBatch(['a']))
    disk.clock.advance(3_600_000)
    await queue.add(createBatch(['x'.repeat(1_100_000)]))
    const since = disk.clock.now()
    queue.settle((await queue.take(1, 1, formatOf))[0]!.id)
    expect(queue.oldest).toBe(since)
    await queue.close()
  })

  test('tells since when its oldest entry waits, also after a change of the reader', async () => {
    const queue = await disk.open()
    for (const letter of ['a', 'b']) await queue.add(createBatch([letter]))
    queue.settle((await queue.take(1, 1, formatOf))[0]!.id)
    queue.giveBack()
    expect(queue.messages).toBe(1)
    expect(queue.oldest).toBe(disk.clock.now())
    await queue.close()
  })
})

describe('in memory', () => {
  test('no read is held for a small frame', async () => {
    const queue = new MemoryQueue(disk.clock)
    const read = Buffer.alloc(65_536)
    await queue.add(Batch.of([new Message('x', testSource(), 'message', 1, 1, read, 0, 100, undefined)]))
    const [entry] = await queue.take(1, 1, formatOf)
    expect(entry!.batch.messages[0]!.raw.buffer.byteLength).toBeLessThan(16_384)
    expect(queue.bytes).toBeLessThan(2000)
  })

  test('values that are larger than their frames count', async () => {
    const queue = new MemoryQueue(disk.clock)
    const [message] = createBatch(['a']).messages
    for (let i = 0; i < 10; i++) await queue.add(Batch.of([message!.with(Buffer.alloc(1 << 20))]))
    expect(queue.bytes).toBeGreaterThan(10 << 20)
  })

  test('a message keeps the state that its connection had when it was queued', async () => {
    const queue = new MemoryQueue(disk.clock)
    const source = testSource()
    source.state['n'] = 1
    await queue.add(createBatch(['a'], { source }))
    source.state['n'] = 2
    const [entry] = await queue.take(1, 1, formatOf)
    expect(entry!.batch.messages[0]!.state).toEqual({ n: 1 })
  })
})
