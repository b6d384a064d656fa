import { execFile } from 'node:child_process'
import { EventEmitter } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { promisify } from 'node:util'
import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { SluiceError } from '../contracts/errors.ts'
import type { SqlValue, Storage } from '../contracts/storage.ts'
import { createStorage, startStorageWorker } from './storage.ts'
import { StorageThread } from './thread.ts'

let folder: string
let storage: Storage
let workers: Worker[]

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-storage-'))
  workers = []
  const startWorker = () => {
    const worker = startStorageWorker()
    workers.push(worker)
    return worker
  }
  storage = createStorage({ startWorker })
})

afterEach(async () => {
  await storage.close()
  await rm(folder, { recursive: true })
})

const INSERT = 'INSERT INTO t (a) VALUES (?)'

async function openTable(name = 'test.db', columns = 'a') {
  const file = join(folder, name)
  const database = await storage.open(file)
  await database.exec(`CREATE TABLE t (${columns})`)
  return { file, database, values: async () => (await database.all('SELECT a FROM t')).map(({ a }) => a) }
}

/** Counts the transactions that a write-ahead log holds: frames whose header carries a database size end one (sqlite.org/fileformat2.html, 4.2). */
async function countCommits(file: string): Promise<number> {
  const log = await readFile(`${file}-wal`)
  const pageSize = log.readUInt32BE(8)
  let commits = 0
  for (let at = 32; at + 24 + pageSize <= log.length; at += 24 + pageSize) if (log.readUInt32BE(at + 4) > 0) commits++
  return commits
}

function failed(outcomes: readonly (SluiceError | undefined)[]) {
  return outcomes.map((error) => error?.message)
}

/** A thread that does nothing by itself. */
class IdleWorker extends EventEmitter {
  readonly asked: { readonly id: number; readonly sql: string }[] = []
  postMessage(requests: IdleWorker['asked']): void {
    this.asked.push(...requests)
  }
  ref(): void {}
  unref(): void {}
}

test('what is asked for while a thread ends is asked of the next one, and each gets its own answer', async () => {
  const workers: IdleWorker[] = []
  const thread = new StorageThread(() => {
    workers.push(new IdleWorker())
    return workers.at(-1) as unknown as Worker
  })
  const ask = (sql: string) =>
    thread.ask({ kind: 'exec', file: 'a', readOnly: false, sql }).then(
      (result) => `${sql} got ${result}`,
      (error: SluiceError) => `${sql}: ${error.code}`,
    )
  const first = ask('one')
  await new Promise(process.nextTick)
  const others = [ask('two'), first.then(() => ask('three'))]
  workers[0]!.emit('exit')
  await vi.waitFor(() => expect(workers[1]?.asked).toHaveLength(2))
  workers[1]!.emit(
    'message',
    workers[1]!.asked.map(({ id, sql }) => ({ id, result: `that of ${sql}` })),
  )
  expect(await Promise.all([first, ...others])).toEqual([
    'one: storage_failed',
    'two got that of two',
    'three got that of three',
  ])
})

