import { describe, expect, it } from 'vitest'
import { hasClient } from '../../scripts/debian-clients.ts'
import type { Config, StepEntry } from '../../src/index.ts'
import { brokers, ENDPOINT, type TestBroker } from '../support/brokers.ts'
import { Peer } from '../support/peer.ts'
import { start } from '../support/server.ts'

const lines = { host: '127.0.0.1', port: 0, dataflow: [{ reply: '${msg}' }] } as const
const toAll = { send: { to: 'all', text: '${msg}' } } as const

/** A server with clients, and the endpoint that subscribes. */
function configOf(broker: TestBroker, dataflow: readonly StepEntry[], given: object = {}): Config {
  return { listen: { lines }, subscribe: { [ENDPOINT]: { ...broker.entry(given), dataflow } } }
}

function numbers(from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, i) => String(from + i))
}

/** A step that holds some messages until it is opened, and remembers all that have come to it. */
function createGate(holds: (msg: string) => boolean) {
  const { promise, resolve } = Promise.withResolvers<void>()
  const came: string[] = []
  const waiting = new Set<() => void>()
  return {
    came,
    open: resolve,
    async step(msg: string) {
      came.push(msg)
      for (const look of waiting) look()
      if (holds(msg)) await promise
      return msg
    },
    async until(condition: (came: readonly string[]) => boolean) {
      while (!condition(came)) {
        await new Promise<void>((look) => waiting.add(look))
      }
    },
  }
}

