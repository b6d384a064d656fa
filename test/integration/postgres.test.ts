import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { describePlan } from '../../src/config/promise.ts'
import { readPlan } from '../../src/config/read-plan.ts'
import type { Config } from '../../src/index.ts'
import { Peer } from '../support/peer.ts'
import { findPostgres, PostgresServer } from '../support/postgres-server.ts'
import { start, temporaryFolder } from '../support/server.ts'

describe.skipIf(findPostgres() === undefined)('postgres in a configuration', () => {
  let database: PostgresServer

  beforeAll(async () => {
    database = await PostgresServer.start()
  }, 60_000)
  afterAll(() => database[Symbol.asyncDispose]())
  beforeEach(() =>
    database.query(`DROP TABLE IF EXISTS scans;
      CREATE TABLE scans (key text PRIMARY KEY, device text NOT NULL, at timestamptz)`),
  )

  const yaml = (url = '${env.DATABASE_URL}') => `
    listen:
      scans:
        port: 0
        format: json
        dataflow:
          - postgres:
              url: ${url}
              table: scans
              columns: { key: msg.id, device: msg.device, at: received }
              onConflict: ignore
          - reply: "OK \${msg.id}"
        onError:
          - reply: "ERR \${msg.id} \${error.code}"
          - deadLetter: {}
  `

  it('a device hears OK when its row is committed, and a row that is refused fails alone', async () => {
    await using running = await start(parse(yaml()) as Config, { env: { DATABASE_URL: database.url } })
    const peers = await Promise.all(Array.from({ length: 8 }, () => Peer.connect(running.port())))
    const lines = (n: number) =>
      Array.from({ length: 10 }, (_, i) => JSON.stringify({ id: `${n}-${i}`, device: i === 7 ? undefined : `d${n}` }))
    await Promise.all(
      peers.map(async (peer, n) => {
        // Sent twice, as a device does that has not heard the answer.
        peer.send(`${[...lines(n), ...lines(n)].join('\n')}\n`)
        const one = Array.from({ length: 10 }, (_, i) => (i === 7 ? `ERR ${n}-7 sink_failed` : `OK ${n}-${i}`))
        expect(await peer.finish().end()).toBe(`${[...one, ...one].join('\n')}\n`)
      }),
    )
    expect(await database.query('SELECT count(*)::int FROM scans')).toEqual([{ count: 72 }])
  })

  it('a wrong password stops the start, with the place and without the password', async () => {
    const url = database.url.replace(/:[^:@]*@/, ':wrong-one@')
    const thrown: unknown = await start(parse(yaml()) as Config, { env: { DATABASE_URL: url } }).catch((error) => error)
    expect((thrown as Error).message).toMatch(/listen\.scans\.dataflow\[0\] \(postgres\): .* does not let us in/)
    expect(String((thrown as Error).stack)).not.toContain('wrong-one')
  })

  it('check says what is promised, and shows no secret', async () => {
    using folder = temporaryFolder()
    writeFileSync(join(folder.path, 'sluice.yaml'), yaml(database.url))
    const { plan } = await readPlan(join(folder.path, 'sluice.yaml'), {})
    const text = describePlan(plan!).join('\n')
    expect(text).toContain('delivers to postgres scans: finished when the row is committed, durable')
    expect(text).not.toContain(encodeURIComponent(PostgresServer.password))
  })
})
