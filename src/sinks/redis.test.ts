import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hasClient } from '../../scripts/debian-clients.ts'
import { compileOptions } from '../../test/support/options.ts'
import { RedisServer } from '../../test/support/redis.ts'
import type { Batch } from '../contracts/batch.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Sink } from '../contracts/sink.ts'
import { definitionSuite, readOptions } from '../testing/definition-suite.ts'
import { createBatch, createTestContext, type TestContext } from '../testing/part-context.ts'
import { type SinkUnderTest, sinkSuite } from '../testing/sink-suite.ts'
import { redis } from './redis.ts'

/** A sink, and what it said in its context. */
type Opened = AsyncDisposable & { readonly sink: Sink; readonly context: TestContext }

async function open(
  server: RedisServer,
  given: Record<string, unknown> = { stream: 's' },
  overrides: Partial<TestContext> = {},
): Promise<Opened> {
  const context = createTestContext(overrides)
  const sink = await redis.create(compileOptions(redis, { host: '127.0.0.1', port: server.port, ...given }), context)
  return { sink, context, [Symbol.asyncDispose]: async () => sink.close() }
}

/** The texts of the outcomes, or of the error of the whole write. */
async function write(sink: Sink, batch: Batch): Promise<unknown> {
  try {
    const outcomes = await sink.write(batch)
    return outcomes?.map((error) => error && describeError(error)) ?? 'all delivered'
  } catch (thrown) {
    if (thrown instanceof SluiceError) return describeError(thrown)
    throw thrown
  }
}

function describeError({ code, retryable, message }: SluiceError): string {
  return `${code}${retryable ? ', retryable' : ''}: ${message}`
}

/** What `create` throws. */
async function problem(server: RedisServer, given: Record<string, unknown> = {}): Promise<SluiceError> {
  try {
    await using opened = await open(server, { stream: 's', ...given })
    throw new Error(`it was created: ${JSON.stringify(opened.context.logs)}`)
  } catch (thrown) {
    if (thrown instanceof SluiceError) return thrown
    throw thrown
  }
}

describe('the definition', () => {
  for (const { name, run } of definitionSuite(redis)) test(name, run)

  test('promises what the server must keep', () => {
    expect(redis.confirms({ fsync: false } as never)).toBe('accepted')
    expect(redis.confirms({ fsync: true } as never)).toBe('durable')
  })

  test.each([
    [{}, 'give one of stream, list and publish'],
    [{ stream: 'a', list: 'b' }, 'give one of stream, list and publish'],
    [{ list: 'a', fields: { a: 'msg' } }, 'fields are those of a stream'],
    [{ list: 'a', maxLength: 5 }, 'maxLength is that of a stream'],
    [{ stream: 'a', side: 'left' }, 'side is that of a list'],
    [{ stream: 'a', fields: {} }, 'name at least one field'],
    [{ stream: 'a', fields: { a: 'msg' }, payload: 'x' }, 'give fields or payload'],
    [{ publish: 'a', fsync: true }, 'remove fsync'],
    [{ stream: 'a', user: 'u' }, 'password is missing'],
  ])('refuses %j', (given, message) => {
    expect(() => readOptions(redis, given)).toThrow(message)
  })
})

