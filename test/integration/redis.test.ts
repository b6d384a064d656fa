import { describe, expect, it } from 'vitest'
import { hasClient } from '../../scripts/debian-clients.ts'
import { outOfOrder, sendUnderLoad } from '../support/load.ts'
import { RedisServer } from '../support/redis.ts'
import { type Running, start } from '../support/server.ts'

const load = { connections: 8, lines: 600, outstanding: 200 }
const sent = load.connections * load.lines

const window = 50

/** What may be there twice: one transaction for each connection that was lost. */
function mostRepeats(running: Running): number {
  const errors = new Set(running.all('sink.retried').map(({ error }) => error))
  return window * [...errors].filter(({ message }) => !message.startsWith('nothing listens')).length
}

const dataflow = (server: RedisServer, target: object) => ({
  listen: {
    lines: {
      port: 0,
      dataflow: [
        { redis: { host: '127.0.0.1', port: server.port, maxBatch: window, fsync: true, ...target } },
        { reply: 'OK ${msg}' },
      ],
      onError: [{ reply: 'LOST ${msg}' }],
    },
  },
})

const targets = [
  {
    target: { stream: 's' },
    read: async (server: RedisServer) => (await server.entries('s')).map(([, value]) => value!),
  },
  { target: { list: 's' }, read: (server: RedisServer) => server.ask<string[]>('LRANGE', 's', '0', '-1') },
]

describe.skipIf(!hasClient('redis-server'))('redis', () => {
  it.each(targets)('killed in mid-batch: what was answered is there, in order: $target', async ({ target, read }) => {
    await using server = await RedisServer.start('--appendonly yes', '--appendfsync always')
    await using running = await start(dataflow(server, target))
    const { acknowledged, refused } = await sendUnderLoad(running.port(), load, async () => {
      await server.kill()
      await server.restart()
    })
    expect(running.all('sink.retried').length).toBeGreaterThan(0)
    expect(refused).toEqual([])
    expect(acknowledged).toHaveLength(sent)
    const found = await read(server)
    const all = new Set(found)
    expect(acknowledged.filter((line) => !all.has(line))).toEqual([])
    expect(outOfOrder(found)).toEqual([])
    expect(found.length - all.size).toBeLessThanOrEqual(mostRepeats(running))
  })

  it('stopped in mid-batch, longer than a write may take: at most one transaction of each lost connection is there twice', async () => {
    await using server = await RedisServer.start('--appendonly yes', '--appendfsync always')
    await using running = await start(dataflow(server, { stream: 's', timeout: '200ms' }))
    const { acknowledged, refused } = await sendUnderLoad(running.port(), load, async () => {
      await server.stop()
      for (let i = 0; i < 3; i++) await running.event('sink.retried', ({ attempt }) => attempt > i)
      server.goOn()
    })
    expect(refused).toEqual([])
    expect(acknowledged).toHaveLength(sent)
    const found = (await server.entries('s')).map(([, value]) => value!)
    const all = new Set(found)
    expect(all.size).toBe(sent)
    expect(outOfOrder(found)).toEqual([])
    expect(found.length - all.size).toBeLessThanOrEqual(mostRepeats(running))
  })
})
