import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { changed } from '../../test/support/storage.ts'
import { SluiceError } from '../contracts/errors.ts'
import { createEvents, type Events } from '../contracts/events.ts'
import type { Message } from '../contracts/message.ts'
import type { Storage } from '../contracts/storage.ts'
import { createStorage } from '../storage/storage.ts'
import { createMessages, testSource } from '../testing/part-context.ts'
import { dropDeadLetters, findDeadLetters, readDeadLetters } from './dead-letter-files.ts'
import { DEAD_LETTERS_FILE, type DeadLetterOptions, DeadLetterStore } from './dead-letters.ts'
import { realTiming } from './retry.ts'

let folder: string
let file: string
let storage: Storage
let events: Events
let told: string[]

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-room-'))
  file = join(folder, DEAD_LETTERS_FILE)
  storage = createStorage()
  events = createEvents(() => {})
  told = []
  for (const name of ['deadLetters.filled', 'deadLetters.emptied', 'deadLetters.expired'] as const) {
    events.on(name, () => told.push(name))
  }
})

afterEach(async () => {
  await storage.close()
  await rm(folder, { recursive: true })
})

const error = new SluiceError('sink_failed', 'no')

function open(options: Partial<DeadLetterOptions> = {}): DeadLetterStore {
  return new DeadLetterStore(storage, folder, { maxSize: 1024 ** 3, maxAge: 0, events, ...options })
}

function message(value: unknown): Message {
  return createMessages([value])[0]!
}

/** What the database has counted, and what there really is. */
function totals() {
  const database = new DatabaseSync(file, { readOnly: true })
  try {
    const size = `octet_length(raw) + octet_length(reason) + coalesce(octet_length(value), 0) + coalesce(octet_length(packed), 0) + 256`
    const row = database.prepare('SELECT letters, bytes FROM dead_letter_totals').get()
    const real = database
      .prepare(`SELECT count(*) AS letters, coalesce(sum(${size}), 0) AS bytes FROM dead_letters`)
      .get()
    return { row, real }
  } finally {
    database.close()
  }
}

