import { describe, expect, it } from 'vitest'
import { hasClient } from '../../scripts/debian-clients.ts'
import { outOfOrder, sendUnderLoad } from '../support/load.ts'
import { NatsServer } from '../support/nats.ts'
import { start } from '../support/server.ts'

const load = { connections: 8, lines: 600, outstanding: 200 }
const sent = load.connections * load.lines

const dataflow = (server: NatsServer, options: object = {}) => ({
  listen: {
    lines: {
      port: 0,
      dataflow: [
        { nats: { servers: server.url, subject: 'S.${client.id}', maxBatch: 50, ...options } },
        { reply: 'OK ${msg}' },
      ],
      onError: [{ reply: 'LOST ${msg}' }],
    },
  },
})

describe.skipIf(!hasClient('nats-server'))('nats', () => {
  it.each([true, false])(
    'killed in mid-batch: what was answered is in the stream, once and in order (pipeline: %j)',
    async (pipeline) => {
      await using server = await NatsServer.start()
      await server.addStream({ name: 'S' })
      await using running = await start(dataflow(server, { pipeline }))
      const { acknowledged, refused } = await sendUnderLoad(running.port(), load, async () => {
        await server.kill()
        await server.restart()
      })
      expect(running.all('sink.retried').length).toBeGreaterThan(0)
      expect(refused).toEqual([])
      const stored = (await server.stored('S')).map(({ text }) => text)
      const found = new Set(stored)
      expect(acknowledged.filter((line) => !found.has(line))).toEqual([])
      expect(acknowledged).toHaveLength(sent)
      expect(stored).toHaveLength(sent)
      expect(outOfOrder(stored)).toEqual([])
    },
  )

  it('stopped in mid-batch, longer than a write may take: it goes on with the same result', async () => {
    await using server = await NatsServer.start()
    await server.addStream({ name: 'S' })
    await using running = await start(dataflow(server, { timeout: '200ms' }))
    const { acknowledged, refused } = await sendUnderLoad(running.port(), load, async () => {
      await server.stop()
      await running.event('sink.retried')
      server.goOn()
    })
    expect(refused).toEqual([])
    const stored = (await server.stored('S')).map(({ text }) => text)
    expect(acknowledged).toHaveLength(sent)
    expect(stored).toHaveLength(sent)
    expect(outOfOrder(stored)).toEqual([])
  })

  it('core NATS: a subscriber that was there sees everything, in order', async () => {
    await using server = await NatsServer.start({ jetstream: false })
    const connection = await server.connect()
    const received: string[] = []
    connection.subscribe('S.>', { callback: (_, message) => void received.push(message.string()) })
    await connection.flush()
    await using running = await start(dataflow(server, { jetstream: false }))
    const { acknowledged } = await sendUnderLoad(running.port(), load, async () => undefined)
    await connection.flush()
    expect(acknowledged).toHaveLength(sent)
    expect(received).toHaveLength(sent)
    expect(outOfOrder(received)).toEqual([])
    await connection.close()
  })

  it('core NATS: killed in mid-batch, everything is published again to whoever has come back', async () => {
    await using server = await NatsServer.start({ jetstream: false })
    await using running = await start(dataflow(server, { jetstream: false }))
    const { acknowledged, refused } = await sendUnderLoad(running.port(), load, async () => {
      await server.kill()
      await server.restart()
    })
    expect(running.all('sink.retried').length).toBeGreaterThan(0)
    expect(refused).toEqual([])
    expect(acknowledged).toHaveLength(sent)
  })
})
