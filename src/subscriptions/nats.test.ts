import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hasClient } from '../../scripts/debian-clients.ts'
import { NatsServer } from '../../test/support/nats.ts'
import { compileOptions } from '../../test/support/options.ts'
import { definitionSuite, readOptions } from '../testing/definition-suite.ts'
import { createTestContext } from '../testing/part-context.ts'
import { subscriptionSuite, Taker } from '../testing/subscription-suite.ts'
import { createTcp } from '../transports/tcp.ts'
import { nats } from './nats.ts'

function create(server: NatsServer, given: Record<string, unknown>, endpoint = 'test') {
  const context = createTestContext({ tcp: createTcp(), endpoint })
  return nats.create(compileOptions(nats, { servers: server.url, timeout: '5s', ...given }), context)
}

async function publish(server: NatsServer, subject: string, texts: readonly string[]): Promise<void> {
  const connection = await server.connect()
  for (const text of texts) connection.publish(subject, text)
  await connection.flush()
  await connection.close()
}

describe('the definition', () => {
  for (const { name, run } of definitionSuite(nats)) test(name, run)

  const base = { servers: 'nats:4222', subject: 'a.*' }

  test.each<[string, object, string]>([
    ['two ways to log in', { user: 'a', token: 'b' }, 'give user and password, or token, or creds'],
    ['a queue of JetStream', { queue: 'q' }, 'a queue is for core NATS: those with the same consumer share messages'],
    ['a stream of core NATS', { jetstream: false, stream: 'S' }, 'a stream needs JetStream: remove jetstream: false'],
    ['an empty part', { subject: 'a..b' }, 'no empty part'],
    ['a > that is not the last', { subject: '>.a' }, 'no empty part'],
    ['white space', { subject: 'a b' }, 'white space'],
  ])('refuses %s', (_, given, problem) => {
    expect(() => readOptions(nats, { ...base, ...given })).toThrow(problem)
  })

  test('takes subjects with wildcards', () => {
    for (const subject of ['a', '*', '>', 'a.*.c', 'a.>']) readOptions(nats, { ...base, subject })
  })
})

