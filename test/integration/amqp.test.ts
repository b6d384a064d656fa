import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hasClient } from '../../scripts/debian-clients.ts'
import { outOfOrder, sendUnderLoad } from '../support/load.ts'
import { RabbitMq } from '../support/rabbitmq.ts'
import { type Running, start } from '../support/server.ts'

const load = { connections: 8, lines: 600, outstanding: 20 }
const sent = load.connections * load.lines
const maxBatch = 100

const dataflow = (server: RabbitMq, queue: string, options: object = {}) => ({
  listen: {
    lines: {
      port: 0,
      dataflow: [
        { amqp: { url: server.url, queue, maxBatch, ...options }, retry: { for: '60s' } },
        { reply: 'OK ${msg}' },
      ],
      onError: [{ reply: 'LOST ${msg}' }],
    },
  },
})

describe.skipIf(!hasClient('rabbitmq-server'))('amqp', () => {
  let server: RabbitMq
  beforeAll(async () => {
    server = await RabbitMq.start()
  }, 60_000)
  afterAll(() => server[Symbol.asyncDispose]())

  /** Every line is there, in order, and twice at most what was under way in an attempt that was given up. */
  async function expectAll(queue: string, running: Running): Promise<void> {
    const found = await server.take(queue)
    const lines = found.map(({ text }) => text)
    expect(new Set(lines).size).toBe(sent)
    expect(outOfOrder(lines)).toEqual([])
    expect(lines.length - sent).toBeLessThanOrEqual(Math.max(1, running.all('sink.retried').length) * maxBatch)
    // Copies have the same message-id, so that a consumer can tell them.
    expect(new Set(found.map(({ properties }) => properties['messageId'])).size).toBe(sent)
  }

  it('killed in mid-batch: what was answered is in the queue, in order', async () => {
    await server.addQueue('killed')
    await using running = await start(dataflow(server, 'killed'))
    const { acknowledged, refused } = await sendUnderLoad(running.port(), load, async () => {
      await server.kill()
      await server.restart()
    })
    expect(running.all('sink.retried').length).toBeGreaterThan(0)
    expect(refused).toEqual([])
    expect(acknowledged).toHaveLength(sent)
    await expectAll('killed', running)
  }, 60_000)

  it('stopped in mid-batch, longer than a write may take: it goes on with the same result', async () => {
    await server.addQueue('stopped')
    await using running = await start(dataflow(server, 'stopped', { timeout: '300ms' }))
    const { acknowledged, refused } = await sendUnderLoad(running.port(), load, async () => {
      await server.stop()
      await running.event('sink.retried')
      server.goOn()
    })
    expect(refused).toEqual([])
    expect(acknowledged).toHaveLength(sent)
    await expectAll('stopped', running)
  }, 60_000)
})
