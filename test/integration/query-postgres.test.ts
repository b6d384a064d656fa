import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { describePlan } from '../../src/config/promise.ts'
import { readPlan } from '../../src/config/read-plan.ts'
import type { Config } from '../../src/index.ts'
import { Peer } from '../support/peer.ts'
import { findPostgres, PostgresServer } from '../support/postgres-server.ts'
import { start, temporaryFolder } from '../support/server.ts'

const yaml = (query: string) => `
  listen:
    scans:
      port: 0
      dataflow:
        - query: ${query}
        - reply: "\${msg.part == null ? 'unknown' : msg.part.shelf}"
      onError:
        - reply: "\${error.code} \${error.retryable}"
`
const ofPart = (url: string) =>
  yaml(`{ postgres: { url: "${url}" }, sql: SELECT shelf FROM parts WHERE id = $1, params: [msg], into: part }`)

describe.skipIf(findPostgres() === undefined)('query of PostgreSQL in a configuration', () => {
  let database: PostgresServer

  beforeAll(async () => {
    database = await PostgresServer.start()
    await database.query(`CREATE TABLE parts (id text PRIMARY KEY, shelf text); INSERT INTO parts VALUES ('A7', 'B2')`)
  }, 60_000)
  afterAll(() => database[Symbol.asyncDispose]())

  it('a device hears what the database has answered, and what it sends is no SQL', async () => {
    await using running = await start(parse(ofPart('${env.DB}')) as Config, { env: { DB: database.url } })
    await using peer = await Peer.connect(running.port())
    expect(await peer.send(`A7\nA8\n' OR 1=1 --\n`).finish().end()).toBe('B2\nunknown\nunknown\n')
  })

  it('hears of an outage, and then answers again', async () => {
    await using running = await start(parse(ofPart(database.url)) as Config)
    await using peer = await Peer.connect(running.port())
    await peer.send('A7\n').hear('B2\n')
    await database.stop()
    await peer.send('A7\n').hear('query_failed true\n')
    await database.begin()
    expect(await peer.send('A7\n').finish().end()).toBe('B2\nquery_failed true\nB2\n')
  })

  it('a table that is missing stops the start, with the place', async () => {
    const config = parse(yaml(`{ postgres: { url: "${database.url}" }, sql: SELECT 1 FROM nowhere }`)) as Config
    await expect(start(config)).rejects.toThrow(/listen\.scans\.dataflow\[0\] \(query\): .*"nowhere" does not exist/)
  })
})

it('check says what is asked, shows no secret, and tells what does not fit', async () => {
  using folder = temporaryFolder()
  const file = join(folder.path, 'sluice.yaml')
  const read = async (text: string) => {
    writeFileSync(file, text)
    return readPlan(file, {})
  }
  const { plan } = await read(ofPart('postgres://me:s3cret@db.local/plant'))
  const promise = describePlan(plan!).join('\n')
  expect(promise).toContain('asks the database plant at db.local:5432')
  expect(promise).not.toContain('s3cret')
  const wrong = async (query: string) => (await read(yaml(query))).report
  expect(await wrong('{ postgres: { host: h }, sql: SELECT 1 }')).toMatch(/user is missing, or url/)
  expect(await wrong('{ postgres: { user: u, tls: { ca: no.pem } }, sql: SELECT 1 }')).toMatch(/no\.pem does not exist/)
  expect(await wrong('{ postgres: { user: u }, sql: "SELECT ?", params: [msg] }')).toMatch(/write \$1 for each/)
  expect(await wrong('{ sqlite: { file: a.db }, sql: "SELECT $1", params: [msg] }')).toMatch(/write \? for each/)
  expect(await wrong('{ postgres: { user: u }, sqlite: { file: a.db }, sql: SELECT 1 }')).toMatch(
    /only one of sqlite and postgres/,
  )
})
