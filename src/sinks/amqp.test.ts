import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { hasClient } from '../../scripts/debian-clients.ts'
import { freePort } from '../../test/support/free-port.ts'
import { compileOptions } from '../../test/support/options.ts'
import { RabbitMq } from '../../test/support/rabbitmq.ts'
import { type OpenedSink, openedSink, problemOf, writeAndTell } from '../../test/support/real-server.ts'
import { Batch } from '../contracts/batch.ts'
import { SluiceError } from '../contracts/errors.ts'
import { withMerging } from '../delivery/merging.ts'
import { withRetry } from '../delivery/retry.ts'
import { definitionSuite } from '../testing/definition-suite.ts'
import { createBatch, createMessages, createTestContext, type TestContext } from '../testing/part-context.ts'
import { sinkSuite } from '../testing/sink-suite.ts'
import { amqp } from './amqp.ts'

async function open(given: Record<string, unknown>, overrides: Partial<TestContext> = {}): Promise<OpenedSink> {
  const context = createTestContext(overrides)
  const sink = await amqp.create(compileOptions(amqp, given), context)
  return openedSink(sink, context)
}

/** What `create` throws. */
const problem = (given: Record<string, unknown>) => problemOf(open(given))

/** A way to a broker that can be cut, and mended at the same address. */
async function startWay(to: number) {
  const port = await freePort()
  const sockets = new Set<Socket>()
  const listen = async () => {
    const server = createServer((socket) => {
      const other = connect(to, '127.0.0.1')
      for (const one of [socket, other]) {
        sockets.add(one)
        one.on('error', () => undefined)
        one.on('close', () => {
          sockets.delete(one)
          socket.destroy()
          other.destroy()
        })
      }
      socket.pipe(other).pipe(socket)
    }).listen(port, '127.0.0.1')
    await once(server, 'listening')
    return server
  }
  let server = await listen()
  return {
    url: `amqp://127.0.0.1:${port}`,
    async cut() {
      server.close()
      for (const socket of sockets) socket.resetAndDestroy()
      if (server.listening) await once(server, 'close')
    },
    async mend() {
      server = await listen()
    },
  }
}

describe('the definition', () => {
  for (const { name, run } of definitionSuite(amqp)) test(name, run)

  test.each([
    [{ url: 'amqp://a', queue: 'q' }, []],
    [{ url: 'amqps://a/b', exchange: 'e', tls: true }, []],
    [{ url: 'amqp://a', routingKey: 'r' }, []],
    [{ url: 'mqtt://a', queue: 'q' }, ['expected an address such as amqp://user:password@host:5672/vhost']],
    [{ url: 'amqp://a' }, ['queue is missing, or exchange and routingKey']],
    [{ url: 'amqp://a', queue: 'q', routingKey: 'r' }, ['give queue or routingKey, and not both']],
    [{ url: 'amqp://a', queue: 'q', payload: 'x', format: 'json' }, ['give payload or format, and not both']],
    [{ url: 'amqp://a', queue: 'q', tls: true }, ['write amqps:// for TLS']],
  ])('%j', (given, problems) => {
    const { error } = amqp.options.safeParse(given)
    expect(error?.issues.map(({ message }) => message) ?? []).toEqual(problems)
  })

  test('without the package it says what to install', async () => {
    const importPackage = () => Promise.reject(new SluiceError('package_missing', 'amqplib is not installed'))
    const opening = open({ url: 'amqp://127.0.0.1:1', queue: 'q' }, { importPackage })
    await expect(opening).rejects.toMatchObject({ code: 'package_missing' })
  })
})

test('a broker that is away at the start is a warning, and every write says so', async () => {
  const url = `amqp://guest:not-secret@127.0.0.1:${await freePort()}`
  await using opened = await open({ url, queue: 'q' })
  const where = url.replace('guest:not-secret@', '')
  expect(opened.context.logs).toMatchObject([
    { level: 'warn', text: `nothing listens at ${where}; it is tried again with the first message` },
  ])
  expect(await writeAndTell(opened.sink, createBatch(['a']))).toBe(
    `sink_unavailable, retryable: nothing listens at ${where}`,
  )
})

