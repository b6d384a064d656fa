import { describe, expect, it } from 'vitest'
import { hasClient } from '../../scripts/debian-clients.ts'
import { outOfOrder, sendUnderLoad } from '../support/load.ts'
import { Mosquitto } from '../support/mosquitto.ts'
import { start } from '../support/server.ts'

const load = { connections: 8, lines: 600, outstanding: 20 }
const sent = load.connections * load.lines
const maxBatch = 100

/**
 * What the broker has acknowledged is on its way to the subscriber, and stays so when it is killed: nothing waits inside
 * it, and the subscriber says nothing that a killed broker could leave unread, for which its system would reset the
 * connection and throw away what was sent.
 */
const config = 'allow_anonymous true\nmax_inflight_messages 0\nmax_queued_messages 0'
const subscribe = (server: Mosquitto) => server.subscribe(0)

const dataflow = (server: Mosquitto, options: object = {}, retry: { for: string } = { for: '10s' }) => ({
  listen: {
    lines: {
      port: 0,
      dataflow: [
        { mqtt: { host: '127.0.0.1', port: server.port, topic: 'lines/${client.id}', maxBatch, ...options }, retry },
        { reply: 'OK ${msg}' },
      ],
      onError: [{ reply: 'LOST ${msg}' }],
    },
  },
})

describe.skipIf(!hasClient('mosquitto'))('mqtt', () => {
  it.each([
    { qos: 1, version: 5 },
    { qos: 2, version: 5 },
    { qos: 1, version: 4 },
    { qos: 2, version: 4 },
  ])('killed in mid-batch: what was answered has arrived, in order (%j)', async (options) => {
    await using server = await Mosquitto.start(config)
    await using subscriber = await subscribe(server)
    await using running = await start(dataflow(server, options))
    let kills = 0
    const { acknowledged, refused } = await sendUnderLoad(running.port(), load, async () => {
      await server.save()
      await server.kill()
      kills++
      await server.restart()
    })
    expect(running.all('sink.retried').length).toBeGreaterThan(0)
    expect(refused).toEqual([])
    expect(acknowledged).toHaveLength(sent)
    const received = await subscriber.until((texts) => new Set(texts).size === sent)
    expect(outOfOrder(received)).toEqual([])
    expect(received.length - sent).toBeLessThanOrEqual(kills * maxBatch)
  })

  it('stopped in mid-batch, longer than a write may take: it goes on with the same result', async () => {
    await using server = await Mosquitto.start(config)
    await using subscriber = await subscribe(server)
    await using running = await start(dataflow(server, { timeout: '200ms' }))
    const { acknowledged, refused } = await sendUnderLoad(running.port(), load, async () => {
      await server.stop()
      await running.event('sink.retried')
      server.goOn()
    })
    expect(refused).toEqual([])
    expect(acknowledged).toHaveLength(sent)
    const received = await subscriber.until((texts) => new Set(texts).size === sent)
    expect(outOfOrder(received)).toEqual([])
    // Each attempt that was given up may have been heard.
    expect(received.length - sent).toBeLessThanOrEqual(running.all('sink.retried').length * maxBatch)
  })

  it('away for good: each message fails, says so, and nothing arrives later', async () => {
    await using server = await Mosquitto.absent(config)
    await using running = await start(dataflow(server, {}, { for: '200ms' }))
    const few = { connections: 2, lines: 20, outstanding: 20 }
    const { refused } = await sendUnderLoad(running.port(), few, async () => undefined)
    expect(refused).toHaveLength(40)
    await server.restart()
    await using subscriber = await subscribe(server)
    const { acknowledged } = await sendUnderLoad(running.port(), few, async () => undefined)
    expect(acknowledged).toHaveLength(40)
    expect((await subscriber.received(40)).length).toBe(40)
  })
})