describe.each(brokers)('%s', (program, startBroker) => {
  const there = hasClient(program as Parameters<typeof hasClient>[0])

  it.skipIf(!there)('delivers to a connected client, in order, and acknowledges all of it', async () => {
    await using broker = await startBroker()
    const running = await start(configOf(broker, [toAll]))
    await running.event('subscription.opened')
    await using peer = await Peer.connect(running.port())
    await running.event('connection.opened')
    await broker.publish(numbers(0, 200))
    await peer.hear('199\n')
    expect(peer.text).toBe(
      numbers(0, 200)
        .map((line) => `${line}\n`)
        .join(''),
    )
    expect(running.server.endpoints.find(({ name }) => name === ENDPOINT)).toMatchObject({
      kind: 'subscribe',
      connections: 1,
      counters: { messagesIn: 200, queuedBytes: 0, opened: 1 },
    })
    await peer[Symbol.asyncDispose]()
    await running[Symbol.asyncDispose]()
    expect(await broker.left()).toEqual([])
  })

  it.skipIf(!there)('killed while messages are under way: they come again, and nothing is lost', async () => {
    await using broker = await startBroker()
    const gate = createGate((msg) => msg === '7')
    const running = await start(configOf(broker, [gate.step]))
    await running.event('subscription.opened')
    await broker.publish(numbers(0, 10))
    await gate.until((came) => came.includes('7'))
    await broker.kill()
    await running.event('subscription.failed', ({ endpoint }) => endpoint === ENDPOINT)
    gate.open()
    await broker.restart()
    while (running.all('subscription.opened').length < 2) await new Promise(setImmediate)
    await broker.publish(numbers(10, 20))
    await gate.until((came) => came.includes('19') && came.filter((msg) => msg === '7').length > 1)
    await running[Symbol.asyncDispose]()
    await broker.left()
    expect(numbers(0, 20).filter((msg) => !gate.came.includes(msg))).toEqual([])
  })

  it.skipIf(!there)('a message that cannot be read becomes a dead letter, and is acknowledged', async () => {
    await using broker = await startBroker()
    const config: Config = {
      listen: { lines },
      subscribe: {
        [ENDPOINT]: { ...broker.entry(), format: 'json', dataflow: [{ send: { to: 'all', text: '${msg.a}' } }] },
      },
    }
    const running = await start(config)
    await running.event('subscription.opened')
    await using peer = await Peer.connect(running.port())
    await running.event('connection.opened')
    await broker.publish(['{', '{"a":"good"}'])
    await peer.hear('good\n')
    const { message, error } = await running.event('deadLetter.stored')
    expect(message.raw.toString()).toBe('{')
    expect(error.code).toBe('format_invalid')
    expect(running.all('frame.rejected')).toHaveLength(1)
    await peer[Symbol.asyncDispose]()
    await running[Symbol.asyncDispose]()
    expect(await broker.left()).toEqual([])
  })

  it.skipIf(!there)('a message for a client that is not there becomes a dead letter, and is acknowledged', async () => {
    await using broker = await startBroker()
    const running = await start(configOf(broker, [{ send: { to: { client: 'nobody' }, text: '${msg}' } }]))
    await running.event('subscription.opened')
    await broker.publish(['a'])
    expect((await running.event('deadLetter.stored')).error.code).toBe('client_unknown')
    await running[Symbol.asyncDispose]()
    expect(await broker.left()).toEqual([])
  })

  it.skipIf(!there)(
    'a reload keeps the subscription: a run ends in the old dataflow, the next takes the new one',
    async () => {
      await using broker = await startBroker()
      const gate = createGate((msg) => msg === 'a')
      await using running = await start(configOf(broker, [gate.step, { send: { to: 'all', text: 'old ${msg}' } }]))
      await running.event('subscription.opened')
      await using peer = await Peer.connect(running.port())
      await running.event('connection.opened')
      await broker.publish(['a'])
      await gate.until((came) => came.includes('a'))
      await running.server.reload(configOf(broker, [{ send: { to: 'all', text: 'new ${msg}' } }]))
      await broker.publish(['b'])
      gate.open()
      await peer.hear('new b\n')
      expect(peer.text).toBe('old a\nnew b\n')
      expect(running.all('subscription.opened')).toHaveLength(1)
    },
  )

  it.skipIf(!there)('a reload with other options subscribes again when the old one has finished', async () => {
    await using broker = await startBroker()
    const gate = createGate((msg) => msg === 'a')
    const running = await start(configOf(broker, [gate.step, { send: { to: 'all', text: 'old ${msg}' } }]))
    await running.event('subscription.opened')
    await using peer = await Peer.connect(running.port())
    await running.event('connection.opened')
    await broker.publish(['a'])
    await gate.until((came) => came.includes('a'))
    const report = await running.server.reload(
      configOf(broker, [{ send: { to: 'all', text: 'new ${msg}' } }], { maxInFlight: 7 }),
    )
    expect(report.changed).toEqual([ENDPOINT])
    await broker.publish(['b'])
    expect(running.all('subscription.opened')).toHaveLength(1)
    gate.open()
    await peer.hear('new b\n')
    expect(peer.text).toBe('old a\nnew b\n')
    expect(running.all('subscription.opened')).toHaveLength(2)
    await peer[Symbol.asyncDispose]()
    await running[Symbol.asyncDispose]()
    expect(await broker.left()).toEqual([])
  })

  it.skipIf(!there)(
    'a reload that takes it away finishes what has come, and leaves the rest to the broker',
    async () => {
      await using broker = await startBroker()
      await using running = await start(configOf(broker, [toAll]))
      await running.event('subscription.opened')
      await using peer = await Peer.connect(running.port())
      await running.event('connection.opened')
      await broker.publish(['a'])
      await peer.hear('a\n')
      expect((await running.server.reload({ listen: { lines } })).removed).toEqual([ENDPOINT])
      expect(running.server.endpoints.map(({ name }) => name)).toEqual(['lines'])
      await peer[Symbol.asyncDispose]()
      await running.server.stop()
      await broker.publish(['b'])
      expect(await broker.left()).toEqual(['b'])
    },
  )

  it.skipIf(!there)('a stop finishes what is under way, acknowledges it, and its clients are still there', async () => {
    await using broker = await startBroker()
    const gate = createGate(() => true)
    await using running = await start(configOf(broker, [gate.step, toAll]))
    await running.event('subscription.opened')
    await using peer = await Peer.connect(running.port())
    await running.event('connection.opened')
    await broker.publish(['a'])
    await gate.until((came) => came.includes('a'))
    const stopped = running.server.stop()
    await running.event('server.draining')
    await broker.publish(['b'])
    gate.open()
    expect(await peer.end()).toBe('a\n')
    await stopped
    expect(await broker.left()).toEqual(['b'])
  })

  it.skipIf(!there)('a stop that is late acknowledges what has finished and nothing else', async () => {
    await using broker = await startBroker()
    const gate = createGate((msg) => msg === 'slow')
    const running = await start(configOf(broker, [gate.step, toAll]))
    await running.event('subscription.opened')
    await using peer = await Peer.connect(running.port())
    await running.event('connection.opened')
    await broker.publish(['fast'])
    await peer.hear('fast\n')
    await broker.publish(['slow'])
    await gate.until((came) => came.includes('slow'))
    await running.server.stop({ deadline: 50 })
    expect(await broker.left()).toEqual(['slow'])
    gate.open()
    await running[Symbol.asyncDispose]()
  })
})
