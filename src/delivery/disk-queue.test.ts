import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Storage } from '../contracts/storage.ts'
import { text } from '../formats/text.ts'
import { createStorage } from '../storage/storage.ts'
import { createBatch, createTestClock } from '../testing/part-context.ts'
import { DiskQueue } from './disk-queue.ts'
import { MemoryQueue } from './memory-queue.ts'
import type { Entry, Queue } from './queue.ts'

const utf8 = text.create({ encoding: 'utf-8' })
const clock = createTestClock()
const formatOf = () => utf8

let folder: string
let file: string
let storage: Storage
const damaged: string[] = []
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-queue-'))
  file = join(folder, 'buffers.db')
  storage = createStorage()
  damaged.length = 0
})
afterEach(async () => {
  await storage.close()
  rmSync(folder, { recursive: true })
})

async function openDisk(step = 'store'): Promise<DiskQueue> {
  const onDamaged = (detail: string) => damaged.push(detail)
  const queue = new DiskQueue(storage, { file, step, clock, onDamaged })
  await queue.open()
  // Whoever reads says how; it need not read on.
  ;(await queue.read(formatOf))()
  return queue
}

const textsOf = (entries: readonly Entry[]) => entries.flatMap(({ batch }) => batch.messages.map(({ msg }) => msg))
const take = async (queue: Queue, messages = 1000) => textsOf(await queue.take(messages, 1 << 20))

describe.each([
  ['on disk', openDisk],
  ['in memory', () => Promise.resolve(new MemoryQueue(clock))],
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
    const [first] = await queue.take(1, 1)
    expect(queue.messages).toBe(3)
    expect(queue.oldest).toBe(clock.now())
    queue.settle([first!])
    expect(queue.messages).toBe(2)
    queue.settle(await queue.take(10, 1 << 20))
    expect([queue.messages, queue.bytes, queue.oldest]).toEqual([0, 0, 0])
    await queue.close()
  })

  test('what was taken and not settled is given again', async () => {
    const queue: Queue = await open()
    for (const letter of ['a', 'b', 'c']) await queue.add(createBatch([letter]))
    queue.settle(await queue.take(1, 1))
    await queue.take(1, 1)
    queue.giveBack()
    expect(await take(queue)).toEqual(['b', 'c'])
    await queue.close()
  })

  test('one reads at a time', async () => {
    const queue: Queue = await open()
    const order: string[] = []
    const end = await queue.read(formatOf)
    const second = queue.read(formatOf).then((release) => {
      order.push('second')
      release()
    })
    order.push('first')
    end()
    await second
    expect(order).toEqual(['first', 'second'])
    await queue.close()
  })
})

describe('on disk', () => {
  test('what was not settled is there after the end, and only that', async () => {
    const queue = await openDisk()
    for (const letter of ['a', 'b', 'c']) await queue.add(createBatch([letter]))
    queue.settle(await queue.take(1, 1))
    await queue.close()
    const again = await openDisk()
    expect(again.messages).toBe(2)
    expect(again.oldest).toBe(clock.now())
    expect(await take(again)).toEqual(['b', 'c'])
    await again.close()
  })

  test('steps share the file and see nothing of each other', async () => {
    const [one, two] = [await openDisk('one'), await openDisk('two')]
    await Promise.all([one.add(createBatch(['1'])), two.add(createBatch(['2']))])
    expect(await take(one)).toEqual(['1'])
    one.settle(await one.take(1, 1))
    expect(await take(two)).toEqual(['2'])
    await Promise.all([one.close(), two.close()])
  })

  test('more than is kept in memory comes from the disk, in order and each once', async () => {
    const queue = await openDisk()
    const block = 'x'.repeat(100_000)
    const texts: unknown[] = []
    // Far more than the tail holds, added before, between and while what is there is taken.
    for (let i = 0; i < 120; i++) {
      await queue.add(createBatch([`${i} ${block}`]))
      if (i % 3 === 0) {
        const entries = await queue.take(2, 1 << 20)
        texts.push(...textsOf(entries))
        queue.settle(entries)
      }
    }
    for (let entries = await queue.take(7, 1 << 20); entries.length > 0; entries = await queue.take(7, 1 << 20)) {
      texts.push(...textsOf(entries))
      queue.settle(entries)
    }
    expect(texts).toEqual(Array.from({ length: 120 }, (_, i) => `${i} ${block}`))
    expect(queue.messages).toBe(0)
    await queue.close()
  })

  test('a damaged entry is put aside with its bytes; those around it are delivered', async () => {
    const queue = await openDisk()
    for (const letter of ['a', 'b', 'c']) await queue.add(createBatch([letter]))
    await queue.close()
    await storage.close()
    const database = new DatabaseSync(file)
    database.exec(
      "UPDATE entries SET data = zeroblob(length(data)) WHERE id = 2; UPDATE entries SET data = x'00', crc = 3523407757 WHERE id = 3",
    )
    database.close()
    storage = createStorage()
    const again = await openDisk()
    await again.add(createBatch(['d']))
    expect(await take(again)).toEqual(['a', 'd'])
    expect(damaged).toHaveLength(2)
    expect(damaged[0]).toContain('entry 2')
    await again.close()
    await storage.close()
    const kept = new DatabaseSync(file, { readOnly: true }).prepare('SELECT id, detail FROM damaged ORDER BY id').all()
    expect(kept.map(({ id }) => id)).toEqual([2, 3])
    storage = createStorage()
  })

  test('a value that cannot be stored fails for good', async () => {
    const queue = await openDisk()
    await expect(queue.add(createBatch([() => 1]))).rejects.toMatchObject({ code: 'sink_failed', retryable: false })
    await queue.close()
  })

  test('a file of a newer version is not touched', async () => {
    const database = new DatabaseSync(file)
    database.exec('PRAGMA user_version = 99')
    database.close()
    await expect(openDisk()).rejects.toThrow('were written by a newer version of Sluice (layout 99)')
  })
})
