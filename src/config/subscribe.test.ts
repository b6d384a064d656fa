import { describe, expect, test } from 'vitest'
import { createRegistry } from '../registry/builtins.ts'
import { configOfValue } from './loaded.ts'
import { type Planned, planConfig } from './plan.ts'
import { formatPath } from './problems.ts'
import { describePlan } from './promise.ts'

const NATS = { servers: 'nats:4222', subject: 'commands.*' }

function plan(subscribe: unknown, rest: object = {}): Planned {
  return planConfig(configOfValue({ subscribe, ...rest }, '/config'), createRegistry(), {})
}

function problems(entry: unknown, name = 'commands'): string[] {
  return plan({ [name]: entry }).problems.map(
    ({ code, path, message, hint }) =>
      `${code} ${formatPath(path)}: ${message}${hint === undefined ? '' : ` → ${hint}`}`,
  )
}

describe('an entry of subscribe', () => {
  test('has one key that names a subscription, and others beside it', () => {
    const { plan: planned, problems } = plan({ commands: { nats: NATS, format: 'json', dataflow: [{ stdout: {} }] } })
    expect(problems).toEqual([])
    expect(planned!.endpoints).toMatchObject([{ name: 'commands', kind: 'subscribe', maxQueued: 16 * 1024 * 1024 }])
  })

  test.each<[string, unknown, string]>([
    ['none', { dataflow: [] }, 'SUBSCRIPTION_INVALID subscribe.commands: commands does not say what it subscribes to'],
    [
      'two',
      { nats: NATS, redis: { channel: 'a' }, dataflow: [] },
      'SUBSCRIPTION_INVALID subscribe.commands.redis: nats and redis are subscriptions of their own, and stand in one → give each an entry of its own under subscribe',
    ],
    [
      'an unknown one',
      { kafka: {}, dataflow: [] },
      'SUBSCRIPTION_UNKNOWN subscribe.commands.kafka: there is no subscription kafka → there are nats, mqtt, redis',
    ],
    [
      'one that is misspelt',
      { natz: {}, dataflow: [] },
      'SUBSCRIPTION_UNKNOWN subscribe.commands.natz: there is no subscription natz → did you mean nats?',
    ],
    [
      'a misspelt key beside it',
      { nats: NATS, dataflw: [] },
      'KEY_UNKNOWN subscribe.commands.dataflw: dataflw can not stand beside nats → did you mean dataflow?',
    ],
    [
      'a wrong option',
      { nats: { ...NATS, subjct: 'a' }, dataflow: [] },
      'KEY_UNKNOWN subscribe.commands.nats.subjct: subscribe.commands.nats has no option subjct → did you mean subject?',
    ],
    [
      'a wrong value beside it',
      { nats: NATS, limits: { maxQueued: '1 kilo' }, dataflow: [] },
      'VALUE_INVALID subscribe.commands.limits.maxQueued: subscribe.commands.limits.maxQueued is "1 kilo"',
    ],
  ])('with %s is refused', (_, entry, problem) => {
    expect(problems(entry)).toEqual([problem])
  })

  test('without a name is told of', () => {
    expect(problems(NATS, 'nats')).toContain(
      'SUBSCRIPTION_INVALID subscribe.nats: nats stands where the name of an endpoint should → write subscribe: { NAME: { nats: … } }',
    )
  })

  test('without a dataflow is warned of', () => {
    expect(problems({ nats: NATS })).toEqual([
      'DATAFLOW_MISSING subscribe.commands: commands does nothing with its messages → add dataflow: with at least one step',
    ])
  })

  test('has a name that no other endpoint has', () => {
    const listen = { commands: { port: 9100, dataflow: [{ reply: 'a' }] } }
    const { problems } = plan({ commands: { nats: NATS, dataflow: [{ stdout: {} }] } }, { listen })
    expect(problems).toMatchObject([
      { code: 'NAME_TAKEN', message: 'there is an endpoint commands under listen already' },
    ])
  })

  test('is enough by itself', () => {
    expect(planConfig(configOfValue({}, '/config'), createRegistry(), {}).problems).toMatchObject([
      { code: 'NO_ENDPOINT' },
    ])
  })
})

