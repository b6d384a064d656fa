import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Batch } from '../contracts/batch.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Message, Source } from '../contracts/message.ts'
import type { Expression } from '../contracts/schema.ts'
import type { Sink } from '../contracts/sink.ts'
import type { Storage } from '../contracts/storage.ts'
import { createStorage } from '../storage/storage.ts'
import { definitionSuite, readOptions } from '../testing/definition-suite.ts'
import { createMessages, createTestContext, testSource } from '../testing/part-context.ts'
import { sqlite } from './sqlite.ts'

let folder: string
let storage: Storage

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-sqlite-'))
  storage = createStorage()
})

afterEach(async () => {
  await storage.close()
  await rm(folder, { recursive: true })
})

/** An expression as `config/` would compile it. */
function value(source: string, evaluate: (message: Message) => unknown): Expression {
  return Object.assign(evaluate, { source, isMessage: false })
}

const field = (name: string) => value(`msg.${name}`, ({ msg }) => (msg as Record<string, unknown>)[name])

type Given = Partial<{ table: string; columns: Record<string, Expression>; create: boolean }>

async function open(given: Given = {}): Promise<Sink> {
  const context = createTestContext({ storage, resolvePath: (path) => join(folder, path) })
  return await sqlite.create({ file: 'test.db', table: 't', columns: undefined, create: true, ...given }, context)
}

function withDatabase<T>(use: (database: DatabaseSync) => T): T {
  const database = new DatabaseSync(join(folder, 'test.db'))
  try {
    return use(database)
  } finally {
    database.close()
  }
}

const rows = (table = 't') => withDatabase((database) => database.prepare(`SELECT * FROM "${table}"`).all())
const run = (sql: string) => withDatabase((database) => database.exec(sql))

/** Values of any kind, also such as have no bytes that they could have been read from. */
function batchOf(values: readonly unknown[], source: Source = testSource()): Batch {
  const messages = createMessages(
    values.map(() => null),
    { source },
  )
  return Batch.of(messages.map((message, i) => message.with(values[i])))
}

async function write(sink: Sink, values: readonly unknown[]) {
  const outcomes = await sink.write(batchOf(values))
  return outcomes === undefined ? 'all delivered' : outcomes.map((error) => error?.message)
}

describe('the definition', () => {
  for (const { name, run } of definitionSuite(sqlite)) test(name, run)

  test('refuses names that no table or column can have', () => {
    const given = { file: 'a.db', table: 't', columns: { a: 'msg' } }
    expect(readOptions(sqlite, given)).toMatchObject({ file: 'a.db', table: 't', create: true })
    for (const wrong of [{ table: '' }, { table: 'a\0' }, { columns: {} }, { columns: { '': 'msg' } }, { file: '' }]) {
      expect(() => readOptions(sqlite, { ...given, ...wrong })).toThrow()
    }
  })

  test('promises a durable row', () => {
    expect(sqlite.confirms({} as never)).toBe('durable')
    expect(sqlite.finished).toBe('the row is committed')
  })
})

