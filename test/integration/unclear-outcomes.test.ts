import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { hasClient } from '../../scripts/debian-clients.ts'
import type { Config } from '../../src/index.ts'
import { type FaultProxy, startFaultProxy } from '../faults/fault-proxy.ts'
import { HttpServer } from '../support/http-server.ts'
import { outOfOrder, sendUnderLoad } from '../support/load.ts'
import { NatsServer } from '../support/nats.ts'
import { eventually } from '../support/parts.ts'
import { Peer } from '../support/peer.ts'
import { findPostgres, PostgresServer } from '../support/postgres-server.ts'
import { type Running, start } from '../support/server.ts'

const load = { connections: 4, lines: 150, outstanding: 30 }
const sent = load.connections * load.lines

/** Lines to a sink, and an answer when its step has finished. */
const config = (sink: object) =>
  ({
    listen: {
      lines: {
        port: 0,
        dataflow: [{ ...sink, id: 'store' }, { reply: 'OK ${msg}' }],
        onError: [{ reply: 'LOST ${msg}' }],
      },
    },
  }) as unknown as Config

/** The destination takes what comes, and what it says is lost, until it has been asked again. */
async function loseAnswers(proxy: FaultProxy, running: Running): Promise<void> {
  await proxy.set({ blackhole: true, only: 'answers' })
  await running.event('sink.retried')
  // What was swallowed would be missing in the middle of a connection.
  proxy.resetAll()
  await proxy.set({})
}

const empty = (running: Running) => eventually(() => running.server.buffers.every(({ messages }) => messages === 0))

describe('http', () => {
  it.each(['none', 'disk'])(
    'that refuses one request in three gets everything once and in order, buffer: %s',
    async (buffer) => {
      await using api = await HttpServer.start()
      const taken: string[] = []
      let requests = 0
      api.answer = (response, { body }) => {
        if (++requests % 3 === 0) return void response.writeHead(503).end()
        taken.push(...body.split('\n').filter(Boolean))
        response.end()
      }
      const options = { url: api.url, batch: 'lines', maxBatch: 20, maxInFlight: 1, buffer }
      await using running = await start(config({ http: options }))
      const { acknowledged, refused } = await sendUnderLoad(running.port(), load, async () => {})
      expect(refused).toEqual([])
      expect(acknowledged).toHaveLength(sent)
      await empty(running)
      expect(running.all('sink.retried').length).toBeGreaterThan(0)
      expect(taken.toSorted()).toEqual(acknowledged.toSorted())
      expect(outOfOrder(taken)).toEqual([])
    },
  )

  it('whose answers are lost is asked again with the same keys', async () => {
    await using api = await HttpServer.start()
    await using proxy = await startFaultProxy({ to: { port: api.port } })
    const options = { url: `http://127.0.0.1:${proxy.port}`, maxInFlight: 1, timeout: '300ms' }
    await using running = await start(config({ http: options }))
    const { acknowledged } = await sendUnderLoad(running.port(), load, () => loseAnswers(proxy, running))
    expect(acknowledged).toHaveLength(sent)
    expect(api.requests.length).toBeGreaterThan(sent)
    const byKey = Map.groupBy(api.requests, ({ headers }) => headers['idempotency-key'])
    expect(byKey.size).toBe(sent)
    for (const copies of byKey.values()) expect(new Set(copies.map(({ body }) => body)).size).toBe(1)
  })
})

describe.skipIf(!hasClient('nats-server'))('nats', () => {
  it('whose acknowledgements are lost has each message once, and in order', async () => {
    await using server = await NatsServer.start()
    await server.addStream({ name: 'S' })
    await using proxy = await startFaultProxy({ to: { port: server.port } })
    const options = { servers: `127.0.0.1:${proxy.port}`, subject: 'S.${client.id}', timeout: '300ms' }
    await using running = await start(config({ nats: options }))
    const { acknowledged } = await sendUnderLoad(running.port(), load, () => loseAnswers(proxy, running))
    expect(acknowledged).toHaveLength(sent)
    const stored = (await server.stored('S')).map(({ text }) => text)
    expect(stored.toSorted()).toEqual(acknowledged.toSorted())
    expect(outOfOrder(stored)).toEqual([])
  })

  it('that stands still for a while holds up nobody before a disk buffer, and gets everything once', async () => {
    await using server = await NatsServer.start()
    await server.addStream({ name: 'S' })
    const options = { servers: server.url, subject: 'S.${client.id}', timeout: '300ms', buffer: 'disk' }
    await using running = await start(config({ nats: options }))
    const { acknowledged } = await sendUnderLoad(running.port(), load, async () => {
      await server.stop()
      await running.event('sink.retried')
      await using peer = await Peer.connect(running.port())
      await peer.send('meanwhile\n').hear('OK meanwhile\n')
      server.goOn()
    })
    await empty(running)
    const stored = (await server.stored('S')).map(({ text }) => text)
    expect(stored.toSorted()).toEqual([...acknowledged, 'meanwhile'].toSorted())
    expect(outOfOrder(stored)).toEqual([])
  })
})

describe.skipIf(findPostgres() === undefined)('postgres', () => {
  let database: PostgresServer

  beforeAll(async () => {
    database = await PostgresServer.start()
  }, 60_000)
  afterAll(() => database[Symbol.asyncDispose]())
  beforeEach(() => database.reset('CREATE TABLE lines (n serial, line text PRIMARY KEY)'))

  const options = { table: 'lines', columns: { line: 'msg' }, onConflict: 'ignore', timeout: '1s' }
  const lines = async () =>
    (await database.query<{ line: string }>('SELECT line FROM lines ORDER BY n')).map(({ line }) => line)

  it('whose word of the commit is lost has each row once, and in order', async () => {
    await using proxy = await startFaultProxy({ to: { port: database.port } })
    const url = database.url.replace(`:${database.port}/`, `:${proxy.port}/`)
    await using running = await start(config({ postgres: { ...options, url } }))
    const { acknowledged } = await sendUnderLoad(running.port(), load, () => loseAnswers(proxy, running))
    expect(acknowledged).toHaveLength(sent)
    const stored = await lines()
    expect(stored.toSorted()).toEqual(acknowledged.toSorted())
    expect(outOfOrder(stored)).toEqual([])
  })

  it('killed in the middle of a transaction has the row once, when the device hears of it', async () => {
    await using running = await start(config({ postgres: { ...options, url: database.url, timeout: '30s' } }))
    await using peer = await Peer.connect(running.port())
    await using other = await database.session()
    await other.client.query('BEGIN; LOCK TABLE lines')
    peer.send('a\n')
    const waits = `SELECT 1 FROM pg_stat_activity WHERE application_name = 'sluice' AND wait_event_type = 'Lock'`
    while ((await database.query(waits)).length === 0);
    await database.kill()
    await database.begin()
    await peer.hear('OK a\n')
    expect(await lines()).toEqual(['a'])
  })

  it('that stands still for a while holds up nobody before a disk buffer, and gets everything once', async () => {
    await using running = await start(config({ postgres: { ...options, url: database.url, buffer: 'disk' } }))
    const { acknowledged } = await sendUnderLoad(running.port(), load, async () => {
      database.freeze()
      await running.event('sink.retried')
      await using peer = await Peer.connect(running.port())
      await peer.send('meanwhile\n').hear('OK meanwhile\n')
      database.thaw()
    })
    await empty(running)
    const stored = await lines()
    expect(stored.toSorted()).toEqual([...acknowledged, 'meanwhile'].toSorted())
    expect(outOfOrder(stored)).toEqual([])
  })
})
