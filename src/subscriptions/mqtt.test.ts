import { connectAsync, type IPublishPacket } from 'mqtt'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hasClient } from '../../scripts/debian-clients.ts'
import { Mosquitto } from '../../test/support/mosquitto.ts'
import { compileOptions } from '../../test/support/options.ts'
import { definitionSuite, readOptions } from '../testing/definition-suite.ts'
import { createTestContext } from '../testing/part-context.ts'
import { subscriptionSuite, Taker } from '../testing/subscription-suite.ts'
import { mqtt } from './mqtt.ts'

function create(server: Mosquitto, given: Record<string, unknown>, id = 'subscribe.test') {
  const options = { host: '127.0.0.1', port: server.port, timeout: '5s', ...given }
  return mqtt.create(compileOptions(mqtt, options), createTestContext({ id }))
}

async function client(server: Mosquitto) {
  return connectAsync({ host: '127.0.0.1', port: server.port, protocolVersion: 5 })
}

async function publish(server: Mosquitto, topic: string, texts: readonly string[], qos: 1 | 2 = 1): Promise<void> {
  const publisher = await client(server)
  await Promise.all(texts.map((text) => publisher.publishAsync(topic, text, { qos })))
  await publisher.endAsync()
}

describe('the definition', () => {
  for (const { name, run } of definitionSuite(mqtt)) test(name, run)

  test.each<[string, object, string]>([
    ['no broker', {}, 'url or host is missing'],
    ['two brokers', { host: 'a', url: 'mqtt://a' }, 'give url or host, and not both'],
    ['QoS 2', { host: 'a', qos: 2 }, 'expected 0 or 1'],
    ['a + that is a part of a level', { host: 'a', topic: 'a/b+' }, 'a topic has + and # only as whole parts'],
    ['a # that is not the last', { host: 'a', topic: '#/a' }, '# only as the last'],
    ['no topic', { host: 'a', topic: [] }, 'Too small'],
  ])('refuses %s', (_, given, problem) => {
    expect(() => readOptions(mqtt, { topic: 'a', ...given })).toThrow(problem)
  })

  test('takes topics with wildcards', () => {
    for (const topic of ['a', '#', '+', '+/a/#', ['a', 'b/+'], '$share/group/a'])
      readOptions(mqtt, { host: 'a', topic })
  })
})