describe('a reply behind a subscription', () => {
  const reply = [{ reply: 'ok' }]

  test.each<[string, object, string]>([
    [
      'of a stream of NATS',
      { nats: NATS },
      'NO_CONNECTION subscribe.commands.dataflow[0].reply: a message of a stream has no reply subject, so there is nobody to answer → take it away; or write jetstream: false, for requests of core NATS',
    ],
    [
      'of MQTT 3.1.1',
      { mqtt: { host: 'a', topic: 'b', version: 4 } },
      'NO_CONNECTION subscribe.commands.dataflow[0].reply: a message of MQTT 3.1.1 has no response topic, so there is nobody to answer → take it away; or leave version: 4 away; or publish with the sink mqtt',
    ],
    [
      'of Redis',
      { redis: { channel: 'a' } },
      'NO_CONNECTION subscribe.commands.dataflow[0].reply: Redis has no way to answer a message → take it away; or publish the answer with the sink redis',
    ],
  ])('%s has nobody to answer', (_, subscription, problem) => {
    expect(problems({ ...subscription, dataflow: reply })).toEqual([problem])
    expect(problems({ ...subscription, dataflow: [{ stdout: {} }], onError: reply })).toEqual([
      problem.replace('dataflow', 'onError'),
    ])
  })

  test.each<[string, object]>([
    ['core NATS', { nats: { ...NATS, jetstream: false } }],
    ['MQTT 5', { mqtt: { host: 'a', topic: 'b' } }],
  ])('of %s answers who asked', (_, subscription) => {
    expect(problems({ ...subscription, dataflow: reply })).toEqual([])
  })

  test('closes nothing', () => {
    expect(problems({ nats: { ...NATS, jetstream: false }, dataflow: [{ close: {} }] })).toEqual([
      'NO_CONNECTION subscribe.commands.dataflow[0].close: close ends a connection, and commands has none that is its own → take it away',
    ])
  })

  test.each<[string, object, number]>([
    ['a stream names its messages', { nats: NATS }, 0],
    ['MQTT does not', { mqtt: { host: 'a', topic: 'b' } }, 1],
    ['but a message may', { mqtt: { host: 'a', topic: 'b' }, key: 'msg' }, 0],
  ])('dedupe needs a key: %s', (_, subscription, count) => {
    const dataflow = [{ dedupe: {}, id: 'once' }, { stdout: {} }]
    expect(problems({ ...subscription, dataflow }).filter((text) => text.startsWith('KEY_MISSING'))).toHaveLength(count)
  })
})

test('the promise says how often, how it is acknowledged and what is known again', () => {
  const dataflow = [{ sqlite: { file: 'a.db', table: 't', columns: { a: 'msg' } } }]
  const { plan: planned } = plan({
    stream: { nats: NATS, dataflow },
    live: { nats: { ...NATS, jetstream: false }, dataflow },
    jobs: { redis: { stream: 'jobs', group: 'g', socket: '/run/redis.sock' }, dataflow },
    topics: { mqtt: { url: 'mqtt://u:secret@a', topic: ['a/+', 'b'] }, dataflow },
  })
  const lines = describePlan(planned!)
  expect(lines).toContain(
    'stream: subscribes to commands.* in its stream of NATS at nats:4222, again when the connection is lost',
  )
  expect(lines).toContain(
    'live: subscribes to the subject commands.* of NATS at nats:4222, again when the connection is lost',
  )
  expect(lines).toContain(
    'jobs: subscribes to the stream jobs of Redis at /run/redis.sock, group g, again when the connection is lost',
  )
  expect(lines).toContain('topics: subscribes to a/+, b of an MQTT broker, QoS 1, again when the connection is lost')
  const text = lines.join('\n')
  expect(text).toContain(
    'each message goes through at least once: the broker keeps a message until it has gone through',
  )
  expect(text).toContain('it is acknowledged (XACK) behind the last step')
  expect(text).toContain('each message goes through at most once: the broker keeps nothing')
  expect(lines.filter((line) => line.endsWith('has the same key (what the broker knows it by)'))).toHaveLength(2)
  expect(text).not.toContain('secret')
})