describe('write', () => {
  test('merges what many ask for at the same time into few commits, in order', async () => {
    const { file, database, values } = await openTable()
    const before = await countCommits(file)
    await Promise.all(Array.from({ length: 200 }, (_, i) => database.write(INSERT, [[i], [i + 0.5]])))
    expect((await countCommits(file)) - before).toBeLessThanOrEqual(10)
    expect(await values()).toEqual(Array.from({ length: 400 }, (_, i) => i / 2))
  })

  test('resolves when the row is committed: another connection to the file sees it', async () => {
    const { file, database } = await openTable()
    await database.write(INSERT, [['here']])
    const other = new DatabaseSync(file, { readOnly: true })
    expect(other.prepare('SELECT a FROM t').all()).toMatchObject([{ a: 'here' }])
    other.close()
  })

  test('uses a write-ahead log that is synced at every commit', async () => {
    const { database } = await openTable()
    expect(await database.all('PRAGMA journal_mode')).toEqual([{ journal_mode: 'wal' }])
    expect(await database.all('PRAGMA synchronous')).toEqual([{ synchronous: 2 }])
  })

  test('lets a bad row fail alone', async () => {
    const { database, values } = await openTable('test.db', 'a UNIQUE')
    const [first, second] = await Promise.all([
      database.write(INSERT, [[1], [2], [1], [3]]),
      database.write(INSERT, [[4], [2]]),
    ])
    const refused = 'the table refuses the row: UNIQUE constraint failed: t.a'
    expect(failed(first)).toEqual([undefined, undefined, refused, undefined])
    expect(failed(second)).toEqual([undefined, refused])
    expect(first[2]).toMatchObject({ code: 'storage_failed', retryable: false })
    expect(await values()).toEqual([1, 2, 3, 4])
  })

  test('keeps the other rows when a refused one ends the transaction', async () => {
    const { database, values } = await openTable('test.db', 'a UNIQUE ON CONFLICT ROLLBACK')
    const outcomes = await database.write(INSERT, [[1], [1], [2], [2], [3]])
    expect(outcomes.map((error) => error === undefined)).toEqual([true, false, true, false, true])
    expect(await values()).toEqual([1, 2, 3])
  })

  test('lets a statement that cannot be prepared fail alone', async () => {
    const { database, values } = await openTable()
    const [bad, good] = await Promise.all([
      database.write('INSERT INTO nowhere VALUES (?)', [[1]]),
      database.write(INSERT, [[1]]),
    ])
    expect(bad[0]?.message).toMatch(/no such table: nowhere/)
    expect(good).toEqual([undefined])
    expect(await values()).toEqual([1])
  })

  test('a value that SQLite cannot hold fails its row alone', async () => {
    const { database, values } = await openTable()
    const outcomes = await database.write(INSERT, [[1], [2n ** 70n], [2]])
    expect(outcomes.map((error) => error === undefined)).toEqual([true, false, true])
    expect(await values()).toEqual([1, 2])
  })

  test('fails every row when the disk is full, and says that it may work later', async () => {
    const { database, values } = await openTable()
    await database.exec('PRAGMA max_page_count = 3')
    const big = 'x'.repeat(50_000)
    await expect(database.write(INSERT, [['small'], [big]])).rejects.toMatchObject({
      code: 'storage_failed',
      retryable: true,
      message: expect.stringMatching(/disk is full/),
    })
    expect(await values()).toEqual([])
    expect(await database.write(INSERT, [['small']])).toEqual([undefined])
  })

  test('leaves out rows for which nobody waits any more when the lock on the file is gone', async () => {
    const { file, database, values } = await openTable()
    const other = new DatabaseSync(file)
    other.exec('BEGIN IMMEDIATE')
    const over = new AbortController()
    const writes = [
      database.write(INSERT, [['kept']]),
      database.write(INSERT, [['given'], ['up']], over.signal),
      database.write(INSERT, [['awaited']], new AbortController().signal),
    ]
    // Sent to the thread, where they wait for the lock.
    await new Promise(setImmediate)
    over.abort()
    other.exec('COMMIT')
    other.close()
    const text = 'nobody waited for this any more, so it was not stored'
    expect((await Promise.all(writes)).map(failed)).toEqual([[undefined], [text, text], [undefined]])
    expect(failed(await database.write(INSERT, [['too late']], AbortSignal.abort()))).toEqual([text])
    expect(await values()).toEqual(['kept', 'awaited'])
  })

  test('insert tells the id of each row, or why it failed', async () => {
    const { database } = await openTable()
    await database.exec('CREATE TABLE numbered (id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT NOT NULL)')
    const insert = (...values: (string | null)[]) =>
      database.insert(
        'INSERT INTO numbered (v) VALUES (?)',
        values.map((v) => [v]),
      )
    const [first, second] = await Promise.all([insert('a', null, 'b'), insert('c')])
    expect(first).toEqual([1, expect.objectContaining({ code: 'storage_failed' }), 2])
    expect(second).toEqual([3])
    expect(await database.insert('INSERT INTO numbered (v) VALUES (?)', [])).toEqual([])
  })

  test('insert tells a row that a condition of its statement has left out', async () => {
    const { database, values } = await openTable()
    const some = 'INSERT INTO t (a) SELECT ?1 WHERE ?1 > 1'
    expect(await database.insert(some, [[1], [2], [1], [3]])).toEqual([0, 1, 0, 2])
    expect(await values()).toEqual([2, 3])
  })

  test('gives nothing for nothing', async () => {
    const { database } = await openTable()
    expect(await database.write(INSERT, [])).toEqual([])
  })

  test('values of all types come back as they went in', async () => {
    const { database } = await openTable()
    const value = fc.oneof(
      fc.constant(null),
      fc.string({ unit: 'binary' }),
      fc.maxSafeInteger(),
      fc.double({ noNaN: true }).filter((number) => !Object.is(number, -0)),
      fc.bigInt({ min: 2n ** 53n, max: 2n ** 63n - 1n }),
      fc.uint8Array(),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(value, { minLength: 1, maxLength: 50 }), async (given: SqlValue[]) => {
        await database.exec('DELETE FROM t')
        const outcomes = await database.write(
          INSERT,
          given.map((one) => [one]),
        )
        expect(outcomes).toEqual(given.map(() => undefined))
        expect(await database.all('SELECT a FROM t ORDER BY rowid')).toEqual(given.map((one) => ({ a: one })))
        expect(await database.all('SELECT count(*) AS n FROM t WHERE a IS ?', [given[0]!])).not.toEqual([{ n: 0 }])
      }),
      { numRuns: 15 },
    )
  })

  test('stores whole numbers as integers', async () => {
    const { database } = await openTable()
    await database.write(INSERT, [[7], [7.5], ['7'], [Buffer.from('7')], [null]])
    const rows = await database.all('SELECT typeof(a) AS type FROM t')
    expect(rows.map(({ type }) => type)).toEqual(['integer', 'real', 'text', 'blob', 'null'])
  })

  test('travels to the thread together with what is asked for at the same time', async () => {
    const { database, values } = await openTable()
    const post = vi.spyOn(workers[0]!, 'postMessage')
    await Promise.all([1, 2, 3].map((n) => database.write(INSERT, [[n]])))
    expect(post).toHaveBeenCalledTimes(1)
    expect(await values()).toEqual([1, 2, 3])
  })

  test('with a value that threads cannot pass to each other fails alone', async () => {
    const { database, values } = await openTable()
    const rows = [1, (() => 2) as unknown as SqlValue, 3]
    const results = await Promise.allSettled(rows.map((value) => database.write(INSERT, [[value]])))
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(results[1]).toMatchObject({
      reason: { code: 'storage_failed', message: expect.stringMatching('cannot be asked') },
    })
    expect(await values()).toEqual([1, 3])
  })

  test('takes only its own bytes of a larger buffer', async () => {
    const { database } = await openTable()
    const read = Buffer.alloc(1 << 20, 'x')
    const post = vi.spyOn(workers[0]!, 'postMessage')
    await database.write(INSERT, [[read.subarray(10, 13)]])
    const [[{ rows }]] = post.mock.calls[0] as [[{ rows: Uint8Array[][] }]]
    expect(rows[0]![0]!.buffer.byteLength).toBe(3)
    expect(await database.all('SELECT a FROM t')).toEqual([{ a: new Uint8Array(Buffer.from('xxx')) }])
  })

  test('bytes may change as soon as they were given', async () => {
    const { database, values } = await openTable()
    const given = [10, 10_000].map((size) => new Uint8Array(size).fill(7))
    const written = given.map((bytes) => database.write(INSERT, [[bytes]]))
    for (const bytes of given) bytes.fill(8)
    await Promise.all(written)
    expect(await values()).toEqual([new Uint8Array(10).fill(7), new Uint8Array(10_000).fill(7)])
  })

  test('rows may share bytes', async () => {
    const { database, values } = await openTable()
    const shared = new Uint8Array(10_000).fill(7)
    const others = database.write(INSERT, [[shared]])
    await Promise.all([others, database.write(INSERT, [[shared], [shared.subarray(0, 5000)]])])
    expect(await values()).toEqual([shared, shared, shared.subarray(0, 5000)])
    expect(shared).toHaveLength(10_000)
  })

  test('keeps nothing of what it has written', async () => {
    const { database } = await openTable()
    const size = 100_000
    const held = async () => (await workers[0]!.getHeapStatistics()).external_memory
    const before = await held()
    let most = 0
    for (let i = 0; i < 50; i++) {
      await database.write(INSERT, [[new Uint8Array(size)]])
      most = Math.max(most, (await held()) - before)
    }
    expect(most).toBeLessThan(10 * size)
  })
})

