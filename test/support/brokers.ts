import { jetstreamManager } from '@nats-io/jetstream'
import { connectAsync } from 'mqtt'
import type { SubscriptionDefinition } from '../../src/contracts/define.ts'
import type { SubscribeEntry } from '../../src/index.ts'
import { mqtt } from '../../src/subscriptions/mqtt.ts'
import { redis } from '../../src/subscriptions/redis.ts'
import { createTestContext } from '../../src/testing/part-context.ts'
import { Taker } from '../../src/testing/subscription-suite.ts'
import { Mosquitto } from './mosquitto.ts'
import { NatsServer } from './nats.ts'
import { compileOptions } from './options.ts'
import { RedisServer } from './redis.ts'

/** The name of the endpoint that subscribes. */
export const ENDPOINT = 'commands'

/** A real broker that keeps messages, and a place in it that an endpoint of the name {@link ENDPOINT} subscribes to. */
export interface TestBroker extends AsyncDisposable {
  /** What stands under `subscribe`, without the dataflow. @param given further options of the subscription */
  entry(given?: object): SubscribeEntry
  publish(texts: readonly string[]): Promise<void>
  /** Ends it without a warning. What it has taken is on its disk. */
  kill(): Promise<void>
  restart(): Promise<void>
  /** What the endpoint has not acknowledged, once it is stopped. Afterwards all of it is. */
  left(): Promise<readonly string[]>
}

/** The program of each broker, and how it is started. */
export const brokers: readonly (readonly [program: string, start: () => Promise<TestBroker>])[] = [
  ['nats-server', startNats],
  ['mosquitto', startMosquitto],
  ['redis-server', startRedis],
]

async function startNats(): Promise<TestBroker> {
  const server = await NatsServer.start()
  await server.addStream({ name: 'S' })
  const consumer = async <T>(ask: (info: { open: number }) => T): Promise<T> => {
    const connection = await server.connect()
    const { num_pending, num_ack_pending } = await (await jetstreamManager(connection)).consumers.info(
      'S',
      `sluice-${ENDPOINT}`,
    )
    await connection.close()
    return ask({ open: num_pending + num_ack_pending })
  }
  return {
    entry: (given) =>
      ({ nats: { servers: server.url, subject: 'S.x', ackWait: '1s', timeout: '5s', ...given } }) as SubscribeEntry,
    async publish(texts) {
      const connection = await server.connect()
      for (const text of texts) await connection.request('S.x', text)
      await connection.close()
    },
    kill: () => server.kill(),
    restart: () => server.restart(),
    async left() {
      const found: string[] = []
      const connection = await server.connect()
      const { jetstream } = await import('@nats-io/jetstream')
      const messages = await (await jetstream(connection).consumers.get('S', `sluice-${ENDPOINT}`)).consume({
        callback(message) {
          found.push(message.string())
          message.ack()
        },
      })
      while ((await consumer(({ open }) => open)) > 0) await new Promise(setImmediate)
      await messages.close()
      await connection.close()
      return found
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

async function startMosquitto(): Promise<TestBroker> {
  const server = await Mosquitto.start()
  const options = { host: '127.0.0.1', port: server.port, topic: 'x', timeout: '5s', clientId: ENDPOINT }
  const publish = async (texts: readonly string[]) => {
    const client = await connectAsync({ host: '127.0.0.1', port: server.port })
    for (const text of texts) await client.publishAsync('x', text, { qos: 1 })
    await client.endAsync()
  }
  return {
    entry: (given) => ({ mqtt: { ...options, ...given } }) as SubscribeEntry,
    publish,
    async kill() {
      await server.save()
      await server.kill()
    },
    restart: () => server.restart(),
    left: () => leftBefore(mqtt, options, publish),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

async function startRedis(): Promise<TestBroker> {
  const server = await RedisServer.start('--appendonly yes', '--appendfsync always')
  const options = { host: '127.0.0.1', port: server.port, stream: 's', group: 'g', timeout: '5s' }
  const publish = async (texts: readonly string[]) => {
    for (const text of texts) await server.ask('XADD', 's', '*', 'value', text)
  }
  return {
    entry: (given) => ({ redis: { ...options, ...given } }) as SubscribeEntry,
    publish,
    kill: () => server.kill(),
    restart: () => server.restart(),
    left: () => leftBefore(redis, options, publish),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

/** What a subscription with the same options is given before something that is published now. */
async function leftBefore(
  definition: (Pick<SubscriptionDefinition, 'create'> & typeof mqtt) | typeof redis,
  options: object,
  publish: (texts: readonly string[]) => Promise<void>,
): Promise<readonly string[]> {
  const create = async () => definition.create(compileOptions(definition, options), createTestContext())
  await using taker = await Taker.open({ create })
  await publish([END])
  while (!taker.texts.includes(END)) await taker.settled(taker.texts.length + 1)
  return taker.texts.slice(0, -1)
}

const END = 'the end'