describe('the bound', () => {
  test('is counted right here and in the file, whatever comes and goes', async () => {
    const store = open()
    for (const value of ['a', { é: 'ü'.repeat(100) }, Buffer.alloc(1000), () => 1]) {
      await store.add(message(value), error, 'store')
    }
    expect(totals().row).toEqual(totals().real)
    expect(store.counters).toMatchObject({ ...totals().real })
    const letter = (await store.get(2))!
    await store.settle(letter, [{ message: message('x'.repeat(5000)), error, step: 'later', passed: false }])
    await store.settle((await store.get(1))!, [])
    dropDeadLetters(file, [3, 99])
    expect(totals().row).toEqual(totals().real)
    expect(readDeadLetters(file)).toMatchObject([
      { id: 4, packed: null },
      { id: 2, step: 'later', attempts: 2 },
    ])
  })

  test('lets one at a time through as room comes, in the order in which they wait', async () => {
    const store = open({ maxSize: 400 })
    await store.add(message('a'), error, 'store')
    const waiting = ['b', 'c'].map((value) => store.add(message(value), error, 'store'))
    await expect.poll(() => told).toEqual(['deadLetters.filled'])
    expect(findDeadLetters(file, {}).ids).toEqual([1])
    dropDeadLetters(file, [1])
    expect(await waiting[0]).toBe(2)
    expect(readDeadLetters(file)).toMatchObject([{ value: '"b"' }])
    expect(told).toEqual(['deadLetters.filled', 'deadLetters.emptied', 'deadLetters.filled'])
    dropDeadLetters(file, [2])
    expect(await waiting[1]).toBe(3)
  })

  test('holds for all that write into one file, whatever each has counted, and nothing is lost', async () => {
    const maxSize = 2000
    const timing = { ...realTiming, wait: (_: number, signal: AbortSignal) => realTiming.wait(1, signal) }
    const stores = [open({ maxSize, timing }), open({ maxSize, timing })]
    await stores[0]!.add(message('first'), error, 'store')
    const { bytes } = stores[0]!.counters
    // From here on it looks into the file only when that is full.
    await stores[1]!.open()
    const adding = stores.flatMap((store) =>
      Array.from({ length: 10 }, () => store.add(message('other'), error, 'store')),
    )
    await expect.poll(() => told.filter((name) => name === 'deadLetters.filled').length).toBeGreaterThanOrEqual(2)
    let isDone = false
    const ids = Promise.all(adding).finally(() => {
      isDone = true
    })
    let most = 0
    while (!isDone) {
      most = Math.max(most, Number(totals().real!['bytes']))
      dropDeadLetters(file, findDeadLetters(file, {}).ids)
      await new Promise(setImmediate)
    }
    expect(most).toBeGreaterThanOrEqual(maxSize)
    expect(most).toBeLessThan(maxSize + bytes)
    expect(new Set(await ids).size).toBe(20)
  })

  test('counts a letter once, whichever is answered first: its insertion, or a look into the file that saw it', async () => {
    await open().add(message('first'), error, 'store')
    const held: { insert?: PromiseWithResolvers<void>; all?: PromiseWithResolvers<void> } = {}
    const later = async <T>(gate: 'insert' | 'all', result: Promise<T>): Promise<T> => {
      await result
      await held[gate]?.promise
      return result
    }
    const slow = changed(storage, (database) => ({
      insert: (sql, rows) => later('insert', database.insert(sql, rows)),
      all: (sql, parameters) => later('all', database.all(sql, parameters)),
    }))
    const store = new DeadLetterStore(slow, folder, { maxSize: 1024 ** 3, maxAge: 0, events })
    await store.open()
    const letter = (await store.get(1))!
    const isRight = () => expect.poll(() => store.counters, { interval: 1 }).toMatchObject({ ...totals().real })

    held.insert = Promise.withResolvers()
    const first = store.add(message('a'), error, 'store')
    await expect.poll(() => totals().real).toMatchObject({ letters: 2 })
    await store.settle({ ...letter, id: 99 }, [])
    held.insert.resolve()
    await first
    await isRight()

    delete held.insert
    held.all = Promise.withResolvers()
    const looked = store.settle({ ...letter, id: 99 }, [])
    await store.add(message('b'), error, 'store')
    held.all.resolve()
    await looked
    await isRight()
    expect(store.counters.letters).toBe(3)
    await store.close()
  })

  test('takes a message that alone is larger', async () => {
    const store = open({ maxSize: 1 })
    expect(await store.add(message('x'.repeat(1000)), error, 'store')).toBe(1)
  })

  test('ends its waits when the server stops, with an error', async () => {
    const controller = new AbortController()
    const store = open({ maxSize: 1, signal: controller.signal })
    await store.add(message('a'), error, 'store')
    const waiting = store.add(message('b'), error, 'store')
    await expect.poll(() => told).toEqual(['deadLetters.filled'])
    controller.abort()
    await expect(waiting).rejects.toThrow('the server stopped while the dead letters were full')
  })

  test('does not hold up what a retry keeps again', async () => {
    const store = open({ maxSize: 1 })
    await store.add(message('a'), error, 'store')
    const source = testSource()
    const kept = store.begin((await store.get(1))!, source)
    expect(await store.add(message('a').from(source), error, 'store')).toBe(2)
    expect(kept).toEqual([2])
    expect(readDeadLetters(file)).toMatchObject([{ id: 2, attempts: 2 }, { id: 1 }])
  })

  test('removes what is too old at the start, thousands of them', async () => {
    const first = open()
    await first.add(message('a'), error, 'store')
    await first.close()
    const database = new DatabaseSync(file)
    database.exec(`
      UPDATE dead_letters SET time = '2020-01-01T00:00:00.000Z';
      INSERT INTO dead_letters (time, received, endpoint, client, peer, step, code, reason, attempts, event, raw)
        SELECT time, received, endpoint, client, peer, step, code, reason, attempts, event, raw
        FROM dead_letters, (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500) SELECT i FROM n)`)
    database.close()
    const second = open({ maxAge: 1000 })
    await second.open()
    expect(second.counters).toEqual({ letters: 0, bytes: 0, oldest: 0, expired: 2501 })
    expect(told).toEqual(['deadLetters.expired'])
  })
})

test('a message of which a step made several fails as several, and each is kept', async () => {
  const store = open()
  await store.add(message('a'), error, 'store')
  const parts = [0, 1, 2].map((i) => ({ message: message(i).asPart(i), error, step: 'later', passed: false }))
  await store.settle((await store.get(1))!, parts)
  expect(readDeadLetters(file).map(({ id, key }) => [id, key.slice(-2)])).toEqual([
    [3, '.2'],
    [2, '.1'],
    [1, '.0'],
  ])
})

test('two servers may upgrade a file at the same time', async () => {
  const old = new DatabaseSync(file)
  old.exec(`PRAGMA journal_mode = WAL; CREATE TABLE dead_letters (
    id INTEGER PRIMARY KEY AUTOINCREMENT, time TEXT NOT NULL, received TEXT NOT NULL, endpoint TEXT NOT NULL,
    client TEXT NOT NULL, peer TEXT NOT NULL, step TEXT NOT NULL, code TEXT NOT NULL, reason TEXT NOT NULL,
    attempts INTEGER NOT NULL, event TEXT NOT NULL, raw BLOB NOT NULL, value TEXT) STRICT; PRAGMA user_version = 1`)
  const other = createStorage()
  const stores = [open(), new DeadLetterStore(other, folder, { maxSize: 1e9, maxAge: 0, events })]
  const ids = await Promise.all(stores.map((store) => store.add(message('a'), error, 'store')))
  expect(ids.toSorted()).toEqual([1, 2])
  // A server of the older version that has the file open goes on writing, and is counted.
  old.exec(`INSERT INTO dead_letters (time, received, endpoint, client, peer, step, code, reason, attempts, event, raw)
    VALUES ('2026', '2026', 'e', 'c', 'p', 's', 'x', 'r', 1, 'message', x'61')`)
  old.close()
  expect(totals().row).toEqual(totals().real)
  await other.close()
})