describe('open', () => {
  test('creates missing folders', async () => {
    const { file } = await openTable('a/b/c/test.db')
    expect(existsSync(file)).toBe(true)
  })

  test('gives the same database for the same path, until the last user closes it', async () => {
    const { file, database } = await openTable()
    const again = await storage.open(join(folder, 'x', '..', 'test.db'))
    expect(again).toBe(database)
    await again.close()
    expect(await database.write(INSERT, [[1]])).toEqual([undefined])
    await database.close()
    expect(existsSync(`${file}-wal`)).toBe(false)
    await expect(database.write(INSERT, [[2]])).rejects.toMatchObject({ code: 'storage_failed' })
    const reopened = await storage.open(file)
    expect(await reopened.all('SELECT a FROM t')).toEqual([{ a: 1 }])
  })

  test('to read alone does not let a question that takes long hold up what is written', async () => {
    const { file, database } = await openTable()
    const reader = await storage.openReadOnly(file)
    const finished: string[] = []
    const long =
      'WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 5000000) SELECT max(n) AS n FROM c'
    const asked = reader.all(long).then((rows) => {
      finished.push('asked')
      return rows
    })
    await database.write(INSERT, [['here']])
    finished.push('written')
    expect(await asked).toEqual([{ n: 5_000_000 }])
    expect(finished).toEqual(['written', 'asked'])
    expect(await reader.all('SELECT a FROM t')).toEqual([{ a: 'here' }])
    expect(workers).toHaveLength(2)
  })

  test('uses one thread for all files', async () => {
    await openTable('one.db')
    await openTable('two.db')
    expect(workers).toHaveLength(1)
  })

  test('says what a file is that is no database, and works once it is gone', async () => {
    const file = join(folder, 'notes.txt')
    await writeFile(file, 'shopping list\n'.repeat(100))
    const attempts = await Promise.allSettled([storage.open(file), storage.open(file)])
    for (const attempt of attempts) {
      expect(attempt).toMatchObject({
        status: 'rejected',
        reason: {
          code: 'storage_failed',
          message: `${file} is not an SQLite database`,
          hint: expect.stringMatching(/another file/),
        },
      })
    }
    await rm(file)
    await storage.open(file)
  })

  test('says that a folder cannot be created below a file', async () => {
    await writeFile(join(folder, 'file'), '')
    await expect(storage.open(join(folder, 'file', 'sub', 'test.db'))).rejects.toMatchObject({
      code: 'storage_failed',
      message: expect.stringMatching(/folder of the database .* cannot be created \(ENOTDIR\)/),
    })
  })

  test('says that a folder is no file', async () => {
    await expect(storage.open(folder)).rejects.toMatchObject({
      message: `the database ${folder} cannot be opened or created`,
      // It cannot be told from having no more files to open.
      retryable: true,
    })
  })
})

