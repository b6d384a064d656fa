import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hasClient } from '../../scripts/debian-clients.ts'
import { heapInUse } from '../../test/support/garbage.ts'
import { compileOptions } from '../../test/support/options.ts'
import { RedisServer } from '../../test/support/redis.ts'
import { definitionSuite, readOptions } from '../testing/definition-suite.ts'
import { createTestContext } from '../testing/part-context.ts'
import { subscriptionSuite, Taker } from '../testing/subscription-suite.ts'
import { redis } from './redis.ts'

function create(server: RedisServer, given: Record<string, unknown>) {
  const options = { host: '127.0.0.1', port: server.port, timeout: '5s', ...given }
  return redis.create(compileOptions(redis, options), createTestContext())
}

describe('the definition', () => {
  for (const { name, run } of definitionSuite(redis)) test(name, run)

  test.each<[string, object, string]>([
    ['neither stream nor channel', {}, 'give one of stream and channel'],
    ['both', { stream: 'a', group: 'g', channel: 'b' }, 'give one of stream and channel'],
    ['a stream without a group', { stream: 'a' }, 'a stream is read by a group'],
    ['a group of a channel', { channel: 'a', group: 'g' }, 'group is that of a stream'],
    ['a user without a password', { channel: 'a', user: 'u' }, 'password is missing'],
  ])('refuses %s', (_, given, problem) => {
    expect(() => readOptions(redis, given)).toThrow(problem)
  })
})

