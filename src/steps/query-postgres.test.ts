import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { findPostgres, PostgresServer } from '../../test/support/postgres-server.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Step } from '../contracts/step.ts'
import { createExpression } from '../testing/expressions.ts'
import {
  createMessages,
  createTestClock,
  createTestContext,
  type TestClock,
  type TestContext,
} from '../testing/part-context.ts'
import { runStep } from '../testing/run-step.ts'
import { query } from './query.ts'

describe.skipIf(findPostgres() === undefined)('query of PostgreSQL', () => {
  let server: PostgresServer
  let context: TestContext
  let clock: TestClock
  const opened: Step[] = []

  beforeAll(async () => {
    server = await PostgresServer.start()
  }, 60_000)
  afterAll(() => server[Symbol.asyncDispose]())
  beforeEach(async () => {
    clock = createTestClock()
    context = createTestContext({ clock })
    await server.reset(`CREATE TABLE parts (id int, name text, price numeric(8,2), tags text[], info jsonb, code bytea);
      INSERT INTO parts VALUES (7, 'Pen', 1.50, '{a,"b c"}', '{"x": [1]}', '\\x00ff'), (8, 'Cap', NULL, '{}', NULL, NULL),
        (7, 'Ink', 3, NULL, '"text"', NULL)`)
  })
  afterEach(async () => {
    for (const step of opened.splice(0)) await step.close?.()
  })

  const value = createExpression(({ msg }) => msg, 'msg')

  async function open(sql: string, { postgres = {}, ...given }: Given = {}): Promise<Step> {
    const params = sql.includes('$1') ? [value] : []
    const options = query.options.parse({
      sql,
      params: params.map(() => 'msg'),
      postgres: { url: server.url, ...postgres },
    })
    const step = await query.create({ ...options, ...given, params }, context)
    opened.push(step)
    return step
  }
  interface Given {
    readonly postgres?: Readonly<Record<string, unknown>>
    readonly rows?: 'first' | 'all' | 'value'
    readonly into?: string
  }

  async function run(step: Step, values: readonly unknown[]) {
    const { gives, failures } = await runStep(step, createMessages(values))
    return { gives, failures: failures.map(({ error }) => about(error)) }
  }
  const ask = async (sql: string, values: readonly unknown[], given?: Given) => run(await open(sql, given), values)
  const about = ({ code, message, retryable, hint }: SluiceError) => ({ code, message, retryable, hint })
  const sessions = () =>
    server.query<{ pid: number }>(`SELECT pid FROM pg_stat_activity WHERE application_name = 'sluice'`)

  describe('answers', () => {
    test('the first row, all rows, or one value; null where there is none', async () => {
      const sql = 'SELECT name, id FROM parts WHERE id = $1 ORDER BY name'
      expect((await ask(sql, [7, 9])).gives).toEqual([{ name: 'Ink', id: 7 }, null])
      expect((await ask(sql, [7, 9], { rows: 'all' })).gives).toEqual([
        [
          { name: 'Ink', id: 7 },
          { name: 'Pen', id: 7 },
        ],
        [],
      ])
      expect((await ask(sql, [8, 9], { rows: 'value', into: 'name' })).gives).toEqual([
        { value: 8, name: 'Cap' },
        { value: 9, name: null },
      ])
    })

    test('of every type, as the value that it is', async () => {
      expect((await ask("SELECT * FROM parts WHERE name = 'Pen'", [0])).gives).toEqual([
        { id: 7, name: 'Pen', price: 1.5, tags: ['a', 'b c'], info: { x: [1] }, code: Buffer.from([0, 255]) },
      ])
      const sql = `SELECT 9007199254740993::int8 AS big, 0.1::float4 AS f, true AS yes, '2026-01-02'::date AS day,
        '2026-01-02 03:04:05.5+01'::timestamptz AS at, ARRAY[1.5, NULL]::numeric[] AS list, NULL AS nothing, 1 AS "__proto__"`
      const [row] = (await ask(sql, [0])).gives as [Record<string, unknown>]
      expect(Object.entries(row)).toEqual([
        ['big', '9007199254740993'],
        ['f', 0.1],
        ['yes', true],
        ['day', '2026-01-02'],
        ['at', new Date('2026-01-02T02:04:05.5Z')],
        ['list', [1.5, null]],
        ['nothing', null],
        ['__proto__', 1],
      ])
    })

    test('are read whatever the administrator prefers to see', async () => {
      await server.query(`ALTER ROLE sluice SET "DateStyle" = 'German'; ALTER ROLE sluice SET bytea_output = 'escape'`)
      const sql = `SELECT '2026-03-02 00:00:00Z'::timestamptz AS at, '\\x00'::bytea AS code`
      expect((await ask(sql, [0])).gives).toEqual([{ at: new Date('2026-03-02T00:00:00Z'), code: Buffer.from([0]) }])
      await server.query('ALTER ROLE sluice RESET ALL')
    })

    test('of very many rows only those that are wanted', async () => {
      const many = 'SELECT generate_series(1, 1000000000) AS i'
      expect((await ask(many, [0])).gives).toEqual([{ i: 1 }])
      const { failures } = await ask('SELECT i FROM generate_series(1, 1001) AS i', [0], { rows: 'all' })
      expect(failures).toMatchObject([
        { message: expect.stringContaining('more than 1000 rows'), hint: expect.stringMatching(/LIMIT/) },
      ])
      const whole = await ask('SELECT i FROM generate_series(1, 1000) AS i', [0], { rows: 'all' })
      expect(whole.gives[0]).toHaveLength(1000)
    })
  })

  describe('parameters', () => {
    test('whatever a device sends is a value and never SQL', async () => {
      const step = await open('SELECT $1::text', { rows: 'value' })
      const text = fc.oneof(fc.string(), fc.constantFrom("' OR 1=1 --", "7'; DROP TABLE parts; --", '$1', '"', '\\'))
      await fc.assert(
        fc.asyncProperty(
          fc.array(
            text.filter((one) => !one.includes('\0')),
            { minLength: 1, maxLength: 20 },
          ),
          async (texts) => {
            expect(await run(step, texts)).toEqual({ gives: texts, failures: [] })
          },
        ),
        { numRuns: 20 },
      )
      expect(await server.query('SELECT count(*)::int AS n FROM parts')).toEqual([{ n: 3 }])
    })

    test('have the type that the statement gives them', async () => {
      const name = { rows: 'value' } as const
      expect((await ask('SELECT name FROM parts WHERE tags @> $1', [['b c']], name)).gives).toEqual(['Pen'])
      expect((await ask('SELECT count(*) FROM parts WHERE id = ANY($1)', [[7, 8], []], name)).gives).toEqual([3, 0])
      expect((await ask('SELECT name FROM parts WHERE info = $1', [{ x: [1] }, 'text'], name)).gives).toEqual([
        'Pen',
        'Ink',
      ])
      expect((await ask('SELECT name FROM parts WHERE code = $1', [Buffer.from([0, 255])], name)).gives).toEqual([
        'Pen',
      ])
      expect((await ask('SELECT $1::timestamptz', [new Date(0)], name)).gives).toEqual([new Date(0)])
      expect((await ask('SELECT $1::int IS NULL', [null, undefined, 1], name)).gives).toEqual([true, true, false])
    })

    test('that do not fit fail alone', async () => {
      const { gives, failures } = await ask('SELECT name FROM parts WHERE id = $1', [
        8,
        'abc',
        1.5,
        Buffer.from('7'),
        'a\0',
        8,
      ])
      expect(gives).toEqual([{ name: 'Cap' }, { name: 'Cap' }])
      expect(failures.map(({ code, message, retryable }) => [code, message, retryable])).toEqual([
        ['query_failed', 'the database refuses the query: invalid input syntax for type integer: "abc"', false],
        ['query_failed', 'the database refuses the query: invalid input syntax for type integer: "1.5"', false],
        ['query_failed', 'only the type bytea takes bytes', false],
        ['query_failed', 'PostgreSQL has no text with a NUL character', false],
      ])
    })

    test('are looked at again when the tables have changed', async () => {
      const step = await open('SELECT name FROM parts WHERE code = $1', { rows: 'value' })
      expect((await run(step, [Buffer.from([0, 255])])).gives).toEqual(['Pen'])
      await server.query(`ALTER TABLE parts DROP code; ALTER TABLE parts ADD code int DEFAULT 5`)
      const misfit = 'the type bytea takes bytes or a text'
      expect((await run(step, [5])).failures).toMatchObject([{ message: misfit }])
      // Values that do not fit are nothing unusual, so it is not looked again for each of them.
      expect((await run(step, [5])).failures).toMatchObject([{ message: misfit }])
      clock.advance(10_000)
      expect((await run(step, [5])).failures).toMatchObject([{ message: misfit }])
      expect((await run(step, [5])).gives).toEqual(['Pen'])
      await server.query(`ALTER TABLE parts DROP code`)
      expect((await run(step, [5])).failures).toMatchObject([
        { message: expect.stringMatching(/column "code" does not exist/) },
      ])
      await server.query(`ALTER TABLE parts ADD code bytea DEFAULT '\\x05'`)
      expect((await run(step, [Buffer.from([5])])).gives).toEqual(['Pen'])
    })
  })

  test('nothing can be changed', async () => {
    await server.query('CREATE SEQUENCE numbers')
    const insert = `WITH x AS (INSERT INTO parts (id) VALUES ($1) RETURNING id) SELECT id FROM x`
    expect((await ask(insert, [1])).failures).toMatchObject([
      {
        code: 'query_failed',
        message: 'the statement would change something: cannot execute SELECT in a read-only transaction',
        retryable: false,
        hint: 'A query only reads; to store something, use the sink postgres.',
      },
    ])
    expect((await ask(`SELECT nextval('numbers')`, [1])).failures).toMatchObject([
      { message: expect.stringMatching(/cannot execute nextval/) },
    ])
    expect(await server.query('SELECT count(*)::int AS n FROM parts')).toEqual([{ n: 3 }])
    expect(await sessions()).toHaveLength(1)
  })

  describe('at the start', () => {
    test('a mistake, a missing table or right and wrong credentials stop it, with the cure', async () => {
      const refused = (sql: string, given?: Given) => open(sql, given).catch((error: unknown) => error)
      expect(await refused('SELECT nam FROM parts')).toMatchObject({
        code: 'query_failed',
        message: 'the database refuses the query: column "nam" does not exist',
        retryable: false,
      })
      expect(await refused('SELECT 1 FROM nothing')).toMatchObject({
        message: expect.stringMatching(/"nothing" does not exist/),
        hint: expect.stringMatching(/SCHEMA\.TABLE/),
      })
      expect(await refused('SELECT FROM WHERE')).toMatchObject({
        message: expect.stringMatching(/syntax error at or near "WHERE"/),
      })
      await server.query(
        `DROP ROLE IF EXISTS reader; CREATE ROLE reader LOGIN PASSWORD 'r'; GRANT USAGE ON SCHEMA public TO reader`,
      )
      const reader = { postgres: { url: server.url.replace(/\/\/[^@]*@/, '//reader:r@') } }
      expect(await refused('SELECT 1 FROM parts', reader)).toMatchObject({
        message: expect.stringMatching(/permission denied/),
        hint: expect.stringMatching(/^GRANT SELECT/),
      })
      await server.query('GRANT SELECT ON parts TO reader')
      expect((await ask('SELECT name FROM parts WHERE id = $1', [8], reader)).gives).toEqual([{ name: 'Cap' }])
      const wrong = { postgres: { url: server.url.replace(/:[^:@]*@/, ':not-the-password@') } }
      const thrown = await refused('SELECT 1', wrong)
      expect(thrown).toMatchObject({
        message: expect.stringMatching(/does not let us in: password authentication failed/),
        retryable: false,
      })
      expect(String((thrown as Error).stack)).not.toContain('not-the-password')
      expect(context.logs).toEqual([])
    })

    test('what a NULL would do says nothing of the statement', async () => {
      await server.query(`CREATE FUNCTION strict_one(x int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
        $$ BEGIN IF x IS NULL THEN RAISE 'no NULL please'; END IF; RETURN x; END $$`)
      expect((await ask('SELECT strict_one($1)', [3], { rows: 'value' })).gives).toEqual([3])
    })

    test('without the package it says what to install', async () => {
      const missing = new SluiceError('package_missing', 'the package pg is not installed')
      context = createTestContext({ importPackage: () => Promise.reject(missing) })
      await expect(open('SELECT 1')).rejects.toMatchObject({ code: 'package_missing' })
    })

    test('an absent server does not stop it, and is asked when it is there', async () => {
      await server.stop()
      const step = await open('SELECT name FROM parts WHERE id = $1')
      const gone = `nothing listens at 127.0.0.1:${server.port}`
      expect(context.logs).toMatchObject([{ level: 'warn', text: `${gone}; it will be asked when it can be reached` }])
      expect((await run(step, [8])).failures).toMatchObject([{ code: 'query_failed', message: gone, retryable: true }])
      await server.begin()
      expect((await run(step, [8])).gives).toEqual([{ name: 'Cap' }])
    })
  })

  describe('while it runs', () => {
    /** Waits until so many of our sessions are in a statement that sleeps. */
    async function asleep(count: number): Promise<void> {
      const sql = `SELECT 1 FROM pg_stat_activity WHERE application_name = 'sluice' AND wait_event = 'PgSleep'`
      while ((await server.query(sql)).length < count) await new Promise(setImmediate)
    }

    test.each(['stop', 'kill'] as const)(
      'a server that ends in mid-query (%s) fails what is under way, and is asked again',
      async (end) => {
        const step = await open('SELECT $1::text FROM pg_sleep(CASE WHEN $1 = $$slow$$ THEN 600 ELSE 0 END)', {
          rows: 'value',
        })
        const under = run(step, ['slow', 'slow'])
        await asleep(2)
        await server[end]()
        expect((await under).failures).toMatchObject([
          { code: 'query_failed', retryable: true },
          { code: 'query_failed', retryable: true },
        ])
        await server.begin()
        expect(await run(step, ['a', 'b'])).toEqual({ gives: ['a', 'b'], failures: [] })
      },
    )

    test('a standby is asked like any other server', async () => {
      await server.beginStandby()
      try {
        expect((await ask('SELECT name, pg_is_in_recovery() AS r FROM parts WHERE id = $1', [8])).gives).toEqual([
          { name: 'Cap', r: true },
        ])
      } finally {
        await server.endStandby()
      }
    })

    test('a kept connection that turns out to be broken costs no message', async () => {
      let broken = false
      let connections = 0
      const between = createServer((socket) => {
        connections++
        const there = connect(server.port, '127.0.0.1')
        for (const end of [socket, there])
          end.on('error', () => undefined).on('close', () => [socket, there].map((one) => one.destroy()))
        socket.on('data', (bytes) => {
          if (!broken) there.write(bytes)
          else socket.resetAndDestroy()
          broken = false
        })
        there.pipe(socket)
      })
      between.listen(0, '127.0.0.1')
      await once(between, 'listening')
      const { port } = between.address() as AddressInfo
      const url = server.url.replace(`:${server.port}/`, `:${port}/`)
      const step = await open('SELECT name FROM parts WHERE id = $1', { postgres: { url } })
      broken = true
      expect(await run(step, [8])).toEqual({ gives: [{ name: 'Cap' }], failures: [] })
      expect(connections).toBe(2)
      between.close()
    })

    test('a server that stands still costs the timeout once for a batch, and goes on afterwards', async () => {
      const step = await open('SELECT name FROM parts WHERE id = $1', {
        postgres: { timeout: '1s', maxConnections: 1 },
      })
      server.freeze()
      try {
        const begun = performance.now()
        const { failures } = await run(step, [8, 8, 8, 8, 8])
        const late = {
          code: 'query_failed',
          message: `127.0.0.1:${server.port} did not answer within 1s`,
          retryable: true,
        }
        expect(failures).toMatchObject([late, late, late, late, late])
        expect(performance.now() - begun).toBeLessThan(4000)
      } finally {
        server.thaw()
      }
      expect((await run(step, [8])).gives).toEqual([{ name: 'Cap' }])
    })

    test('a statement that takes too long fails alone, and the connection stays', async () => {
      const sql = 'SELECT $1::float8 FROM pg_sleep($1)'
      const step = await open(sql, { rows: 'value', postgres: { timeout: '2s', maxConnections: 1 } })
      const [before] = await sessions()
      const { gives, failures } = await run(step, [0, 60, 0.001])
      expect(gives).toEqual([0, 0.001])
      expect(failures).toMatchObject([
        { message: expect.stringMatching(/^the statement took longer than the server may take/), retryable: true },
      ])
      expect(await sessions()).toEqual([before])
    })

    test('credentials that are no longer right fail a batch at once, and are right again later', async () => {
      await server.query(`DROP ROLE IF EXISTS turn; CREATE ROLE turn LOGIN PASSWORD 'a'; GRANT USAGE ON SCHEMA public TO turn;
        GRANT SELECT ON parts TO turn`)
      const url = server.url.replace(/\/\/[^@]*@/, '//turn:a@')
      const step = await open('SELECT name FROM parts WHERE id = $1', { postgres: { url, maxConnections: 1 } })
      await server.query(`ALTER ROLE turn PASSWORD 'b';
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'turn'`)
      const { gives, failures } = await run(step, [8, 8, 8])
      expect(gives).toEqual([])
      const refused = { code: 'query_failed', message: expect.stringMatching(/does not let us in: password/) }
      expect(failures).toMatchObject([refused, refused, refused])
      await server.query(`ALTER ROLE turn PASSWORD 'a'`)
      expect((await run(step, [8])).gives).toEqual([{ name: 'Cap' }])
    })

    test('there are never more connections than may be, whoever asks', async () => {
      const sql = 'SELECT $1::int FROM pg_sleep(0.01)'
      const steps = [
        await open(sql, { postgres: { maxConnections: 2 } }),
        await open(sql, { postgres: { maxConnections: 2 } }),
      ]
      const all = await Promise.all([...steps, ...steps].map((step) => run(step, [1, 2, 3, 4])))
      for (const { failures } of all) expect(failures).toEqual([])
      expect(await sessions()).toHaveLength(2)
    })

    test('when the server of Sluice stops without waiting, nothing is waited for', async () => {
      const stop = new AbortController()
      context = createTestContext({ signal: stop.signal })
      const step = await open('SELECT pg_sleep(600)')
      const under = run(step, [1])
      await asleep(1)
      stop.abort()
      expect((await under).failures).toMatchObject([{ code: 'query_failed', retryable: true }])
    })
  })
})