describe('close', () => {
  test('waits for what is begun', async () => {
    const { file, database } = await openTable()
    const written = database.write(INSERT, [[1], [2]])
    await storage.close()
    expect(await written).toEqual([undefined, undefined])
    expect(existsSync(`${file}-wal`)).toBe(false)
    const other = new DatabaseSync(file, { readOnly: true })
    expect(other.prepare('SELECT count(*) AS n FROM t').get()).toMatchObject({ n: 2 })
    other.close()
  })

  test('refuses what comes after it, and may be called again', async () => {
    const { file, database } = await openTable()
    await Promise.all([storage.close(), storage.close()])
    await expect(database.write(INSERT, [[1]])).rejects.toMatchObject({ code: 'storage_failed' })
    await expect(storage.open(file)).rejects.toMatchObject({ code: 'storage_failed' })
    await database.close()
  })
})

describe('the thread', () => {
  test('is started by the first open only', async () => {
    expect(workers).toHaveLength(0)
    await storage.open(join(folder, 'test.db'))
    expect(workers).toHaveLength(1)
  })

  test('may die in the middle of a write: the write fails, the next one works', async () => {
    const { database, values } = await openTable()
    await database.write(INSERT, [['before']])
    const lost = [database.write(INSERT, [['during']]), database.write(INSERT, [['during']])]
    void workers[0]!.terminate()
    for (const result of await Promise.allSettled(lost)) {
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'storage_failed', retryable: true } })
    }
    expect(await database.write(INSERT, [['after']])).toEqual([undefined])
    expect((await values()).filter((value) => value !== 'during')).toEqual(['before', 'after'])
    expect(workers).toHaveLength(2)
  })

  test('says why it cannot start, and starts when it can', async () => {
    let broken = true
    const startWorker = () => (broken ? new Worker('throw new Error("no")', { eval: true }) : startStorageWorker())
    const other = createStorage({ startWorker })
    const file = join(folder, 'test.db')
    await expect(other.open(file)).rejects.toMatchObject({
      code: 'storage_failed',
      message: expect.stringMatching(/\(no\)/),
    })
    broken = false
    await other.open(file)
    await other.close()
  })

  test('holds a process while something waits for it, and not a moment longer', async () => {
    const script = `
      import { createStorage } from ${JSON.stringify(join(import.meta.dirname, 'storage.ts'))}
      const database = await createStorage().open(${JSON.stringify(join(folder, 'process.db'))})
      await database.exec('CREATE TABLE t (a)')
      console.log(await database.write('INSERT INTO t VALUES (?)', [[1]]))`
    const run = promisify(execFile)
    const { stdout, stderr } = await run(process.execPath, ['--input-type=module', '--eval', script])
    expect(stdout).toBe('[ undefined ]\n')
    expect(stderr).toBe('')
  })
})