describe.skipIf(!hasClient('redis-server'))('with a real server', () => {
  let server: RedisServer
  beforeAll(async () => {
    server = await RedisServer.start()
  })
  afterAll(() => server[Symbol.asyncDispose]())
  let count = 0

  describe('a stream', () => {
    const suite = subscriptionSuite({
      guarantee: 'at least once',
      identifies: true,
      maxInFlight: 10,
      async create() {
        const stream = `s${count++}`
        return {
          create: async () => create(server, { stream, group: 'g', maxInFlight: 10 }),
          async publish(texts) {
            for (const text of texts) await server.ask('XADD', stream, '*', 'value', text)
          },
        }
      },
    })
    for (const { name, run } of suite) test(name, run)

    test.each<[string, object, string[], string]>([
      ['the one field value', {}, ['value', 'a'], 'a'],
      ['several fields as JSON', {}, ['value', 'a', 'b', 'c'], '{"value":"a","b":"c"}'],
      ['another field as JSON', {}, ['b', 'c'], '{"b":"c"}'],
      ['the field that was asked for', { field: 'b' }, ['value', 'a', 'b', 'c'], 'c'],
    ])('the payload is %s', async (_, given, fields, payload) => {
      const stream = `fields${count++}`
      await using taker = await Taker.open({ create: async () => create(server, { stream, group: 'g', ...given }) })
      await server.ask('XADD', stream, '5-1', ...fields)
      expect(await taker.took(1)).toEqual([payload])
      expect(taker.deliveries[0]).toMatchObject({ topic: stream, id: `${stream}:5-1` })
      expect(taker.deliveries[0]!.error).toBe(undefined)
      taker.settleAll()
    })

    test('an entry without the field that was asked for is no message, and can be settled', async () => {
      const given = { stream: 'lacking', group: 'g', field: 'f' }
      const taker = await Taker.open({ create: async () => create(server, given) })
      await server.ask('XADD', 'lacking', '5-1', 'b', 'c')
      expect(await taker.took(1)).toEqual(['{"b":"c"}'])
      expect(taker.deliveries[0]!.error).toMatchObject({
        code: 'format_invalid',
        message: 'the entry 5-1 of lacking has no field f',
      })
      taker.settleAll()
      await taker[Symbol.asyncDispose]()
      expect((await server.ask<unknown[]>('XPENDING', 'lacking', 'g'))[0]).toBe(0)
    })

    test('nothing is kept of what has been settled', async () => {
      const given = { stream: 'many', group: 'g', maxInFlight: 1, startAt: 'first' }
      const add = "for i = 1, 10000 do redis.call('XADD', 'many', '*', 'value', 'a') end"
      await server.ask('EVAL', add, '0')
      const heaps: number[] = []
      const all = Promise.withResolvers<void>()
      let taken = 0
      const subscription = await create(server, given)
      subscription.start({
        opened() {},
        failed: all.reject,
        take([delivery]) {
          delivery!.settle!()
          if (++taken % 1000 === 0) heaps.push(heapInUse())
          if (taken === 10_000) all.resolve()
        },
      })
      await all.promise
      await subscription.stop()
      await subscription.close()
      expect(heaps[9]! - heaps[0]!).toBeLessThan(9000 * 96)
    })

    test('an entry that was given and then deleted holds nothing up', async () => {
      const given = { stream: 'deleted', group: 'g' }
      const first = await Taker.open({ create: async () => create(server, given) })
      await server.ask('XADD', 'deleted', '5-1', 'value', 'a')
      await first.took(1)
      await first[Symbol.asyncDispose]()
      await server.ask('XDEL', 'deleted', '5-1')
      const second = await Taker.open({ create: async () => create(server, given) })
      await server.ask('XADD', 'deleted', '5-2', 'value', 'b')
      expect(await second.took(1)).toEqual(['b'])
      second.settleAll()
      await second[Symbol.asyncDispose]()
      expect((await server.ask<unknown[]>('XPENDING', 'deleted', 'g'))[0]).toBe(0)
    })

    test('bytes stay bytes', async () => {
      await using taker = await Taker.open({ create: async () => create(server, { stream: 'bytes', group: 'g' }) })
      await server.ask('EVAL', "return redis.call('XADD', 'bytes', '*', 'value', string.char(255, 0, 128))", '0')
      await taker.took(1)
      expect(taker.deliveries[0]!.payload).toEqual(Buffer.from([255, 0, 128]))
      taker.settleAll()
    })

    test('begins with the first entry where it is told to', async () => {
      await server.ask('XADD', 'old', '5-1', 'value', 'a')
      await using taker = await Taker.open({
        create: async () => create(server, { stream: 'old', group: 'g', startAt: 'first' }),
      })
      expect(await taker.took(1)).toEqual(['a'])
      taker.settleAll()
    })

    test('a key that holds something else is told of', async () => {
      await server.ask('SET', 'text', 'a')
      const taker = new Taker(await create(server, { stream: 'text', group: 'g' }))
      taker.subscription.start(taker)
      await taker.until(() => taker.failures.length > 0)
      expect(taker.failures[0]).toMatchObject({
        code: 'subscription_failed',
        message: expect.stringMatching(/^Redis does not give the group g the stream text: WRONGTYPE /),
        hint: 'The key text holds something else than a stream.',
      })
      await taker[Symbol.asyncDispose]()
    })

    test('a group that somebody destroys is made again', async () => {
      await using taker = await Taker.open({ create: async () => create(server, { stream: 'destroyed', group: 'g' }) })
      await server.ask('XGROUP', 'DESTROY', 'destroyed', 'g')
      await taker.until(() => taker.opens.length > 1)
      expect(taker.failures[0]!.message).toMatch(/NOGROUP|UNBLOCKED/)
      await server.ask('XADD', 'destroyed', '*', 'value', 'a')
      expect(await taker.took(1)).toEqual(['a'])
      taker.settleAll()
    })
  })

  describe('a channel', () => {
    const suite = subscriptionSuite({
      guarantee: 'at most once',
      identifies: false,
      async create() {
        const channel = `c${count++}`
        return {
          create: async () => create(server, { channel }),
          async publish(texts) {
            for (const text of texts) await server.ask('PUBLISH', channel, text)
          },
        }
      },
    })
    for (const { name, run } of suite) test(name, run)

    test('a pattern takes all that fit', async () => {
      await using taker = await Taker.open({ create: async () => create(server, { channel: 'news.*' }) })
      await server.ask('PUBLISH', 'other', 'no')
      await server.ask('PUBLISH', 'news.a', 'yes')
      expect(await taker.took(1)).toEqual(['yes'])
      expect(taker.deliveries[0]!.topic).toBe('news.a')
    })
  })

  test('speaks over a Unix socket', async () => {
    await using taker = await Taker.open({
      create: async () => create(server, { channel: 'a', socket: server.socket }),
    })
    expect(taker.opens).toEqual([{ ip: server.socket, port: 0 }])
  })
})
