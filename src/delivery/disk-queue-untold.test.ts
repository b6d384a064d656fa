import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { formatOf, QueueFile, take, textsOf } from '../../test/support/queue-file.ts'
import { changed } from '../../test/support/storage.ts'
import { SluiceError } from '../contracts/errors.ts'
import { createBatch } from '../testing/part-context.ts'
import type { Queue } from './queue.ts'

let disk: QueueFile
beforeEach(() => {
  disk = new QueueFile()
})
afterEach(() => disk[Symbol.asyncDispose]())

/** What another connection to the file gets for a statement. */
function query(sql: string): unknown[] {
  using database = new DatabaseSync(disk.path, { timeout: 5000 })
  return database.prepare(sql).all()
}

const ended = () => new SluiceError('storage_failed', 'the storage thread ended', { retryable: true })

describe('what was stored although the storage thread ended before it could say so', () => {
  let dies: boolean
  const dying = () =>
    changed(disk.storage, (database) => ({
      async insert(sql, rows) {
        const ids = await database.insert(sql, rows)
        if (dies) throw ended()
        return ids
      },
    }))
  const addUntold = async (queue: Queue, value: string) => {
    dies = true
    await expect(queue.add(createBatch([value]))).rejects.toMatchObject({ retryable: true })
    dies = false
  }
  beforeEach(() => {
    dies = false
  })

  test('counts', async () => {
    const queue = await disk.open('store', dying())
    await queue.add(createBatch(['a']))
    await addUntold(queue, 'b')
    await queue.add(createBatch(['b']))
    const entries = await queue.take(1000, 1 << 20, formatOf)
    expect([textsOf(entries), queue.messages]).toEqual([['a', 'b', 'b'], 3])
    queue.settle(entries[0]!.id)
    expect(queue.messages).toBe(2)
    queue.settle(entries.at(-1)!.id)
    expect([queue.messages, queue.bytes]).toEqual([0, 0])
    await queue.close()
  })

  test('comes out, where all that was known of had been read before', async () => {
    const queue = await disk.open('store', dying())
    expect(await take(queue)).toEqual([])
    await addUntold(queue, 'a')
    await queue.add(createBatch(['a']))
    const entries = await queue.take(1000, 1 << 20, formatOf)
    expect(textsOf(entries)).toEqual(['a', 'a'])
    queue.settle(entries.at(-1)!.id)
    expect([queue.messages, queue.bytes]).toEqual([0, 0])
    await queue.close()
  })
})

test('counts an entry once, whichever is answered first: its insertion, or a look into the file that saw it', async () => {
  const thread = { ends: false, told: Promise.resolve() }
  const slow = changed(disk.storage, (database) => ({
    async insert(sql, rows) {
      const ids = await database.insert(sql, rows)
      if (thread.ends) throw ended()
      await thread.told
      return ids
    },
  }))
  const queue = await disk.open('store', slow)
  thread.ends = true
  await expect(queue.add(createBatch(['a']))).rejects.toMatchObject({ retryable: true })
  thread.ends = false
  const told = Promise.withResolvers<void>()
  thread.told = told.promise
  const added = queue.add(createBatch(['b']))
  await expect.poll(() => query('SELECT id FROM entries')).toHaveLength(2)
  const entries = await queue.take(1000, 1 << 20, formatOf)
  told.resolve()
  await added
  expect([textsOf(entries), queue.messages]).toEqual([['a', 'b'], 2])
  queue.settle(entries.at(-1)!.id)
  expect([await take(queue), queue.messages, queue.bytes]).toEqual([[], 0, 0])
  await queue.close()
})

test('of an entry that is damaged nothing waits any more, also where its deletion was done and not told', async () => {
  const before = await disk.open()
  for (const letter of ['a', 'b']) await before.add(createBatch([letter]))
  await before.close()
  query('UPDATE entries SET crc = crc + 1 WHERE id = 1')
  let deaths = 1
  const queue = await disk.open(
    'store',
    changed(disk.storage, (database) => ({
      async write(sql, rows) {
        const outcomes = await database.write(sql, rows)
        if (!sql.startsWith('DELETE FROM entries WHERE id') || deaths-- === 0) return outcomes
        throw ended()
      },
    })),
  )
  await expect(queue.take(10, 1 << 20, formatOf)).rejects.toThrow('ended')
  expect(disk.damaged).toHaveLength(1)
  queue.giveBack()
  const entries = await queue.take(10, 1 << 20, formatOf)
  expect(textsOf(entries)).toEqual(['b'])
  queue.settle(entries[0]!.id)
  expect([await take(queue), queue.messages, queue.bytes]).toEqual([[], 0, 0])
  await queue.close()
})