describe.skipIf(!hasClient('redis-server'))('with redis-server', () => {
  let server: RedisServer

  beforeAll(async () => {
    server = await RedisServer.start()
  })

  afterAll(async () => {
    await server[Symbol.asyncDispose]()
  })

  const values = async (stream = 's') => (await server.entries(stream)).map(([, value]) => value)
  const clear = () => server.ask('FLUSHALL')

  describe('the sink, into a stream', () => {
    async function create(): Promise<SinkUnderTest> {
      await clear()
      const { sink } = await open(server)
      return { sink, received: async () => (await values()) as string[] }
    }
    for (const { name, run } of sinkSuite({ create, unprintable: { value: undefined } })) test(name, run)
  })

  describe('the sink, into a list', () => {
    async function create(): Promise<SinkUnderTest> {
      await clear()
      const { sink } = await open(server, { list: 'l' })
      return { sink, received: () => server.ask('LRANGE', 'l', '0', '-1') }
    }
    for (const { name, run } of sinkSuite({ create, unprintable: { value: undefined } })) test(name, run)
  })

  test('fields, keys and payloads are made from the message; bytes stay bytes', async () => {
    await clear()
    await using stream = await open(server, {
      stream: 'scale:${msg.id}',
      fields: { temp: 'msg.temp', key: 'key', all: 'msg', bytes: 'unhex("00ff0d0a")', none: 'msg.none' },
    })
    expect(await write(stream.sink, createBatch([{ id: 7, temp: 1.5 }]))).toBe('all delivered')
    const [entry] = await server.entries('scale:7')
    expect(entry!.slice(0, 6)).toEqual(['temp', '1.5', 'key', 'boot-test-1-1', 'all', '{"id":7,"temp":1.5}'])
    expect(entry!.slice(8)).toEqual(['none', ''])
    expect(
      await server.ask(
        'EVAL',
        "return redis.call('XRANGE', KEYS[1], '-', '+')[1][2][8] == '\\0\\255\\r\\n'",
        '1',
        'scale:7',
      ),
    ).toBe(1)
    await using list = await open(server, { list: 'l', side: 'left', payload: '<${msg}>' })
    expect(await write(list.sink, createBatch(['a', 'b']))).toBe('all delivered')
    expect(await server.ask('LRANGE', 'l', '0', '-1')).toEqual(['<b>', '<a>'])
  })

  test('a stream is trimmed', async () => {
    await clear()
    await using opened = await open(server, { stream: 's', maxLength: 100 })
    for (let i = 0; i < 10; i++) {
      await write(opened.sink, createBatch(Array.from({ length: 100 }, (_, n) => `${i} ${n}`)))
    }
    const kept = await values()
    expect(kept.length).toBeGreaterThanOrEqual(100)
    expect(kept.length).toBeLessThan(300)
    expect(kept.at(-1)).toBe('9 99')
  })

  test('who has subscribed hears what is published', async () => {
    const { createClient } = await import('redis')
    const client = createClient({ socket: { host: '127.0.0.1', port: server.port } })
    await client.connect()
    const heard: string[] = []
    await client.subscribe('c', (text) => void heard.push(text))
    await using opened = await open(server, { publish: 'c' })
    expect(await write(opened.sink, createBatch(['a', 'b', 'c']))).toBe('all delivered')
    await client.ping()
    expect(heard).toEqual(['a', 'b', 'c'])
    client.destroy()
  })

  test('over a Unix socket, into another database', async () => {
    await using opened = await open(server, { list: 'l', socket: server.socket, database: 3 })
    expect(await write(opened.sink, createBatch(['a']))).toBe('all delivered')
    expect(await server.ask('INFO', 'keyspace')).toContain('db3:keys=1')
  })

  test('a key that holds something else fails its messages alone', async () => {
    await clear()
    await server.ask('SET', 'text', 'x')
    await using opened = await open(server, { list: '${msg.to}', payload: '${msg.n}' })
    const wrong =
      'sink_failed: Redis refused the message: WRONGTYPE Operation against a key holding the wrong kind of value'
    const messages = ['l', 'text', '', 'l'].map((to, n) => ({ to, n }))
    expect(await write(opened.sink, createBatch(messages))).toEqual([
      undefined,
      wrong,
      'sink_failed: the key is empty for this message',
      undefined,
    ])
    expect(await write(opened.sink, createBatch([{ to: 'text', n: 5 }]))).toEqual([wrong])
    expect(await server.ask('LRANGE', 'l', '0', '-1')).toEqual(['0', '3'])
  })

  test('what a user may not write fails alone, though Redis then refuses the transaction', async () => {
    await using own = await RedisServer.start()
    await own.ask('ACL', 'SETUSER', 'u', 'on', '>p', '~open:*', '+@all')
    await using opened = await open(own, { list: '${msg}', user: 'u', password: 'p' })
    const refused = expect.stringContaining('sink_failed: Redis refused the message: NOPERM')
    expect(await write(opened.sink, createBatch(['open:1', 'secret', 'open:2', 'hidden']))).toEqual([
      undefined,
      refused,
      undefined,
      refused,
    ])
    expect(await own.ask<string[]>('KEYS', '*').then((keys) => keys.sort())).toEqual(['open:1', 'open:2'])
  })

  test('a user without transactions writes each message by itself', async () => {
    await using own = await RedisServer.start()
    await own.ask('ACL', 'SETUSER', 'u', 'on', '>p', '~open:*', '+rpush')
    await using opened = await open(own, { list: '${msg}', user: 'u', password: 'p' })
    expect(await write(opened.sink, createBatch(['open:1', 'secret', 'open:2']))).toEqual([
      undefined,
      expect.stringContaining('NOPERM'),
      undefined,
    ])
    expect(await own.ask<string[]>('KEYS', '*').then((keys) => keys.sort())).toEqual(['open:1', 'open:2'])
  })

  describe('while Redis cannot', () => {
    const cannot = 'sink_unavailable, retryable: Redis cannot take the message now: '

    test.each([
      ['it is full', ['CONFIG', 'SET', 'maxmemory', '1'], ['CONFIG', 'SET', 'maxmemory', '0'], 'OOM'],
      ['it has become a replica', ['REPLICAOF', '127.0.0.1', '1'], ['REPLICAOF', 'NO', 'ONE'], 'READONLY'],
      [
        'it has too few replicas',
        ['CONFIG', 'SET', 'min-replicas-to-write', '1'],
        ['CONFIG', 'SET', 'min-replicas-to-write', '0'],
        'NOREPLICAS',
      ],
    ])('because %s, nothing of a write is done, and then all of it, in order', async (_, begin, end, code) => {
      await using own = await RedisServer.start()
      await using opened = await open(own)
      await own.ask(...begin)
      const batch = createBatch(['a', 'b', 'c'])
      const refused = expect.stringMatching(new RegExp(`^${cannot}${code} `))
      expect(await write(opened.sink, batch)).toEqual([refused, refused, refused])
      expect(await write(opened.sink, createBatch(['a']))).toEqual([refused])
      await own.ask(...end)
      expect(await own.entries('s')).toEqual([])
      expect(await write(opened.sink, batch)).toBe('all delivered')
      expect((await own.entries('s')).map(([, value]) => value)).toEqual(['a', 'b', 'c'])
    })
  })

  test('a server that hangs fails writes in time, and goes on', async () => {
    await using own = await RedisServer.start()
    await using opened = await open(own, { stream: 's', timeout: '1s' })
    expect(await write(opened.sink, createBatch(['before']))).toBe('all delivered')
    await own.stop()
    const silent = 'sink_unavailable, retryable: Redis has not answered in time'
    expect(await write(opened.sink, createBatch(['a', 'b']))).toBe(silent)
    // The kernel still takes connections for it, and bytes; nothing may be written into them.
    expect(await write(opened.sink, createBatch(['a', 'b']))).toBe(silent)
    expect(await write(opened.sink, createBatch(['a', 'b']))).toBe(silent)
    own.goOn()
    expect(await write(opened.sink, createBatch(['a', 'b']))).toBe('all delivered')
    const stored = (await own.entries('s')).map(([, value]) => value)
    // The first write may have been executed when the server went on, as a whole; the others were never sent.
    expect([
      ['before', 'a', 'b'],
      ['before', 'a', 'b', 'a', 'b'],
    ]).toContainEqual(stored)
  })

  describe('at the start', () => {
    test('a server that is not there does not keep the sink from starting', async () => {
      await using own = await RedisServer.absent()
      await using opened = await open(own)
      const text = `nothing listens at 127.0.0.1:${own.port}`
      expect(opened.context.logs.map((entry) => entry.text)).toEqual([
        `${text}; it is tried again with the first message`,
      ])
      expect(await write(opened.sink, createBatch(['a']))).toBe(`sink_unavailable, retryable: ${text}`)
      await own.restart()
      expect(await write(opened.sink, createBatch(['a']))).toBe('all delivered')
    })

    test.each([[{ password: 'hunter2' }], [{ user: 'u', password: 'hunter2' }], [{}]])(
      'wrong credentials are one sentence without the password: %j',
      async (given) => {
        await using own = await RedisServer.start('--requirepass right')
        const error = await problem(own, given)
        expect(error.message).toBe(`Redis at 127.0.0.1:${own.port} refuses the credentials`)
        expect(error).toMatchObject({ code: 'sink_failed', retryable: false })
        expect(JSON.stringify([error, error.message, error.stack, error.cause])).not.toContain('hunter2')
        await using opened = await open(own, { stream: 's', password: 'right' })
        expect(await write(opened.sink, createBatch(['a']))).toBe('all delivered')
      },
    )

    test('a database that the server does not have', async () => {
      const { message } = await problem(server, { database: 99 })
      expect(message).toBe(`Redis at 127.0.0.1:${server.port} answers: ERR DB index is out of range`)
    })

    test('a server that does not sync, where it must', async () => {
      const sentence = 'Redis does not sync to disk before it answers'
      expect((await problem(server, { fsync: true })).message).toBe(sentence)
      await using every = await RedisServer.start('--appendonly yes', '--appendfsync everysec')
      expect((await problem(every, { fsync: true })).message).toBe(sentence)
    })

    test('a server that does not say whether it syncs', async () => {
      await using own = await RedisServer.start('--appendonly yes', '--appendfsync always')
      await own.ask('ACL', 'SETUSER', 'u', 'on', '>p', '~*', '+@all', '-config')
      const { message, hint } = await problem(own, { fsync: true, user: 'u', password: 'p' })
      expect(message).toContain('Redis does not say how it syncs: NOPERM')
      expect(hint).toBe('allow the user the command CONFIG GET, or remove fsync: true')
    })

    test('a package that is not installed', async () => {
      const missing = new SluiceError('package_missing', 'the package is not installed')
      const importPackage = () => Promise.reject(missing)
      await expect(open(server, { stream: 's' }, { importPackage })).rejects.toBe(missing)
    })
  })

  test('a server that has stopped to sync is not used after the next connection', async () => {
    await using own = await RedisServer.start('--appendonly yes', '--appendfsync always')
    await using opened = await open(own, { stream: 's', fsync: true })
    expect(await write(opened.sink, createBatch(['a']))).toBe('all delivered')
    await own.ask('CONFIG', 'SET', 'appendfsync', 'no')
    await own.ask('CLIENT', 'KILL', 'TYPE', 'normal')
    // The first write may be the one that finds the connection lost.
    expect(await write(opened.sink, createBatch(['b']))).toMatch(/^sink_unavailable, retryable: /)
    const refused = 'sink_unavailable, retryable: Redis does not sync to disk before it answers'
    expect(await write(opened.sink, createBatch(['b']))).toBe(refused)
    await own.ask('CONFIG', 'SET', 'appendfsync', 'always')
    expect(await write(opened.sink, createBatch(['b']))).toBe('all delivered')
  })

  test('sinks with equal connections share one, and the last one closes it', async () => {
    await using own = await RedisServer.start()
    const { context, sink } = await open(own)
    const second = await redis.create(compileOptions(redis, { host: '127.0.0.1', port: own.port, list: 'l' }), context)
    const connections = async () => (await own.ask<string>('CLIENT', 'LIST')).trim().split('\n').length - 1
    expect(await connections()).toBe(1)
    await sink.close()
    expect(await write(second, createBatch(['a']))).toBe('all delivered')
    await second.close()
    while ((await connections()) > 0) await new Promise(setImmediate)
  })

  test('when the server stops without waiting, what is open fails', async () => {
    await using own = await RedisServer.start()
    const stop = new AbortController()
    await using opened = await open(own, { stream: 's' }, { signal: stop.signal })
    await own.stop()
    const writing = write(opened.sink, createBatch(['x']))
    await new Promise(setImmediate)
    stop.abort()
    expect(await writing).toBe('sink_unavailable, retryable: the server stopped without waiting any longer')
    own.goOn()
  })
})
