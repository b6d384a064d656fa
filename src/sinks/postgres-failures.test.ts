import { generate } from 'selfsigned'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { findPostgres, PostgresServer } from '../../test/support/postgres-server.ts'
import { type Given, openBare, openMerged } from '../../test/support/postgres-sink.ts'
import { keepsOrder, SinkLoad } from '../../test/support/sink-load.ts'
import { field, whole, write } from '../../test/support/sink-values.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Sink } from '../contracts/sink.ts'
import { withRetry } from '../delivery/retry.ts'
import { createTestContext, type TestContext } from '../testing/part-context.ts'

describe.skipIf(findPostgres() === undefined)('postgres, when something fails', () => {
  let server: PostgresServer
  let context: TestContext
  const opened: Sink[] = []

  beforeAll(async () => {
    server = await PostgresServer.start()
  }, 60_000)
  afterAll(() => server[Symbol.asyncDispose]())
  beforeEach(async () => {
    context = createTestContext()
    await server.reset('CREATE TABLE t (n serial, id text UNIQUE)')
  })
  afterEach(async () => {
    for (const sink of opened.splice(0)) await sink.close()
  })

  async function bare(given: Given = {}): Promise<Sink> {
    const sink = await openBare({ url: server.url, columns: { id: whole }, ...given }, context)
    opened.push(sink)
    return sink
  }

  const ids = async () => (await server.query<{ id: string }>('SELECT id FROM t ORDER BY n')).map(({ id }) => id)
  const failure = (code: string, message: unknown, retryable: boolean) => ({ code, message, retryable })

  describe('at the start', () => {
    test('wrong credentials stop it, in one sentence without the password', async () => {
      const url = server.url.replace(/:[^:@]*@/, ':not-the-password@')
      const thrown = await bare({ url }).catch((error: unknown) => error)
      expect(thrown).toMatchObject({
        ...failure(
          'sink_unavailable',
          expect.stringMatching(/does not let us in: password authentication failed/),
          false,
        ),
        hint: 'Correct user, password and database, or what pg_hba.conf allows.',
      })
      expect(`${(thrown as Error).stack}`).not.toContain('not-the-password')
      await expect(bare({ url: server.url.replace(/:[^:@]*@/, '@') })).rejects.toThrow(
        'asks for a password, and there is none',
      )
      await expect(bare({ url: server.url.replace(/postgres$/, 'nothing') })).rejects.toThrow(
        'database "nothing" does not exist',
      )
      await expect(bare({ url: `${server.url}?sslmode=require` })).rejects.toThrow('does not speak TLS')
    })

    test('a table, a column, a rule or a right that is missing stops it, with the cure', async () => {
      await server.query(`CREATE SCHEMA IF NOT EXISTS other; CREATE TABLE other.x (id int);
        DROP ROLE IF EXISTS guest; CREATE ROLE guest LOGIN PASSWORD 'g'; GRANT USAGE ON SCHEMA public TO guest`)
      await expect(bare({ table: 'nope' })).rejects.toMatchObject({
        ...failure('sink_failed', 'the database has no table "nope"', false),
        hint: 'Create the table, or correct its name.',
      })
      await expect(bare({ table: 'T' })).rejects.toMatchObject({ hint: 'Did you mean t?' })
      await expect(bare({ table: 'x' })).rejects.toMatchObject({ hint: 'Did you mean other.x?' })
      await expect(bare({ columns: { idd: whole } })).rejects.toThrow('the table "t" has no column "idd"')
      await expect(bare({ onConflict: 'update', conflict: ['n'], columns: { n: whole } })).rejects.toMatchObject({
        message: expect.stringMatching(/no unique or exclusion constraint/),
        hint: 'Name under conflict exactly the columns of a PRIMARY KEY or UNIQUE rule.',
      })
      const url = server.url.replace(/\/\/[^@]*@/, '//guest:g@')
      await expect(bare({ url })).rejects.toMatchObject({
        message: expect.stringMatching(/permission denied/),
        hint: expect.stringMatching(/^GRANT INSERT/),
      })
    })

    test('an absent server does not: the rows come when it is there', async () => {
      await server.stop()
      const sink = await bare({ timeout: '5s' })
      expect(context.logs).toMatchObject([
        {
          level: 'warn',
          text: `nothing listens at 127.0.0.1:${server.port}; rows will be sent when it can be reached`,
        },
      ])
      await expect(write(sink, ['a'])).rejects.toMatchObject(
        failure('sink_unavailable', `nothing listens at 127.0.0.1:${server.port}`, true),
      )
      await server.begin()
      expect(await write(sink, ['b'])).toEqual([undefined])
      expect(await ids()).toEqual(['b'])
    })

    test('TLS: an authority of our own is believed when it is named, and nobody else is', async () => {
      const { cert, private: key } = await generate([{ name: 'commonName', value: 'localhost' }], {
        extensions: [
          { name: 'basicConstraints', cA: true },
          { name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }] },
        ],
      })
      const ca = server.write('server.pem', cert)
      await server.stop()
      await server.begin({ ssl: 'on', ssl_cert_file: ca, ssl_key_file: server.write('server.key', key) })
      const url = server.url.replace('127.0.0.1', 'localhost')
      expect(await write(await bare({ url, tls: { ca } }), ['a'])).toEqual([undefined])
      const sessions = await server.query('SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE ssl')
      expect(sessions).toHaveLength(1)
      await expect(bare({ url, tls: true })).rejects.toMatchObject({
        message: `the certificate of localhost:${server.port} is not signed by an authority that is trusted`,
        retryable: false,
      })
      await expect(bare({ tls: { ca } })).rejects.toThrow(
        `the certificate of 127.0.0.1:${server.port} is for another name`,
      )
      await server.stop()
      await server.begin()
    })

    test('without the package it says what to install', async () => {
      const missing = new SluiceError('package_missing', 'the package pg is not installed')
      context = createTestContext({ importPackage: () => Promise.reject(missing) })
      await expect(bare()).rejects.toMatchObject({ code: 'package_missing' })
    })

    test('what confirmations are worth is what the server says', async () => {
      await server.query('CREATE UNLOGGED TABLE u (id text); ALTER ROLE sluice SET synchronous_commit = off')
      const setting = `CREATE FUNCTION setting() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN NEW.id := current_setting('synchronous_commit'); RETURN NEW; END $$;
        CREATE TRIGGER setting BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION setting()`
      await server.query(setting)
      await write(await bare(), ['a'])
      expect(context.logs).toEqual([])
      await write(await bare({ durable: false }), ['a'])
      expect(await ids()).toEqual(['on', 'off'])
      await bare({ table: 'u' })
      expect(context.logs.map(({ text }) => text)).toEqual([expect.stringMatching(/^the table is UNLOGGED/)])
      await server.query('ALTER ROLE sluice RESET synchronous_commit')
      await server.stop()
      await server.begin({ fsync: 'off' })
      await bare()
      expect(context.logs.at(-1)!.text).toMatch(/^the server runs with fsync off/)
      await server.stop()
      await server.begin()
    })
  })

  describe('while it runs', () => {
    test('a server that stands still costs the timeout, and goes on afterwards', async () => {
      const sink = await bare({ timeout: '1500ms' })
      expect(await write(sink, ['a'])).toEqual([undefined])
      server.freeze()
      try {
        const begun = performance.now()
        const late = failure('sink_unavailable', `127.0.0.1:${server.port} did not answer within 1500ms`, true)
        await expect(write(sink, ['b'])).rejects.toMatchObject(late)
        // Now without a connection: the system takes the new one, and nobody speaks.
        await expect(write(sink, ['c'])).rejects.toMatchObject(late)
        expect(performance.now() - begun).toBeLessThan(10_000)
      } finally {
        server.thaw()
      }
      expect(await write(sink, ['d'])).toEqual([undefined])
      expect(await ids()).toEqual(expect.arrayContaining(['a', 'd']))
    })

    test('a lock is waited for until shortly before the timeout, and the connection stays', async () => {
      const sink = await bare({ timeout: '4s', columns: { id: field('id') } })
      await write(sink, [{ id: 'a' }])
      await using other = await server.session()
      await other.client.query('BEGIN; LOCK TABLE t')
      await expect(write(sink, [{ id: 'b' }])).rejects.toMatchObject({
        ...failure('sink_unavailable', expect.stringContaining('canceling statement due to statement timeout'), true),
      })
      const pids = async () => await server.query(`SELECT pid FROM pg_stat_activity WHERE application_name = 'sluice'`)
      const before = await pids()
      await other.client.query('ROLLBACK')
      expect(await write(sink, [{ id: 'c' }])).toEqual([undefined])
      expect(await pids()).toEqual(before)
      expect(await ids()).toEqual(['a', 'c'])
    })

    test('credentials that no longer fit are worth another try', async () => {
      await server.query(`DROP ROLE IF EXISTS worker; CREATE ROLE worker LOGIN PASSWORD 'w' SUPERUSER`)
      const sink = await bare({ url: server.url.replace(/\/\/[^@]*@/, '//worker:w@') })
      await server.query(`ALTER ROLE worker PASSWORD 'x'; SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE usename = 'worker'`)
      await expect(write(sink, ['a'])).rejects.toMatchObject({ code: 'sink_unavailable', retryable: true })
      await server.query(`ALTER ROLE worker PASSWORD 'w'`)
      const patient = withRetry(sink, { forMs: 10_000, step: 's', signal: context.signal, onRetry: () => undefined })
      expect(await write(patient, ['b'])).toEqual([undefined])
    })

    test('aborting ends a write at once', async () => {
      const controller = new AbortController()
      context = createTestContext({ signal: controller.signal })
      const sink = await bare()
      await using other = await server.session()
      await other.client.query('BEGIN; LOCK TABLE t')
      const written = write(sink, ['a'])
      const waits = `SELECT 1 FROM pg_stat_activity WHERE application_name = 'sluice' AND wait_event_type = 'Lock'`
      while ((await server.query(waits)).length === 0);
      controller.abort()
      await expect(written).rejects.toMatchObject({ code: 'sink_unavailable', retryable: true })
    })

    test('sinks with equal options share connections, and the last one closes them', async () => {
      const [one, two] = [await bare(), await bare({ columns: { id: field('id') } })]
      await write(one, ['a'])
      await write(two, [{ id: 'b' }])
      const sessions = async () =>
        await server.query(`SELECT pid FROM pg_stat_activity WHERE application_name = 'sluice'`)
      expect(await sessions()).toHaveLength(1)
      await one.close()
      expect(await write(two, [{ id: 'c' }])).toEqual([undefined])
      await two.close()
      while ((await sessions()).length > 0);
      expect(await ids()).toEqual(['a', 'b', 'c'])
    })
  })

  test.each([
    { mode: 'insert', onConflict: 'ignore' },
    { mode: 'insert', onConflict: 'update', conflict: ['id'] },
    { mode: 'copy' },
  ])(
    'killed five times under load: all that was confirmed is there, $mode $onConflict',
    { timeout: 60_000 },
    async (how) => {
      if (how.mode === 'copy') await server.query('ALTER TABLE t DROP CONSTRAINT t_id_key')
      const merged = await openMerged({ url: server.url, columns: { id: whole }, timeout: '5s', ...how }, context)
      opened.push(merged)
      const retried: string[] = []
      const onRetry = (_: number, { code }: SluiceError) => retried.push(code)
      const sink = withRetry(merged, { forMs: 30_000, step: 's', signal: context.signal, onRetry })
      const load = new SinkLoad(sink, 16)
      for (let round = 0; round < 5; round++) {
        await load.confirm(300)
        await server.kill()
        // The end of a process is not that of the machine: what it wrote is there, synced or not.
        await server.begin({ fsync: 'off' })
      }
      await load.stop()
      // Each crash was met by writes that were under way, and by nothing but them.
      expect(retried.length).toBeGreaterThanOrEqual(5)
      expect(new Set(retried)).toEqual(new Set(['sink_unavailable']))
      const stored = await ids()
      const distinct = new Set(stored)
      expect(load.confirmed.length).toBeGreaterThan(1500)
      expect(load.confirmed.filter((id) => !distinct.has(id))).toEqual([])
      // What was under way when the server died may be there twice where no rule forbids it: maxBatch × maxInFlight each time.
      expect(stored.length - distinct.size).toBeLessThanOrEqual(how.mode === 'copy' ? 5 * 500 * 4 : 0)
      expect(keepsOrder(stored)).toBe(true)
    },
  )
})
