import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { findPostgres, PostgresServer } from '../../test/support/postgres-server.ts'
import { type Given, openBare, openMerged } from '../../test/support/postgres-sink.ts'
import { batchOf, field, value, whole, write } from '../../test/support/sink-values.ts'
import { readTarget } from '../brokers/postgres-address.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Sink } from '../contracts/sink.ts'
import { definitionSuite } from '../testing/definition-suite.ts'
import { createTestContext, testSource } from '../testing/part-context.ts'
import { sinkSuite } from '../testing/sink-suite.ts'
import { postgres } from './postgres.ts'
import { parseTableName } from './postgres-options.ts'

/** Writes that overlap go over connections of their own, in no order; the suite wants to see one. */
function inTurn(sink: Sink): Sink {
  let last: Promise<unknown> = Promise.resolve()
  return {
    write(batch) {
      const written = last.then(() => sink.write(batch))
      last = written.catch(() => undefined)
      return written
    },
    close: () => last.then(() => sink.close()),
  }
}

describe('the definition', () => {
  for (const { name, run } of definitionSuite(postgres)) test(name, run)

  const problemsOf = (given: object) => {
    const options = postgres.options.parse({ table: 't', ...given })
    return postgres.check!(options, { resolvePath: (path) => path }).map(({ message }) => message)
  }

  test('finds what does not fit together', () => {
    const user = { user: 'u' }
    expect(problemsOf(user)).toEqual([])
    expect(problemsOf({})).toEqual(['user is missing, or url'])
    expect(problemsOf({ url: 'postgres://u@h/d', port: 5432 })).toEqual(['give url or port, and not both'])
    expect(problemsOf({ ...user, mode: 'copy', onConflict: 'ignore' })).toEqual([
      'mode: copy cannot do onConflict: ignore',
    ])
    expect(problemsOf({ ...user, onConflict: 'update' })).toEqual(['onConflict: update needs conflict'])
    expect(problemsOf({ ...user, conflict: ['id'] })).toEqual(['conflict is of no use with onConflict: error'])
    expect(problemsOf({ ...user, tls: { ca: '/no/such.pem' } })).toEqual(['the file /no/such.pem does not exist'])
    expect(problemsOf({ ...user, onConflict: 'ignore', conflict: ['id'], columns: { a: 'msg' } })).toEqual([
      'conflict names id, which is not among columns',
    ])
  })

  test('reads urls, and shows nothing of one that is wrong', () => {
    const target = (url: string) => readTarget(postgres.options.parse({ url, table: 't' }))
    expect(target('postgres://me:p%40ss@db.local:6432/plant?sslmode=require')).toEqual({
      host: 'db.local',
      port: 6432,
      database: 'plant',
      user: 'me',
      password: 'p@ss',
      tls: true,
    })
    expect(target('postgresql://me@[::1]')).toMatchObject({ host: '::1', port: 5432, database: 'me', password: '' })
    expect(target('postgres://me@localhost/d?host=/run/postgresql')).toMatchObject({
      host: '/run/postgresql',
      database: 'd',
    })
    const wrong = ['mysql://me:hidden@h/d', 'hidden', 'postgres://:hidden@h/d', 'postgres://me:hidden%@h/d']
    for (const url of [...wrong, 'postgres://me:hidden@h/d?ssl=1', 'postgres://me:hidden@h/d?sslmode=prefer']) {
      const problem = target(url)
      expect(problem).toMatchObject({ path: ['url'] })
      expect(JSON.stringify(problem)).not.toContain('hidden')
    }
  })

  test('reads names of tables', () => {
    expect(parseTableName('t')).toEqual({ schema: undefined, table: 't' })
    expect(parseTableName('a.b')).toEqual({ schema: 'a', table: 'b' })
    expect(parseTableName('"a.b"."c""d"')).toEqual({ schema: 'a.b', table: 'c"d' })
    for (const wrong of ['', '.', 'a.', '.b', 'a.b.c', 'a"b', '"a', 'a\0'])
      expect(parseTableName(wrong)).toBeTypeOf('string')
  })

  test('promises what the server is asked for', () => {
    expect(postgres.confirms({ durable: true } as never)).toBe('durable')
    expect(postgres.confirms({ durable: false } as never)).toBe('accepted')
  })
})