describe('columns from the message', () => {
  test('the table is made from the first message, and gets a column for each new key', async () => {
    const sink = await open()
    expect(
      await write(sink, [
        { device: 'a', temp: 21.5 },
        { device: 'b', temp: 22 },
        { device: 'c', unit: 'F' },
      ]),
    ).toBe('all delivered')
    expect(rows()).toEqual([
      { device: 'a', temp: 21.5, unit: null },
      { device: 'b', temp: 22, unit: null },
      { device: 'c', temp: null, unit: 'F' },
    ])
  })

  test('keeps the order of a batch whose messages have different keys', async () => {
    const sink = await open()
    const values = Array.from({ length: 60 }, (_, n) => (n % 3 === 0 ? { n, a: 1 } : n % 3 === 1 ? { n } : { b: 2, n }))
    await write(sink, values)
    expect(rows().map(({ n }) => n)).toEqual(values.map(({ n }) => n))
  })

  test('stores every type of value', async () => {
    const sink = await open()
    const at = new Date('2026-03-01T12:00:00.250Z')
    await write(sink, [
      { int: 7, real: 1.5, text: "it's", yes: true, no: false, nothing: null, missing: undefined },
      { list: [1, { a: 2 }], object: { a: { b: [true] } }, at, bytes: Buffer.from([0, 1, 255]), big: 2n ** 62n },
    ])
    const types = withDatabase((database) =>
      database.prepare('SELECT typeof(int) AS int, typeof(real) AS real, typeof(yes) AS yes FROM t').get(),
    )
    expect(types).toEqual({ int: 'integer', real: 'real', yes: 'integer' })
    const [first, second] = withDatabase((database) => {
      const statement = database.prepare('SELECT * FROM t')
      statement.setReadBigInts(true)
      return statement.all()
    })
    expect(first).toMatchObject({ int: 7n, real: 1.5, text: "it's", yes: 1n, no: 0n, nothing: null, missing: null })
    expect(second).toMatchObject({
      list: '[1,{"a":2}]',
      object: '{"a":{"b":[true]}}',
      at: '2026-03-01T12:00:00.250Z',
      bytes: new Uint8Array([0, 1, 255]),
      big: 2n ** 62n,
    })
  })

  test('a message that is no object goes into received, client and msg', async () => {
    const sink = await open()
    await write(sink, ['hello', 5, Buffer.from([1]), ['a', 1], null])
    const received = '2026-01-01T00:00:00.000Z'
    const client = 'test-1'
    expect(rows()).toEqual([
      { received, client, msg: 'hello' },
      { received, client, msg: 5 },
      { received, client, msg: new Uint8Array([1]) },
      { received, client, msg: '["a",1]' },
      { received, client, msg: null },
    ])
  })

  test('adds columns to a table that exists, and takes names as SQLite does: whatever their case', async () => {
    run('CREATE TABLE t (id INTEGER PRIMARY KEY, Device TEXT)')
    const sink = await open()
    expect(await write(sink, [{ device: 'a', temp: 1 }])).toBe('all delivered')
    expect(rows()).toEqual([{ id: 1, Device: 'a', temp: 1 }])
  })

  test('what cannot be a row fails alone', async () => {
    const sink = await open()
    const cyclic: Record<string, unknown> = {}
    cyclic['self'] = cyclic
    const values = [
      { a: 1 },
      {},
      { a: 2, 'n\0': 1 },
      { a: 2, ['x'.repeat(200)]: 1 },
      { a: 2, A: 3 },
      { a: () => 1 },
      { a: cyclic },
      { a: new Map([['b', 1]]) },
      new Map([['a', 3]]),
      { a: new Date(Number.NaN) },
      { a: 2n ** 70n },
      { a: 9 },
    ]
    const outcomes = (await sink.write(batchOf(values))) ?? []
    expect(outcomes.map((error) => error?.message)).toEqual([
      undefined,
      'a message without keys makes no row',
      'a key cannot be the name of a column: it contains a NUL character',
      'a key cannot be the name of a column: it is longer than 128 characters',
      'the column "A" is named twice: SQLite does not tell capital letters from small ones',
      'a function cannot be stored',
      expect.stringMatching(/^a value cannot be stored as JSON: /),
      'a value cannot be stored as JSON: a Map or a Set cannot be written',
      'a value cannot be stored as JSON: a Map or a Set cannot be written',
      'an invalid time cannot be stored',
      expect.stringMatching(/BigInt value is too large/),
      undefined,
    ])
    for (const error of outcomes) if (error) expect(error).toMatchObject({ code: 'sink_failed', retryable: false })
    expect(rows()).toEqual([{ a: 1 }, { a: 9 }])
  })

  test('stops at 256 columns', async () => {
    const sink = await open()
    const wide = Object.fromEntries(Array.from({ length: 256 }, (_, i) => [`c${i}`, i]))
    expect(await write(sink, [wide, { c0: 'more', extra: 1 }, { c0: 'fits' }])).toEqual([
      undefined,
      'the table "t" would get more than 256 columns',
      undefined,
    ])
    expect(rows().map(({ c0 }) => c0)).toEqual([0, 'fits'])
  })

  test('create: false leaves the table as it is', async () => {
    run('CREATE TABLE t (a)')
    const sink = await open({ create: false })
    expect(await write(sink, [{ a: 1 }, { a: 2, b: 3 }])).toEqual([
      undefined,
      'the table "t" has no column "b" for a key of the message',
    ])
    expect(rows()).toEqual([{ a: 1 }])
  })
})