describe.skipIf(!hasClient('mosquitto'))('with a real broker', () => {
  let server: Mosquitto
  beforeAll(async () => {
    server = await Mosquitto.start('allow_anonymous true\nmax_queued_messages 0')
  })
  afterAll(() => server[Symbol.asyncDispose]())
  let count = 0

  describe.each([5, 4])('QoS 1, version %j', (version) => {
    const suite = subscriptionSuite({
      guarantee: 'at least once',
      identifies: false,
      // Mosquitto 2.0.11 answers the first PUBACK with as many messages again, so maxInFlight cannot be shown with it.
      async create() {
        const topic = `test/${count++}`
        return {
          create: async () => create(server, { topic, version, maxInFlight: 10 }),
          publish: (texts) => publish(server, topic, texts),
        }
      },
    })
    for (const { name, run } of suite) test(name, run)
  })

  describe('QoS 0', () => {
    const suite = subscriptionSuite({
      guarantee: 'at most once',
      identifies: false,
      async create() {
        const topic = `test/${count++}`
        return {
          create: async () => create(server, { topic, qos: 0 }),
          publish: (texts) => publish(server, topic, texts),
        }
      },
    })
    for (const { name, run } of suite) test(name, run)
  })

  test('what is published with QoS 2 is given with QoS 1', async () => {
    await using taker = await Taker.open({ create: async () => create(server, { topic: ['two/#', 'three'] }) })
    await publish(server, 'two/x', ['a'], 2)
    expect(await taker.took(1)).toEqual(['a'])
    expect(taker.deliveries[0]).toMatchObject({ topic: 'two/x', settle: expect.any(Function) })
    taker.settleAll()
  })

  test('acknowledgements leave in the order of the messages, and all of them', async () => {
    await using taker = await Taker.open({ create: async () => create(server, { topic: 'acks', clientId: 'acker' }) })
    await publish(server, 'acks', ['a', 'b', 'c'])
    await taker.took(3)
    taker.settleAll()
    await server.logged('Received PUBACK from acker (Mid: 3')
    const acks = [...server.log.matchAll(/Received PUBACK from acker \(Mid: (\d+)/g)].map(([, id]) => id)
    expect(acks).toEqual(['1', '2', '3'])
  })

  test('a request is answered at its response topic, with its correlation data', async () => {
    await using taker = await Taker.open({ create: async () => create(server, { topic: 'ask' }) })
    const asker = await client(server)
    const answered = new Promise<IPublishPacket>((resolve) =>
      asker.once('message', (_topic, _payload, packet) => resolve(packet)),
    )
    await asker.subscribeAsync('answers')
    const properties = { responseTopic: 'answers', correlationData: Buffer.from([1, 2]) }
    await asker.publishAsync('ask', 'a', { qos: 1, properties })
    await taker.took(1)
    expect(taker.deliveries[0]!.reply!(Buffer.from('b'))).toBe(true)
    const answer = await answered
    expect(answer.payload.toString()).toBe('b')
    expect(answer.properties?.correlationData).toEqual(Buffer.from([1, 2]))
    await asker.publishAsync('ask', 'c', { qos: 1 })
    await taker.took(2)
    expect(taker.deliveries[1]!.reply).toBe(undefined)
    taker.settleAll()
    await asker.endAsync()
  })

  test('a retained message comes once, and not again with every connection', async () => {
    const publisher = await client(server)
    await publisher.publishAsync('kept', 'a', { qos: 1, retain: true })
    await publisher.endAsync()
    const first = await Taker.open({ create: async () => create(server, { topic: 'kept' }) })
    expect(await first.took(1)).toEqual(['a'])
    first.settleAll()
    await first[Symbol.asyncDispose]()
    await using second = await Taker.open({ create: async () => create(server, { topic: 'kept' }) })
    await publish(server, 'kept', ['b'])
    expect(await second.took(1)).toEqual(['b'])
    second.settleAll()
  })

  test('those of one share group share the messages', async () => {
    const given = (clientId: string) => ({ topic: '$share/group/shared', clientId })
    await using one = await Taker.open({ create: async () => create(server, given('one')) })
    await using other = await Taker.open({ create: async () => create(server, given('other')) })
    const texts = Array.from({ length: 50 }, (_, i) => String(i))
    await publish(server, 'shared', texts)
    const all = () => [...one.texts, ...other.texts]
    while (all().length < texts.length) {
      one.settleAll()
      other.settleAll()
      await new Promise(setImmediate)
    }
    expect(all().sort()).toEqual(texts.sort())
    one.settleAll()
    other.settleAll()
  })

  test('another client with the same clientId is told of', async () => {
    await using taker = await Taker.open({ create: async () => create(server, { topic: 'mine', clientId: 'twin' }) })
    const twin = await connectAsync({
      host: '127.0.0.1',
      port: server.port,
      protocolVersion: 5,
      clientId: 'twin',
      reconnectPeriod: 0,
    })
    await taker.until(() => taker.failures.length > 0)
    expect(taker.failures[0]!.hint).toBe('If that goes on, another client has the clientId twin too.')
    await twin.endAsync(true)
  })
})

describe.skipIf(!hasClient('mosquitto'))('a broker that refuses', () => {
  test('says who we are', async () => {
    await using server = await Mosquitto.start('allow_anonymous false')
    const taker = new Taker(await create(server, { topic: 'a' }))
    taker.subscription.start(taker)
    await taker.until(() => taker.failures.length > 0)
    expect(taker.failures[0]).toMatchObject({
      message: `the broker at mqtt://127.0.0.1:${server.port} refuses us: not authorised`,
      hint: 'Check username and password, and what the broker allows this user.',
    })
    await taker[Symbol.asyncDispose]()
  })

  test('is connected to when it comes', async () => {
    await using server = await Mosquitto.absent()
    const taker = new Taker(await create(server, { topic: 'a' }))
    taker.subscription.start(taker)
    await taker.until(() => taker.failures.length > 0)
    expect(taker.failures[0]!.message).toBe(`nothing listens at mqtt://127.0.0.1:${server.port}`)
    await server.restart()
    await taker.until(() => taker.opens.length > 0)
    expect(taker.opens).toEqual([{ ip: '127.0.0.1', port: server.port }])
    await taker[Symbol.asyncDispose]()
  })
})