describe.skipIf(findPostgres() === undefined)('with a server', () => {
  let server: PostgresServer
  const opened: Sink[] = []

  beforeAll(async () => {
    server = await PostgresServer.start()
  }, 60_000)
  afterAll(() => server[Symbol.asyncDispose]())
  beforeEach(() => server.reset(''))
  afterEach(async () => {
    for (const sink of opened.splice(0)) await sink.close()
  })

  async function open(given: Given = {}, context = createTestContext()): Promise<Sink> {
    const sink = await openMerged({ url: server.url, ...given }, context)
    opened.push(sink)
    return sink
  }

  const rows = (order = 'n') => server.query(`SELECT * FROM t ORDER BY ${order}`)

  describe('as any sink', () => {
    for (const mode of ['insert', 'copy']) {
      const suite = sinkSuite({
        unprintable: { value: 'a\0b' },
        async create() {
          await server.query('CREATE TABLE t (n serial, body text)')
          const read = async () => {
            const found = await server.query<{ body: string }>('SELECT body FROM t ORDER BY n')
            return found.map(({ body }) => body)
          }
          const sink = await openBare({ url: server.url, mode, columns: { body: whole } })
          return { sink: inTurn(sink), received: read }
        },
        async fail() {
          await server.stop()
          return () => server.begin()
        },
      })
      for (const { name, run } of suite) test(`mode ${mode}: ${name}`, run)
    }
  })

  describe('values', () => {
    const at = new Date('2026-03-01T12:00:00.250Z')
    const columns = `n serial, i int, big int8, num numeric(20,4), real float8, yes boolean, txt text, short varchar(5),
      fixed char(4), at timestamptz, local timestamp, day date, b bytea, j json, jb jsonb, ints int[], texts text[],
      grid float8[][], docs jsonb[], blobs bytea[], id uuid, net inet, span interval, bits bit(3)`
    const row = {
      i: 7,
      big: 2n ** 62n,
      num: '12345678901234.5678',
      real: 0.1,
      yes: true,
      txt: `quote " ' back\\slash {brace}, tab\t new\nline \\N ü €`,
      short: 'abcde',
      fixed: 'ab',
      at,
      local: at,
      day: at,
      b: Buffer.from([0, 1, 92, 255]),
      j: { a: [1, null, 'x'] },
      jb: 'only a text',
      ints: [1, null, 3],
      texts: ['a', 'b "c"', 'NULL', '', null, 'back\\slash'],
      grid: [
        [1, 2],
        [3, 4.5],
      ],
      docs: [{ a: 1 }, 'x', [1]],
      blobs: [Buffer.from([0, 255]), 'text'],
      id: '00000000-0000-4000-8000-000000000001',
      net: '10.0.0.1',
      span: '1 hour',
      bits: '101',
    }

    test.each(['insert', 'copy'])('of every type arrive whole, mode %s', async (mode) => {
      await server.query(`SET TimeZone = 'Asia/Tokyo'; CREATE TABLE t (${columns})`)
      const sink = await open({ mode })
      expect(await write(sink, [row, { i: null, txt: undefined }])).toEqual([undefined, undefined])
      const [first, second] = await server.query(`SELECT i, big::text, num::text, real, yes, txt, short, fixed,
        at = '2026-03-01 12:00:00.25+00' AS at, local::text, day::text, b, j, jb, ints, texts, grid, docs::text, blobs,
        id, net::text, span::text, bits::text FROM t ORDER BY n`)
      expect(first).toEqual({
        ...row,
        big: '4611686018427387904',
        fixed: 'ab  ',
        at: true,
        local: '2026-03-01 12:00:00.25',
        day: '2026-03-01',
        docs: '{"{\\"a\\": 1}","\\"x\\"",[1]}',
        blobs: [Buffer.from([0, 255]), Buffer.from('text')],
        net: '10.0.0.1/32',
        span: '01:00:00',
      })
      expect(second).toMatchObject({ i: null, txt: null, ints: null })
    })

    test('structures in a text column are JSON, and bytes in JSON are base64', async () => {
      await server.query('CREATE TABLE t (n serial, txt text, j jsonb)')
      const sink = await open()
      await write(sink, [
        { txt: { a: [1] }, j: { b: Buffer.from('hi') } },
        { txt: [1, 'x'], j: null },
      ])
      expect(await rows()).toEqual([
        { n: 1, txt: '{"a":[1]}', j: { b: 'aGk=' } },
        { n: 2, txt: '[1,"x"]', j: null },
      ])
    })

    test.each(['insert', 'copy'])('that a column cannot hold fail their message alone, mode %s', async (mode) => {
      await server.query(`CREATE DOMAIN code AS varchar(3) CHECK (VALUE <> 'bad');
        CREATE TABLE t (n serial, i int, short varchar(5), c code, b bytea, l int[], at timestamptz, txt text, j jsonb)`)
      const sink = await open({ mode })
      const cyclic: Record<string, unknown> = {}
      cyclic['self'] = cyclic
      const values = [
        { i: 1 },
        { i: 'abc' },
        { i: 1.5 },
        { i: 2 ** 40 },
        { short: 'abcdef' },
        { c: 'abcd' },
        { c: 'bad' },
        { b: 7 },
        { l: 7 },
        { at: 'soon' },
        { at: new Date(Number.NaN) },
        { txt: Buffer.from('a') },
        { txt: () => 1 },
        { j: cyclic },
        { i: 2 },
      ]
      const outcomes = (await sink.write(batchOf(values))) ?? []
      expect(outcomes.map((error) => error?.message)).toEqual([
        undefined,
        'the table refuses the row: invalid input syntax for type integer: "abc"',
        'the table refuses the row: invalid input syntax for type integer: "1.5"',
        'the table refuses the row: value "1099511627776" is out of range for type integer',
        'the table refuses the row: value too long for type character varying(5)',
        'the table refuses the row: value too long for type character varying(3)',
        'the table refuses the row: value for domain code violates check constraint "code_check"',
        'the type bytea takes bytes or a text',
        'an array type takes a list',
        'the table refuses the row: invalid input syntax for type timestamp with time zone: "soon"',
        'an invalid time cannot be stored',
        'only the type bytea takes bytes',
        'a function cannot be stored',
        expect.stringMatching(/^a value cannot be written as JSON: /),
        undefined,
      ])
      for (const error of outcomes) if (error) expect(error).toMatchObject({ code: 'sink_failed', retryable: false })
      expect((await rows()).map((one) => one['i'])).toEqual([1, 2])
    })
  })

  describe('columns', () => {
    test('from the message: each key its column, others get their default, order is kept', async () => {
      await server.query(`CREATE TABLE t (n serial, a int DEFAULT 9, "B c" text DEFAULT 'none')`)
      const sink = await open()
      const values = Array.from({ length: 60 }, (_, i) =>
        i % 3 === 0 ? { a: i } : i % 3 === 1 ? { 'B c': `${i}` } : { a: i, 'B c': 'x' },
      )
      await write(sink, values)
      expect(await rows()).toEqual(values.map((one, i) => ({ n: i + 1, a: 9, 'B c': 'none', ...one })))
    })

    test('a key without a column fails its message, until the column is there', async () => {
      await server.query('CREATE TABLE t (n serial, a int, twice int GENERATED ALWAYS AS (a * 2) STORED)')
      const sink = await open()
      expect(await write(sink, [{ a: 1 }, { a: 2, b: 3 }, {}, { a: 4, twice: 8 }, { a: 5 }])).toEqual([
        undefined,
        'the table "t" has no column "b", for a key of the message',
        'a message without keys makes no row',
        'the database itself makes the values of the column "twice", for a key of the message',
        undefined,
      ])
      expect((await rows()).map((one) => one['twice'])).toEqual([2, 10])
    })

    test('a message that is no object goes into received, client and msg', async () => {
      await server.query('CREATE TABLE t (n serial, received timestamptz, client text, msg text)')
      const sink = await open()
      await write(sink, ['hello', 5, ['a', 1], null])
      const received = new Date('2026-01-01T00:00:00.000Z')
      expect((await rows()).map((one) => one['msg'])).toEqual(['hello', '5', '["a",1]', null])
      expect((await rows())[0]).toMatchObject({ received, client: 'test-1' })
    })

    test('that are declared hold what their expressions give; one that throws fails its message alone', async () => {
      await server.query('CREATE SCHEMA "My Plant"; CREATE TABLE "My Plant"."T.1" (n serial, device text, client text)')
      const failing = value('msg.a + 1', ({ msg }) => {
        if (msg === 'bad') throw new SluiceError('expression_failed', 'no number')
        return msg
      })
      const columns = { device: failing, client: value('client.id', ({ client }) => client.id) }
      const sink = await open({ table: 'My Plant."T.1"', columns })
      expect(await write(sink, ['one', 'bad', 'two'])).toEqual([undefined, 'no number', undefined])
      expect(await server.query('SELECT device, client FROM "My Plant"."T.1" ORDER BY n')).toEqual([
        { device: 'one', client: 'test-1' },
        { device: 'two', client: 'test-1' },
      ])
    })

    test('hostile names and values are only names and values', async () => {
      const attack = `x"); DROP TABLE t; --`
      const quoted = `"${attack.replaceAll('"', '""')}"`
      await server.query(`CREATE TABLE t (a int); CREATE TABLE ${quoted} (${quoted} text)`)
      const sink = await open({ table: quoted })
      expect(await write(sink, [{ [attack]: `'); DROP TABLE t; --` }])).toEqual([undefined])
      expect(await server.query(`SELECT * FROM ${quoted}`)).toEqual([{ [attack]: `'); DROP TABLE t; --` }])
      expect(await server.query('SELECT * FROM t')).toEqual([])
    })

    test('many sets of keys do not fill the server with prepared statements', async () => {
      const names = Array.from({ length: 8 }, (_, i) => `c${i}`)
      await server.query(`CREATE TABLE t (n serial, ${names.map((name) => `${name} int`).join(', ')})`)
      const sink = await open()
      const values = Array.from({ length: 255 }, (_, i) =>
        Object.fromEntries(names.filter((_, bit) => ((i + 1) >> bit) & 1).map((name) => [name, i])),
      )
      expect(await write(sink, values)).toEqual(values.map(() => undefined))
      expect(await server.query('SELECT count(*)::int FROM t')).toEqual([{ count: 255 }])
    })

    test('a table that changes is looked at again: no message is lost to it', async () => {
      await server.query('CREATE TABLE t (n serial, a text)')
      const sink = await open({ columns: { a: whole } })
      await write(sink, ['1'])
      await server.query('ALTER TABLE t ALTER a TYPE int USING a::int')
      expect(await write(sink, ['2', 'x'])).toEqual([
        undefined,
        'the table refuses the row: invalid input syntax for type integer: "x"',
      ])
      await server.query('ALTER TABLE t RENAME TO gone')
      expect(await write(sink, ['3', '4'])).toEqual(Array(2).fill('the database has no table "t"'))
      await server.query('ALTER TABLE gone RENAME TO t')
      expect(await write(sink, ['5'])).toEqual([undefined])
      expect((await rows()).map((one) => one['a'])).toEqual([1, 2, 5])
    })
  })

  describe('conflicts', () => {
    const given = { columns: { id: field('id'), v: field('v') } }
    const state = () => server.query('SELECT id, v FROM t ORDER BY id')

    beforeEach(() => server.query('CREATE TABLE t (id numeric PRIMARY KEY, v text)'))

    test.each(['insert', 'copy'])('error: a row that is there already fails alone, mode %s', async (mode) => {
      const sink = await open({ ...given, mode })
      const outcomes = await write(sink, [{ id: 1 }, { id: 1 }, { id: 2 }])
      expect(outcomes).toEqual([
        undefined,
        'the table refuses the row: duplicate key value violates unique constraint "t_pkey"',
        undefined,
      ])
      expect((await state()).map(({ id }) => id)).toEqual(['1', '2'])
    })

    test('ignore: what is there stays, within a batch too', async () => {
      for (const conflict of [undefined, ['id']]) {
        const sink = await open({ ...given, onConflict: 'ignore', conflict })
        await write(sink, [
          { id: 1, v: 'a' },
          { id: 1, v: 'b' },
        ])
        expect(await write(sink, [{ id: 1, v: 'c' }])).toEqual([undefined])
      }
      expect(await state()).toEqual([{ id: '1', v: 'a' }])
    })

    test('update: the last one counts, within a batch too, also where only the server sees that keys are equal', async () => {
      const sink = await open({ ...given, onConflict: 'update', conflict: ['id'] })
      expect(
        await write(sink, [
          { id: 1, v: 'a' },
          { id: 2, v: 'b' },
          { id: 1, v: 'c' },
        ]),
      ).toEqual(Array(3).fill(undefined))
      expect(
        await write(sink, [
          { id: '3', v: 'd' },
          { id: '3.0', v: 'e' },
          { id: 2, v: 'f' },
        ]),
      ).toEqual(Array(3).fill(undefined))
      expect((await state()).map(({ v }) => v)).toEqual(['c', 'f', 'e'])
    })

    test('update, from keys of the message: only these keys change, and a message without the key fails', async () => {
      const sink = await open({ onConflict: 'update', conflict: ['id'] })
      expect(await write(sink, [{ id: 1, v: 'a' }, { id: 1 }, { v: 'b' }])).toEqual([
        undefined,
        undefined,
        'the message lacks the key id, which conflict names',
      ])
      expect(await state()).toEqual([{ id: '1', v: 'a' }])
    })

    test('update: rows without a key are all kept', async () => {
      await server.query('CREATE TABLE u (id int UNIQUE, v text)')
      const sink = await open({ ...given, table: 'u', onConflict: 'update', conflict: ['id'] })
      await write(sink, [{ v: 'a' }, { v: 'b' }])
      expect(await server.query('SELECT * FROM u')).toHaveLength(2)
    })
  })

  test('many connections at once: every row is there once, each connection in its order', async () => {
    await server.query('CREATE TABLE t (n serial, lane int, i float8)')
    const sink = await open()
    await Promise.all(
      Array.from({ length: 30 }, async (_, lane) => {
        const source = testSource({ id: `lane-${lane}` })
        for (let i = 0; i < 20; i++) {
          expect(
            await sink.write(
              batchOf(
                [
                  { lane, i },
                  { i: i + 0.5, lane },
                ],
                source,
              ),
            ),
          ).toBeUndefined()
        }
      }),
    )
    const stored = await rows()
    expect(stored).toHaveLength(1200)
    for (let lane = 0; lane < 30; lane++) {
      const own = stored.filter((one) => one['lane'] === lane).map((one) => one['i'])
      expect(own).toEqual(Array.from({ length: 40 }, (_, i) => i / 2))
    }
  })

  test('large batches travel in several statements of one transaction', async () => {
    await server.query('CREATE TABLE t (n serial, a text CHECK (length(a) > 1))')
    const sink = await openBare({ url: server.url, columns: { a: whole } })
    opened.push(sink)
    const large = 'x'.repeat(6 * 1024 * 1024)
    await expect(write(sink, [large, large, large, large, ''])).rejects.toMatchObject({ code: 'sink_failed' })
    expect(await server.query('SELECT count(*)::int FROM t')).toEqual([{ count: 0 }])
    expect(await write(sink, [large, large, large, large])).toEqual(Array(4).fill(undefined))
    expect(await server.query('SELECT count(*)::int FROM t')).toEqual([{ count: 4 }])
  })
})