describe('declared columns', () => {
  const columns = { device: field('device'), client: value('client.id', ({ client }) => client.id) }

  test('the table is made at the start', async () => {
    await open({ columns })
    expect(rows()).toEqual([])
  })

  test('each row has exactly these', async () => {
    const sink = await open({ columns })
    await write(sink, [{ device: 'a', other: 1 }, {}])
    expect(rows()).toEqual([
      { device: 'a', client: 'test-1' },
      { device: null, client: 'test-1' },
    ])
  })

  test('a value that cannot be had fails its message alone', async () => {
    const failing = value('msg.a + 1', ({ msg }) => {
      if (msg === 'bad') throw new SluiceError('expression_failed', 'no number')
      return msg
    })
    const sink = await open({ columns: { a: failing } })
    const outcomes = (await sink.write(batchOf(['one', 'bad', 'two']))) ?? []
    expect(outcomes.map((error) => error?.code)).toEqual([undefined, 'expression_failed', undefined])
    expect(rows()).toEqual([{ a: 'one' }, { a: 'two' }])
  })

  test('a table that lacks one is an error at the start, with the cure', async () => {
    run('CREATE TABLE t (device)')
    await expect(open({ columns })).rejects.toMatchObject({
      code: 'storage_failed',
      message: `the table "t" in ${join(folder, 'test.db')} has no column "client"`,
      hint: 'Add it (ALTER TABLE "t" ADD COLUMN "client"), or correct its name under columns.',
    })
  })

  test('two that SQLite cannot tell apart are an error at the start', async () => {
    await expect(open({ columns: { a: field('a'), A: field('b') } })).rejects.toThrow(/"A" is named twice/)
  })

  test('a missing table is an error at the start with create: false', async () => {
    await expect(open({ columns, create: false })).rejects.toMatchObject({
      message: `the database ${join(folder, 'test.db')} has no table "t"`,
      hint: 'Create the table, or take out create: false.',
    })
  })
})