test.each(['amqp', 'amqps'])('a broker that accepts and never speaks is left again: %s', async (protocol) => {
  const left = Promise.withResolvers<void>()
  const server = createServer((socket) => {
    socket.on('error', () => undefined).on('close', () => left.resolve())
    socket.resume()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const url = `${protocol}://127.0.0.1:${address.port}`
  await using opened = await open({ url, queue: 'q', timeout: '100ms' })
  await left.promise
  expect(await writeAndTell(opened.sink, createBatch(['a']))).toBe(
    `sink_unavailable, retryable: ${url} did not answer within 100ms`,
  )
  server.close()
})

describe.skipIf(!hasClient('rabbitmq-server'))('with RabbitMQ', () => {
  let broker: RabbitMq
  let queue: string
  let queues = 0
  beforeAll(async () => {
    broker = await RabbitMq.start()
  }, 60_000)
  afterAll(() => broker[Symbol.asyncDispose]())
  beforeEach(async () => {
    queue = `q${++queues}`
    await broker.addQueue(queue)
  })
  const texts = async () => (await broker.take(queue)).map(({ text }) => text)

  describe('as any sink', () => {
    const suite = sinkSuite({
      unprintable: { value: undefined },
      async create() {
        const way = await startWay(broker.port)
        const { sink } = await open({ url: way.url, queue })
        const all: string[] = []
        return {
          sink,
          way,
          async received(count) {
            do all.push(...(await texts()))
            while (all.length < count)
            return all
          },
          cleanup: () => way.cut(),
        }
      },
      async fail({ way }) {
        await way.cut()
        return () => way.mend()
      },
    })
    for (const { name, run } of suite) test(name, run)
  })

  test('properties and headers', async () => {
    await using opened = await open({
      url: broker.url,
      queue,
      payload: '${msg.kg} kg',
      headers: { id: '${msg.id}', at: '${received}', line: 'L${msg.id}', none: '${msg.none}' },
      contentType: 'text/plain',
    })
    expect(await writeAndTell(opened.sink, createBatch([{ id: 7, kg: 1.5 }]))).toBe('all delivered')
    expect(await broker.take(queue)).toMatchObject([
      {
        text: '1.5 kg',
        properties: {
          contentType: 'text/plain',
          deliveryMode: 2,
          messageId: 'boot-test-1-1',
          headers: { id: 7, at: '2026-01-01T00:00:00.000Z', line: 'L7', none: null },
        },
      },
    ])
  })

  test('messageId and persistent as they are asked for; a key that is too long becomes a digest', async () => {
    await using own = await open({ url: broker.url, queue, messageId: 'm-${msg}', persistent: false })
    await own.sink.write(createBatch(['a']))
    await using long = await open({ url: broker.url, queue })
    const [message] = createMessages(['b'])
    await long.sink.write(Batch.of([message!.withKey('k'.repeat(300))]))
    const found = await broker.take(queue)
    expect(found[0]!.properties).toMatchObject({ messageId: 'm-a', deliveryMode: 1 })
    expect(found[1]!.properties['messageId']).toMatch(/^[0-9a-f]{64}$/)
  })

  describe('an exchange', () => {
    beforeAll(async () => {
      await broker.addQueue('bound')
      await broker.use(async (model) => {
        const channel = await model.createChannel()
        await channel.assertExchange('readings', 'topic', { durable: true })
        await channel.bindQueue('bound', 'readings', 'scales.#')
      })
    })

    test('a message that no queue takes fails alone, and its equals too', async () => {
      await using opened = await open({
        url: broker.url,
        exchange: 'readings',
        routingKey: '${msg}',
        messageId: 'same',
      })
      expect(
        await writeAndTell(
          opened.sink,
          createBatch(['scales.1', 'nowhere', 'scales.2', 'nowhere', 'elsewhere', 'scales.3']),
        ),
      ).toEqual([
        undefined,
        "no queue takes the exchange readings's messages for nowhere (NO_ROUTE)",
        undefined,
        "no queue takes the exchange readings's messages for nowhere (NO_ROUTE)",
        "no queue takes the exchange readings's messages for elsewhere (NO_ROUTE)",
        undefined,
      ])
      const outcomes = await opened.sink.write(createBatch(['scales.4', 'nowhere']))
      expect(outcomes?.[1]).toMatchObject({ code: 'sink_failed', retryable: false })
      expect((await broker.take('bound')).map(({ text, fields }) => [text, fields.routingKey])).toEqual(
        ['scales.1', 'scales.2', 'scales.3', 'scales.4'].map((key) => [key, key]),
      )
    })

    test('mandatory: false lets the broker drop it', async () => {
      const given = { url: broker.url, exchange: 'readings', routingKey: 'nowhere', mandatory: false }
      await using opened = await open(given)
      expect(await writeAndTell(opened.sink, createBatch(['a']))).toBe('all delivered')
    })

    test('a routing key that is too long fails its message', async () => {
      await using opened = await open({ url: broker.url, exchange: 'readings', routingKey: 'scales.${msg}' })
      expect(await writeAndTell(opened.sink, createBatch(['a', 'x'.repeat(300), 'c']))).toEqual([
        undefined,
        expect.stringMatching(/^routingKey is longer than 255 bytes: "scales\.x+"$/),
        undefined,
      ])
      await broker.take('bound')
    })
  })

  test('a queue that is full nacks: that is worth another attempt', async () => {
    await broker.addQueue('small', { arguments: { 'x-max-length': 2, 'x-overflow': 'reject-publish' } })
    await using opened = await open({ url: broker.url, queue: 'small' })
    const outcomes = await opened.sink.write(createBatch(['a', 'b', 'c', 'd']))
    expect(outcomes?.map((error) => error && [error.code, error.retryable])).toEqual([
      undefined,
      undefined,
      ['sink_unavailable', true],
      ['sink_unavailable', true],
    ])
  })

  test('what is missing keeps it from starting, and a password is not shown', async () => {
    const { port, url } = broker
    expect(await problem({ url, queue: 'nobody' })).toMatchObject({
      code: 'sink_failed',
      message: `there is no queue nobody at amqp://127.0.0.1:${port}`,
      hint: 'Declare the queue first, or correct queue:.',
    })
    expect(await problem({ url, exchange: 'nobody' })).toMatchObject({
      message: `there is no exchange nobody at amqp://127.0.0.1:${port}`,
    })
    const wrong = await problem({ url: `amqp://guest:not-secret@127.0.0.1:${port}`, queue })
    expect(wrong).toMatchObject({
      code: 'sink_failed',
      retryable: false,
      message: `the broker at amqp://127.0.0.1:${port} refuses us: wrong user or password`,
    })
    expect(JSON.stringify(wrong)).not.toContain('not-secret')
    expect(await problem({ url: `${url}/other%2Fhost`, queue })).toMatchObject({
      message: `the broker at amqp://127.0.0.1:${port} refuses us the virtual host other/host`,
    })
  })

  test('TLS: the authority is asked for', async () => {
    const url = `amqps://127.0.0.1:${broker.tlsPort}`
    await using opened = await open({ url, queue, tls: { ca: broker.certificate } })
    expect(await writeAndTell(opened.sink, createBatch(['a']))).toBe('all delivered')
    expect(await texts()).toEqual(['a'])
    expect(await problem({ url, queue })).toMatchObject({
      code: 'tls_failed',
      message: `the certificate of ${url} is not signed by an authority that is trusted`,
    })
  })

  test('an exchange that is deleted meanwhile: retryable, and it goes on when it is back', async () => {
    const declare = () =>
      broker.use(async (model) => {
        const channel = await model.createChannel()
        await channel.assertExchange('gone', 'fanout')
        await channel.bindQueue(queue, 'gone', '')
      })
    await declare()
    await using opened = await open({ url: broker.url, exchange: 'gone' })
    await broker.use(async (model) => (await model.createChannel()).deleteExchange('gone'))
    expect(await writeAndTell(opened.sink, createBatch(['a']))).toMatch(/^sink_unavailable, retryable: .*NOT_FOUND/)
    await declare()
    expect(await writeAndTell(opened.sink, createBatch(['a']))).toBe('all delivered')
    expect(await texts()).toEqual(['a'])
  })

  test('a message for which the broker closes the channel is found among the others', async () => {
    // RabbitMQ sends copies to the routing keys in the header CC, and takes offence when it is no list.
    await using opened = await open({ url: broker.url, queue, headers: { CC: '${msg == "x" ? 7 : ["nobody"]}' } })
    const { signal } = new AbortController()
    const merged = withMerging(opened.sink, { maxBatch: 10, maxWait: 0, maxInFlight: 1 })
    const sink = withRetry(merged, { forMs: 10_000, step: 'amqp', signal, onRetry() {} })
    const outcomes = await sink.write(createBatch(['a', 'b', 'x', 'd', 'e']))
    expect(outcomes?.map((error) => error && [error.code, error.retryable])).toEqual([
      undefined,
      undefined,
      ['sink_failed', false],
      undefined,
      undefined,
    ])
    expect([...new Set(await texts())]).toEqual(['a', 'b', 'd', 'e'])
  })

  test('a broker that hangs: retryable within the timeout, then it goes on', async () => {
    await using opened = await open({ url: broker.url, queue, timeout: '300ms' })
    await broker.stop()
    const began = performance.now()
    expect(await writeAndTell(opened.sink, createBatch(['a', 'b']))).toBe(
      `sink_unavailable, retryable: the connection to the broker at ${broker.url} is lost: no confirm within 300ms for 2 messages; what is not confirmed may have arrived all the same`,
    )
    expect(await writeAndTell(opened.sink, createBatch(['a', 'b']))).toBe(
      `sink_unavailable, retryable: ${broker.url} did not answer within 300ms`,
    )
    expect(performance.now() - began).toBeLessThan(2000)
    broker.goOn()
    while ((await writeAndTell(opened.sink, createBatch(['a', 'b']))) !== 'all delivered')
      await new Promise(setImmediate)
    expect([...new Set(await texts())]).toEqual(['a', 'b'])
  })

  test('short of memory: retryable, without another copy for each attempt, and it goes on', async () => {
    await using opened = await open({ url: broker.url, queue, timeout: '300ms' })
    await broker.control('set_vm_memory_high_watermark', 'absolute', '1MB')
    for (let attempt = 0; attempt < 3; attempt++) {
      const outcomes = await opened.sink.write(createBatch(['a', 'b']))
      expect(outcomes?.map((error) => error && [error.code, error.retryable, error.message])).toEqual(
        ['a', 'b'].map(() => [
          'sink_unavailable',
          true,
          `the broker at ${broker.url} takes no messages for now: low on memory; what was sent may arrive later all the same`,
        ]),
      )
    }
    await broker.control('set_vm_memory_high_watermark', '0.4')
    while ((await writeAndTell(opened.sink, createBatch(['a', 'b']))) !== 'all delivered')
      await new Promise(setImmediate)
    expect(await writeAndTell(opened.sink, createBatch(['c']))).toBe('all delivered')
    expect(await texts()).toEqual(['a', 'b', 'a', 'b', 'c'])
  })

  test('when the server gives up, so does a write that waits', async () => {
    const controller = new AbortController()
    await using opened = await open({ url: broker.url, queue }, { signal: controller.signal })
    await broker.stop()
    const writing = writeAndTell(opened.sink, createBatch(['a']))
    await new Promise(setImmediate)
    controller.abort()
    expect(await writing).toMatch(/^sink_unavailable, retryable: .* is lost: the server is stopping/)
    expect(await writeAndTell(opened.sink, createBatch(['a']))).toMatch(/^sink_unavailable, retryable/)
    broker.goOn()
  })
})
