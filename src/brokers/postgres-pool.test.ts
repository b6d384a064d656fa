import { expect, test } from 'vitest'
import { findPostgres, PostgresServer } from '../../test/support/postgres-server.ts'
import { createTestContext } from '../testing/part-context.ts'
import { sharePool } from './postgres-pool.ts'

test.skipIf(findPostgres() === undefined)(
  'who waits too long for a connection is told why',
  async () => {
    await using server = await PostgresServer.start()
    const { url } = server
    const address = { url }
    const shared = await sharePool(
      address,
      { timeout: 2000, maxConnections: 1, session: 'readOnly' },
      createTestContext(),
    )
    const pool = shared.value
    const done = Promise.withResolvers<void>()
    const first = pool.use(() => done.promise)
    await expect(pool.use(() => Promise.resolve())).rejects.toMatchObject({
      code: 'sink_unavailable',
      message: `no connection to 127.0.0.1:${server.port} was free within 2s`,
      retryable: true,
    })
    done.resolve()
    await first.catch(() => undefined)
    expect(await pool.use(async (client) => (await client.query('SELECT 1 AS n')).rows)).toEqual([{ n: 1 }])
    await shared.release()
  },
  60_000,
)
