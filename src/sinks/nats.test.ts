import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { hasClient } from '../../scripts/debian-clients.ts'
import { NatsServer, type NatsServerOptions } from '../../test/support/nats.ts'
import { compileOptions } from '../../test/support/options.ts'
import { type OpenedSink, openedSink, problemOf, writeAndTell } from '../../test/support/real-server.ts'
import { parseServer } from '../brokers/nats-greeting.ts'
import { Batch } from '../contracts/batch.ts'
import { SluiceError } from '../contracts/errors.ts'
import { definitionSuite, readOptions } from '../testing/definition-suite.ts'
import {
  createBatch,
  createMessages,
  createTestContext,
  type TestContext,
  testSource,
} from '../testing/part-context.ts'
import { type SinkUnderTest, sinkSuite } from '../testing/sink-suite.ts'
import { createTcp } from '../transports/tcp.ts'
import { nats } from './nats.ts'

async function open(
  server: NatsServer,
  given: Record<string, unknown> = {},
  overrides: Partial<TestContext> = {},
): Promise<OpenedSink> {
  const context = createTestContext({ tcp: createTcp(), ...overrides })
  const options = compileOptions(nats, { servers: server.url, subject: 'S.a', ...given })
  const sink = await nats.create(options, context)
  return openedSink(sink, context)
}

/** What `create` throws. */
const problem = (server: NatsServer, given: Record<string, unknown> = {}) => problemOf(open(server, given))

/** A batch of messages of several connections, in turns. */
function mixed(texts: readonly string[], sources: number): Batch {
  const all = Array.from({ length: sources }, () => testSource())
  return Batch.of(
    texts.flatMap((text, i) => createMessages([text], { source: all[i % sources]! }).map((one) => one.withKey(text))),
  )
}

/** Connections of this process that are open. */
function sockets(): number {
  return process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length
}

describe('the definition', () => {
  for (const { name, run } of definitionSuite(nats)) test(name, run)

  test('promises what the server can keep', () => {
    expect(nats.confirms({ jetstream: true } as never)).toBe('accepted')
    expect(nats.confirms({ jetstream: false } as never)).toBe('os')
  })

  test.each([
    [{ servers: 'user:pass@host' }, 'give them as user and password'],
    [{ servers: 'wss://host' }, 'give host:port'],
    [{ servers: [] }, '>=1'],
    [{ servers: ['good', 'host:port'] }, 'expected host:port'],
    [{ password: 'x' }, 'user is missing'],
    [{ user: 'u', token: 'x' }, 'give user and password, or token, or creds'],
    [{ jetstream: false, stream: 'S' }, 'a stream needs JetStream'],
    [{ stream: 'a.b' }, 'a name of a stream'],
    [{ headers: { 'Nats-Msg-Id': 'x' } }, 'set by messageId'],
    [{ headers: { 'a b': 'x' } }, 'visible ASCII'],
  ])('refuses %j', (given, message) => {
    expect(() => readOptions(nats, { servers: 'localhost', subject: 'a', ...given })).toThrow(message)
  })

  test.each([
    ['localhost', 'localhost', 4222],
    ['10.0.0.7:5222', '10.0.0.7', 5222],
    ['nats://nats-1:4223/', 'nats-1', 4223],
    ['tls://nats-1', 'nats-1', 4222],
    ['[::1]:4223', '::1', 4223],
  ])('knows the server %s', (server, host, port) => {
    expect(parseServer(server)).toEqual({ host, port })
  })

  test.each(['', 'a b', '::1', 'a:b', 'a:0', 'a:70000', 'http://a', 'a/b'])('knows no server %j', (server) => {
    expect(parseServer(server)).toBeUndefined()
  })

  test('finds files that are not there, before anything is opened', () => {
    const given = readOptions(nats, { servers: 'a', subject: 'a', creds: 'x.creds', tls: { cert: 'c.pem' } })
    const problems = nats.check!(given as never, { resolvePath: (path) => `/nowhere/${path}` })
    expect(problems.map(({ path, message }) => [path.join('.'), message])).toEqual([
      ['creds', 'the file x.creds does not exist'],
      ['tls.cert', 'the file c.pem does not exist'],
      ['tls', 'cert and key belong together'],
    ])
  })
})