describe.skipIf(!hasClient('nats-server'))('with a real server', () => {
  let server: NatsServer
  beforeAll(async () => {
    server = await NatsServer.start()
  })
  afterAll(() => server[Symbol.asyncDispose]())
  let count = 0

  describe('JetStream', () => {
    const suite = subscriptionSuite({
      guarantee: 'at least once',
      identifies: true,
      maxInFlight: 10,
      async create() {
        const stream = `S${count++}`
        await server.addStream({ name: stream })
        return {
          create: async () => create(server, { subject: `${stream}.x`, maxInFlight: 10, ackWait: '500ms' }),
          publish: (texts) => publish(server, `${stream}.x`, texts),
        }
      },
    })
    for (const { name, run } of suite) test(name, run)

    test('what is worked on for longer than ackWait is not given again meanwhile', async () => {
      await server.addStream({ name: 'SLOW' })
      await using taker = await Taker.open({
        create: async () => create(server, { subject: 'SLOW.x', ackWait: '200ms' }),
      })
      await publish(server, 'SLOW.x', ['a'])
      await taker.took(1)
      // The server would give it again before this one, which is kept back for longer than its time.
      await server.addStream({ name: 'CLOCK' })
      await using clock = await Taker.open({
        create: async () => create(server, { subject: 'CLOCK.x', ackWait: '600ms', maxInFlight: 1 }, 'clock'),
      })
      await publish(server, 'CLOCK.x', ['tick'])
      await clock.took(1)
      await clock[Symbol.asyncDispose]()
      await using later = await Taker.open({
        create: async () => create(server, { subject: 'CLOCK.x', ackWait: '600ms', maxInFlight: 1 }, 'clock'),
      })
      await later.took(1)
      expect(taker.texts).toEqual(['a'])
      taker.settleAll()
    })

    test('begins with the first message of the stream where it is told to', async () => {
      await server.addStream({ name: 'OLD' })
      await publish(server, 'OLD.x', ['a', 'b'])
      await using taker = await Taker.open({
        create: async () => create(server, { subject: 'OLD.*', startAt: 'first' }),
      })
      expect(await taker.took(2)).toEqual(['a', 'b'])
      expect(taker.deliveries.map(({ id, topic }) => `${topic} ${id}`)).toEqual(['OLD.x OLD:1', 'OLD.x OLD:2'])
      taker.settleAll()
    })

    test('a consumer that is there already goes on where it was, with other options', async () => {
      await server.addStream({ name: 'SAME' })
      const first = await Taker.open({ create: async () => create(server, { subject: 'SAME.x', maxInFlight: 5 }) })
      await publish(server, 'SAME.x', ['a'])
      await first.took(1)
      first.settleAll()
      await first[Symbol.asyncDispose]()
      await publish(server, 'SAME.x', ['b'])
      await using second = await Taker.open({
        create: async () => create(server, { subject: 'SAME.x', maxInFlight: 6 }),
      })
      expect(await second.took(1)).toEqual(['b'])
      second.settleAll()
    })

    test('without a stream it says what to do, and begins when there is one', async () => {
      const taker = new Taker(await create(server, { subject: 'LATER.x' }))
      taker.subscription.start(taker)
      await taker.until(() => taker.failures.length > 0)
      expect(taker.failures[0]).toMatchObject({
        code: 'subscription_failed',
        message: 'no stream of NATS has the subject LATER.x',
        hint: 'Make one: nats stream add NAME --subjects "LATER.x"; or write jetstream: false for core NATS.',
      })
      await server.addStream({ name: 'LATER' })
      await taker.until(() => taker.opens.length > 0)
      await taker[Symbol.asyncDispose]()
    })

    test('a consumer that does not acknowledge each message is refused', async () => {
      await server.addStream({ name: 'OTHER' })
      const connection = await server.connect()
      const { jetstreamManager, AckPolicy } = await import('@nats-io/jetstream')
      const manager = await jetstreamManager(connection)
      await manager.consumers.add('OTHER', { durable_name: 'all', ack_policy: AckPolicy.All })
      await connection.close()
      const taker = new Taker(await create(server, { subject: 'OTHER.x', consumer: 'all' }))
      taker.subscription.start(taker)
      await taker.until(() => taker.failures.length > 0)
      expect(taker.failures[0]!.message).toBe('the consumer all of the stream OTHER does not acknowledge each message')
      await taker[Symbol.asyncDispose]()
    })

    test('a consumer that somebody deletes is made again', async () => {
      await server.addStream({ name: 'GONE' })
      await using taker = await Taker.open({ create: async () => create(server, { subject: 'GONE.x' }) })
      const connection = await server.connect()
      const { jetstreamManager } = await import('@nats-io/jetstream')
      await (await jetstreamManager(connection)).consumers.delete('GONE', 'sluice-test')
      await connection.close()
      await taker.until(() => taker.opens.length > 1)
      expect(taker.failures[0]).toMatchObject({ code: 'subscription_failed' })
      await publish(server, 'GONE.x', ['a'])
      expect(await taker.took(1)).toEqual(['a'])
      taker.settleAll()
    })
  })

  describe('core NATS', () => {
    const suite = subscriptionSuite({
      guarantee: 'at most once',
      identifies: false,
      async create() {
        const subject = `core${count++}`
        return {
          create: async () => create(server, { subject, jetstream: false }),
          publish: (texts) => publish(server, subject, texts),
        }
      },
    })
    for (const { name, run } of suite) test(name, run)

    test('a request can be answered, and a message that asks for nothing cannot', async () => {
      await using taker = await Taker.open({ create: async () => create(server, { subject: 'ask', jetstream: false }) })
      const connection = await server.connect()
      const answer = connection.request('ask', 'a')
      await taker.took(1)
      expect(taker.deliveries[0]!.reply!(Buffer.from('b'))).toBe(true)
      expect((await answer).string()).toBe('b')
      connection.publish('ask', 'c')
      await taker.took(2)
      expect(taker.deliveries[1]!.reply).toBe(undefined)
      await connection.close()
    })

    test('those of one queue share the messages', async () => {
      const given = { subject: 'shared', jetstream: false, queue: 'q' }
      await using one = await Taker.open({ create: async () => create(server, given) })
      await using other = await Taker.open({ create: async () => create(server, given) })
      const texts = Array.from({ length: 50 }, (_, i) => String(i))
      await publish(server, 'shared', texts)
      const all = () => [...one.texts, ...other.texts]
      while (all().length < texts.length) await new Promise(setImmediate)
      expect(all().sort()).toEqual(texts.sort())
    })
  })
})

describe.skipIf(!hasClient('nats-server'))('with permissions', () => {
  test('says that a subject is not allowed', async () => {
    const config = 'authorization { users = [ { user: a, password: b, permissions: { subscribe: ["ok"] } } ] }'
    await using server = await NatsServer.start({ config, login: { user: 'a', pass: 'b' }, jetstream: false })
    const given = { subject: 'secret', jetstream: false, user: 'a', password: 'b' }
    const taker = new Taker(await create(server, given))
    taker.subscription.start(taker)
    await taker.until(() => taker.failures.length > 0)
    expect(taker.failures[0]).toMatchObject({
      code: 'subscription_failed',
      message: 'the NATS user may not subscribe to secret',
    })
    await taker[Symbol.asyncDispose]()
  })

  test('says that the server has no JetStream', async () => {
    await using server = await NatsServer.start({ jetstream: false })
    const taker = new Taker(await create(server, { subject: 'a' }))
    taker.subscription.start(taker)
    await taker.until(() => taker.failures.length > 0)
    expect(taker.failures[0]!.message).toBe('JetStream is not enabled on the NATS server')
    await taker[Symbol.asyncDispose]()
  })
})