describe('exec and all', () => {
  test('come after the writes that were asked for before them', async () => {
    const { database } = await openTable()
    void database.write(INSERT, [[1]])
    const counted = database.all('SELECT count(*) AS n FROM t')
    void database.exec('DELETE FROM t')
    expect(await counted).toEqual([{ n: 1 }])
    expect(await database.all('SELECT a FROM t')).toEqual([])
  })

  test('say what is wrong with a statement', async () => {
    const { file, database } = await openTable()
    await expect(database.exec('DROP nothing')).rejects.toMatchObject({
      code: 'storage_failed',
      message: `the database ${file} reports: near "nothing": syntax error`,
    })
    await expect(database.all('SELECT nothing')).rejects.toMatchObject({ code: 'storage_failed' })
  })

  test('a lock of another program is an error that may pass', async () => {
    const { file, database } = await openTable()
    await database.exec('PRAGMA busy_timeout = 0')
    const other = new DatabaseSync(file)
    other.exec('BEGIN IMMEDIATE')
    await expect(database.write(INSERT, [[1]])).rejects.toMatchObject({
      retryable: true,
      message: `another program holds the database ${file} locked`,
    })
    other.exec('COMMIT')
    other.close()
    expect(await database.write(INSERT, [[1]])).toEqual([undefined])
  })
})