describe.skipIf(!hasClient('nats-server'))('with nats-server', () => {
  let server: NatsServer

  beforeAll(async () => {
    server = await NatsServer.start()
    await server.addStream({ name: 'S' })
  })

  afterAll(async () => {
    await server[Symbol.asyncDispose]()
  })

  const texts = async () => (await server.stored('S')).map(({ text }) => text)

  describe('with JetStream, the sink', () => {
    let rounds = 0
    // Messages of different tests have equal keys, so the text must be the message id.
    const create = (given: Record<string, unknown> = {}) =>
      async function create(): Promise<SinkUnderTest> {
        await server.purge('S')
        const round = ++rounds
        const { sink } = await open(server, { messageId: (msg: unknown) => `${round} ${msg}`, ...given })
        return { sink, received: texts }
      }
    const unprintable = { value: undefined }
    for (const { name, run } of sinkSuite({ create: create(), unprintable })) test(name, run)
    for (const { name, run } of sinkSuite({ create: create({ pipeline: false }), unprintable }))
      test(`one by one: ${name}`, run)
  })

  describe('with core NATS, the sink', () => {
    async function create(): Promise<SinkUnderTest> {
      const connection = await server.connect()
      const received: string[] = []
      let arrival = Promise.withResolvers<void>()
      connection.subscribe('core.>', {
        callback: (_, message) => {
          received.push(message.string())
          arrival.resolve()
          arrival = Promise.withResolvers()
        },
      })
      await connection.flush()
      const { sink } = await open(server, { subject: 'core.a', jetstream: false })
      return {
        sink,
        async received(count) {
          while (received.length < count) await arrival.promise
          return received
        },
        cleanup: () => connection.close(),
      }
    }
    for (const { name, run } of sinkSuite({ create, unprintable: { value: undefined } })) test(name, run)
  })

  test('subject, payload and headers are made from the message', async () => {
    await server.purge('S')
    await using opened = await open(server, {
      subject: 'S.${msg.device}',
      payload: '${msg.temp}',
      headers: { Device: 'no ${msg.device}' },
      stream: 'S',
    })
    expect(await writeAndTell(opened.sink, createBatch([{ device: 'x', temp: 21.5 }]))).toBe('all delivered')
    const [stored] = await server.stored('S')
    expect(stored).toMatchObject({ subject: 'S.x', text: '21.5' })
    expect(stored!.header('Device')).toBe('no x')
    expect(stored!.header('Nats-Msg-Id')).toBe('boot-test-1-1/listen.test.dataflow[0]')
    expect(stored!.header('Nats-Expected-Stream')).toBe('S')
  })

  test('a message that is written again is stored once; by another step it is another message', async () => {
    await server.purge('S')
    const batch = mixed(['once 1', 'once 2'], 1)
    await using opened = await open(server)
    await using other = await open(server, {}, { id: 'second' })
    expect(await writeAndTell(opened.sink, batch)).toBe('all delivered')
    expect(await writeAndTell(opened.sink, batch)).toBe('all delivered')
    expect(await texts()).toEqual(['once 1', 'once 2'])
    expect(await writeAndTell(other.sink, batch)).toBe('all delivered')
    expect(await texts()).toEqual(['once 1', 'once 2', 'once 1', 'once 2'])
  })

  test('a message that cannot be published fails alone', async () => {
    await server.purge('S')
    await using opened = await open(server, { subject: 'S.${msg.to}', payload: '${msg.text}', messageId: 'msg.id' })
    const big = 'x'.repeat(2 ** 20 + 1)
    const messages = [
      { to: 'a', text: 'good 1', id: 'good 1' },
      { to: 'a b', text: 'x', id: 'x1' },
      { to: '', text: 'x', id: 'x2' },
      { to: '>', text: 'x', id: 'x3' },
      { to: 'a'.repeat(1000), text: 'x', id: 'x4' },
      { to: 'a', text: big, id: 'x5' },
      { to: 'a', text: 'x', id: 'a\r\nb' },
      { to: 'a', text: 'x', id: '' },
      { to: 'a', text: 'good 2', id: 'good 2' },
    ]
    const wrong = 'is no subject to publish to: it has white space, an empty part, or a * or >'
    expect(await writeAndTell(opened.sink, createBatch(messages))).toEqual([
      undefined,
      `the subject "S.a b" ${wrong}`,
      `the subject "S." ${wrong}`,
      `the subject "S.>" ${wrong}`,
      `the subject "S.${'a'.repeat(1000)}" has more than 1000 characters`,
      expect.stringContaining('NATS cannot take this message'),
      'messageId has a line break in it',
      'messageId gave nothing for this message',
      undefined,
    ])
    expect(await texts()).toEqual(['good 1', 'good 2'])
  })

  test('a subject without a stream fails for good, and its neighbours do not', async () => {
    await server.purge('S')
    await using opened = await open(server, { subject: '${msg}' })
    const outcomes = await opened.sink.write(mixed(['S.1', 'elsewhere.2', 'S.3'], 1))
    expect(outcomes!.map((error) => error && [error.code, error.retryable, error.message])).toEqual([
      undefined,
      ['sink_failed', false, 'no stream takes the subject elsewhere.2 (no responders)'],
      undefined,
    ])
    expect(outcomes![1]!.hint).toContain('nats stream add NAME --subjects elsewhere.2')
    expect(await texts()).toEqual(['S.1', 'S.3'])
  })

  test('what answers for a subject without being a stream is found out', async () => {
    const connection = await server.connect()
    connection.subscribe('service', { callback: (_, message) => void message.respond('hello') })
    await connection.flush()
    await using opened = await open(server, { subject: 'servi${msg}' })
    expect(await writeAndTell(opened.sink, createBatch(['ce']))).toEqual([
      'what answered for this subject is no stream',
    ])
    await connection.close()
  })

  describe('a stream that refuses messages for a while', () => {
    /** Takes two messages of any subject, then refuses until there is room. */
    const full = { name: 'F', max_msgs: 2, discard: 'new' as const }

    test('fails them as retryable, each by itself', async () => {
      await using own = await NatsServer.start()
      await own.addStream(full)
      await using opened = await open(own, { subject: 'F.a' })
      const batch = mixed(['1', '2', '3'], 1)
      const outcomes = await opened.sink.write(batch)
      expect(outcomes!.map((error) => error && [error.code, error.retryable, error.message])).toEqual([
        undefined,
        undefined,
        ['sink_unavailable', true, 'the stream refused the message: maximum messages exceeded'],
      ])
      await own.purge('F')
      expect(await writeAndTell(opened.sink, Batch.of(batch.messages.slice(2)))).toBe('all delivered')
      expect((await own.stored('F')).map(({ text }) => text)).toEqual(['3'])
    })

    test('one by one, nothing of a connection overtakes what was refused', async () => {
      await using own = await NatsServer.start()
      // Per subject, so that only every other message is refused.
      await own.addStream({ ...full, max_msgs: -1, max_msgs_per_subject: 1, discard_new_per_subject: true })
      const batch = mixed(['F.a', 'F.a2', 'F.b', 'F.b2', 'F.c', 'F.c2'], 1)
      const subject = '${msg.left(3)}'
      await using pipelined = await open(own, { subject })
      const refused = 'the stream refused the message: maximum messages per subject exceeded'
      expect(await writeAndTell(pipelined.sink, batch)).toEqual([
        undefined,
        refused,
        undefined,
        refused,
        undefined,
        refused,
      ])
      await own.purge('F')
      await using serial = await open(own, { subject, pipeline: false }, { id: 'serial' })
      expect(await writeAndTell(serial.sink, batch)).toEqual([undefined, refused, refused, refused, refused, refused])
      expect((await own.stored('F')).map(({ text }) => text)).toEqual(['F.a'])
      // Another connection is not held up.
      const others = mixed(['F.a3', 'F.x', 'F.b', 'F.y'], 2)
      expect(await writeAndTell(serial.sink, others)).toEqual([refused, undefined, refused, undefined])
    })
  })

  describe('at the start', () => {
    test('a subject that no stream takes', async () => {
      const error = await problem(server, { subject: 'elsewhere' })
      expect(error.message).toBe('no stream takes the subject elsewhere (no responders)')
      expect(error).toMatchObject({ code: 'sink_failed', retryable: false })
    })

    test('a stream that is not there, or is another one', async () => {
      await server.addStream({ name: 'T' })
      expect((await problem(server, { subject: '${msg}', stream: 'NONE' })).message).toBe('NATS has no stream NONE')
      expect((await problem(server, { stream: 'T' })).message).toBe('the subject S.a belongs to the stream S, not to T')
    })

    test('a stream in memory is pointed out', async () => {
      await server.addStream({ name: 'M', storage: 'memory' })
      await using opened = await open(server, { subject: 'M.a' })
      const text = 'the stream M keeps its messages in memory: they are lost when nats-server ends'
      expect(opened.context.logs).toEqual([{ level: 'warn', text, message: undefined }])
    })

    test('a server without JetStream', async () => {
      await using own = await NatsServer.start({ jetstream: false })
      const error = await problem(own)
      expect(error.message).toBe('JetStream is not enabled on the NATS server')
      await using opened = await open(own, { jetstream: false })
      expect(await writeAndTell(opened.sink, createBatch(['a']))).toBe('all delivered')
    })

    test('a server that is not there does not keep the sink from starting', async () => {
      await using own = await NatsServer.absent()
      await using opened = await open(own)
      const text = `nothing listens on ${own.url} (connection refused)`
      expect(opened.context.logs.map(({ text }) => text)).toEqual([`${text}; it is tried again with the first message`])
      expect(await writeAndTell(opened.sink, createBatch(['a']))).toBe(`sink_unavailable, retryable: ${text}`)
      await own.restart()
      await own.addStream({ name: 'S' })
      expect(await writeAndTell(opened.sink, createBatch(['a']))).toBe('all delivered')
    })

    test('wrong credentials are one sentence without the password', async () => {
      const login: NatsServerOptions['login'] = { user: 'u', pass: 'right' }
      await using own = await NatsServer.start({ config: 'authorization { user: u, password: right }', login })
      const error = await problem(own, { user: 'u', password: 'hunter2' })
      expect(error.message).toBe(`NATS at ${own.url} refuses the credentials`)
      expect(error).toMatchObject({ code: 'sink_failed', retryable: false })
      expect(JSON.stringify([error, error.message, error.stack, error.cause])).not.toContain('hunter2')
      await own.addStream({ name: 'S' })
      await using opened = await open(own, { user: 'u', password: 'right' })
      expect(await writeAndTell(opened.sink, createBatch(['a']))).toBe('all delivered')
    })

    test('something else that listens there', async () => {
      const other = createServer((socket) => socket.end('220 mail.example.org ESMTP\r\n')).listen(0, '127.0.0.1')
      await once(other, 'listening')
      const { port } = other.address() as AddressInfo
      const error = await problem(server, { servers: `127.0.0.1:${port}` })
      expect(error.message).toBe(`what listens on 127.0.0.1:${port} is no NATS server`)
      other.close()
    })

    test('a package that is not installed', async () => {
      const missing = new SluiceError('package_missing', 'the package is not installed')
      const importPackage = () => Promise.reject(missing)
      await expect(open(server, {}, { importPackage })).rejects.toBe(missing)
    })
  })

  test.each([true, false])('what a user may not publish fails for good, alone (jetstream: %j)', async (jetstream) => {
    const permissions = 'permissions: { publish: { deny: "S.secret" } }'
    const login = { user: 'u', pass: 'p' }
    await using own = await NatsServer.start({
      config: `authorization { users: [{ user: u, password: p, ${permissions} }] }`,
      login,
    })
    await own.addStream({ name: 'S' })
    await using opened = await open(own, { subject: 'S.${msg}', user: 'u', password: 'p', jetstream })
    expect(await writeAndTell(opened.sink, createBatch(['a', 'secret', 'b']))).toEqual([
      undefined,
      'the NATS user may not publish to S.secret',
      undefined,
    ])
    expect((await own.stored('S')).map(({ text }) => text)).toEqual(['a', 'b'])
  })

  test.each([true, false])(
    'a server that hangs fails writes in time, and goes on (jetstream: %j)',
    async (jetstream) => {
      await using own = await NatsServer.start()
      await own.addStream({ name: 'S' })
      await using opened = await open(own, { timeout: '1s', jetstream })
      expect(await writeAndTell(opened.sink, mixed(['before'], 1))).toBe('all delivered')
      await own.stop()
      const silent = 'sink_unavailable, retryable: NATS has not answered in time'
      const hung = await writeAndTell(opened.sink, mixed(['hung 1', 'hung 2'], 1))
      expect(hung).toBe(silent)
      // The kernel still takes connections for it.
      const again = `NATS at ${own.url} has not answered in time`
      expect(await writeAndTell(opened.sink, mixed(['hung 1'], 1))).toBe(`sink_unavailable, retryable: ${again}`)
      own.goOn()
      expect(await writeAndTell(opened.sink, mixed(['hung 1', 'hung 2'], 1))).toBe('all delivered')
      const stored = (await own.stored('S')).map(({ text }) => text)
      if (jetstream) expect(stored).toEqual(['before', 'hung 1', 'hung 2'])
      else expect(new Set(stored)).toEqual(new Set(['before', 'hung 1', 'hung 2']))
    },
  )

  test('of several servers one that answers is taken', async () => {
    await using absent = await NatsServer.absent()
    await using hung = await NatsServer.start()
    await hung.stop()
    const servers = [absent.url, hung.url, server.url]
    await using opened = await open(server, { servers, timeout: '5s' })
    expect(opened.context.logs).toEqual([])
    expect(await writeAndTell(opened.sink, mixed(['several'], 1))).toBe('all delivered')
  })

  test('a server that hangs is left with no connection of ours', async () => {
    await using own = await NatsServer.start()
    await own.stop()
    const before = sockets()
    await using opened = await open(own, { timeout: '50ms' })
    for (let i = 0; i < 3; i++)
      expect(await writeAndTell(opened.sink, mixed(['x'], 1))).toContain('not answered in time')
    while (sockets() > before) await new Promise(setImmediate)
  })

  test('sinks with equal connections share one, and the last one closes it', async () => {
    const { context, sink } = await open(server)
    const second = await nats.create(compileOptions(nats, { servers: server.url, subject: 'S.b' }), context)
    const watcher = await server.connect()
    await sink.close()
    expect(await writeAndTell(second, mixed(['shared'], 1))).toBe('all delivered')
    await second.close()
    await watcher.close()
  })

  test('when the server stops without waiting, what is open fails', async () => {
    await using own = await NatsServer.start()
    await own.addStream({ name: 'S' })
    const stop = new AbortController()
    await using opened = await open(own, {}, { signal: stop.signal })
    await own.stop()
    const writing = writeAndTell(opened.sink, mixed(['x'], 1))
    stop.abort()
    expect(await writing).toBe('sink_unavailable, retryable: the server stopped without waiting any longer')
    own.goOn()
  })
})