describe('delivery', () => {
  test('a row that a UNIQUE column refuses fails alone and for good', async () => {
    run('CREATE TABLE t (id UNIQUE)')
    const sink = await open()
    const outcomes = (await sink.write(batchOf([{ id: 1 }, { id: 1 }, { id: 2 }]))) ?? []
    expect(outcomes.map((error) => error?.message)).toEqual([
      undefined,
      'the table refuses the row: UNIQUE constraint failed: t.id',
      undefined,
    ])
    expect(outcomes[1]).toMatchObject({ code: 'sink_failed', retryable: false })
    expect(rows()).toEqual([{ id: 1 }, { id: 2 }])
  })

  test('an error of the storage may pass, and says so', async () => {
    const sink = await open()
    await write(sink, [{ a: 'x' }])
    const database = await storage.open(join(folder, 'test.db'))
    await database.exec('PRAGMA max_page_count = 3')
    const outcomes = (await sink.write(batchOf([{ a: 'x'.repeat(50_000) }, { a: 'y' }]))) ?? []
    expect(outcomes.map((error) => [error?.code, error?.retryable])).toEqual([
      ['storage_failed', true],
      ['storage_failed', true],
    ])
    expect(rows()).toEqual([{ a: 'x' }])
  })

  test('many connections at once: every row is there once, each connection in its order', async () => {
    const sinks = [await open(), await open()]
    await Promise.all(
      Array.from({ length: 20 }, async (_, lane) => {
        const source = testSource({ id: `lane-${lane}` })
        for (let n = 0; n < 10; n++) {
          const batch = batchOf(
            [
              { lane, n },
              { lane, n: n + 0.5, [`extra${lane % 3}`]: 1 },
            ],
            source,
          )
          expect(await sinks[lane % 2]!.write(batch)).toBeUndefined()
        }
      }),
    )
    const stored = rows()
    expect(stored).toHaveLength(400)
    for (let lane = 0; lane < 20; lane++) {
      const own = stored.filter((row) => row['lane'] === lane).map(({ n }) => n)
      expect(own).toEqual(Array.from({ length: 20 }, (_, i) => i / 2))
    }
  })

  test('two sinks on one table get along, also when both add the same column', async () => {
    const [one, two] = [await open(), await open()]
    const results = await Promise.all([write(one, [{ a: 1, b: 1 }]), write(two, [{ a: 2, b: 2, c: 2 }])])
    expect(results).toEqual(['all delivered', 'all delivered'])
    expect(await Promise.all([write(one, [{ d: 1 }]), write(two, [{ d: 2 }])])).toEqual([
      'all delivered',
      'all delivered',
    ])
    expect(rows()).toHaveLength(4)
    await one.close()
    expect(await write(two, [{ a: 3 }])).toBe('all delivered')
  })

  test('close waits for what is begun', async () => {
    const sink = await open({ columns: { a: value('msg', ({ msg }) => msg) } })
    const written = write(sink, [1, 2])
    await sink.close()
    expect(await written).toBe('all delivered')
    expect(existsSync(join(folder, 'test.db-wal'))).toBe(false)
    expect(rows()).toHaveLength(2)
  })
})

describe('hostile names and values are only names and values', () => {
  const attack = `x"); DROP TABLE t; --`

  test('as table, column, key and value', async () => {
    run('CREATE TABLE t (a); INSERT INTO t VALUES (1)')
    const sink = await open({ table: attack })
    expect(await write(sink, [{ [attack]: attack, "a' OR 1": `'); DELETE FROM t; --` }])).toBe('all delivered')
    await sink.close()
    const declared = await open({ table: attack, columns: { [attack]: value('msg', ({ msg }) => msg) } })
    expect(await write(declared, [attack])).toBe('all delivered')
    expect(rows('t')).toEqual([{ a: 1 }])
    expect(rows(attack.replaceAll('"', '""'))).toEqual([
      { [attack]: attack, "a' OR 1": `'); DELETE FROM t; --` },
      { [attack]: attack, "a' OR 1": null },
    ])
  })

  test('keys that mean something to JavaScript or SQLite are columns like any other', async () => {
    const sink = await open()
    const message = JSON.parse('{"__proto__": "p", "constructor": "c", "rowid": "r", "select": "s"}')
    expect(await write(sink, [message])).toBe('all delivered')
    const [row] = withDatabase((database) => {
      const statement = database.prepare('SELECT * FROM t')
      statement.setReturnArrays(true)
      return statement.all()
    })
    expect(row).toEqual(['p', 'c', 'r', 's'])
  })
})

test('a row that is there already is confirmed and not written again, where the table is made so', async () => {
  run('CREATE TABLE t (code UNIQUE ON CONFLICT IGNORE)')
  const sink = await open({ columns: { code: field('code') } })
  expect(await sink.write(batchOf([{ code: 'a' }, { code: 'b' }]))).toBeUndefined()
  expect(await sink.write(batchOf([{ code: 'b' }, { code: 'c' }]))).toBeUndefined()
  expect(rows().map(({ code }) => code)).toEqual(['a', 'b', 'c'])
  await sink.close()
})
