import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connectAsync, type IPublishPacket } from 'mqtt'
import { generate } from 'selfsigned'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { hasClient } from '../../scripts/debian-clients.ts'
import { Mosquitto, type Subscriber } from '../../test/support/mosquitto.ts'
import { compileOptions } from '../../test/support/options.ts'
import { type OpenedSink, openedSink, problemOf, writeAndTell } from '../../test/support/real-server.ts'
import { SluiceError } from '../contracts/errors.ts'
import { withMerging } from '../delivery/merging.ts'
import { withRetry } from '../delivery/retry.ts'
import { definitionSuite } from '../testing/definition-suite.ts'
import { createBatch, createTestContext, type TestContext } from '../testing/part-context.ts'
import { sinkSuite } from '../testing/sink-suite.ts'
import { mqtt } from './mqtt.ts'

async function open(
  port: number,
  given: Record<string, unknown> = {},
  overrides: Partial<TestContext> = {},
): Promise<OpenedSink> {
  const context = createTestContext(overrides)
  const address = given['url'] === undefined ? { host: '127.0.0.1', port } : {}
  const sink = await mqtt.create(compileOptions(mqtt, { ...address, topic: 't', ...given }), context)
  return openedSink(sink, context)
}

/** What `create` throws. */
const problem = (port: number, given: Record<string, unknown> = {}) => problemOf(open(port, given))

const numbered = (count: number) => Array.from({ length: count }, (_, i) => `m${i}`)

describe('the definition', () => {
  for (const { name, run } of definitionSuite(mqtt)) test(name, run)

  test.each([
    [{ host: 'a' }, []],
    [{ url: 'mqtts://u:p@a' }, []],
    [{}, ['url or host is missing']],
    [{ url: 'http://a' }, ['expected an address such as mqtt://host:1883 or mqtts://host']],
    [{ url: 'mqtt://a', port: 1 }, ['give url or port, and not both']],
    [{ url: 'mqtt://a', tls: true }, ['write mqtts:// for TLS']],
    [{ host: 'a', password: 'p' }, ['username is missing']],
    [{ host: 'a', version: 4, contentType: 'x' }, ['needs version 5']],
    [{ host: 'a', payload: 'x', format: 'json' }, ['give payload or format, and not both']],
  ])('%j', (given, problems) => {
    const { error } = mqtt.options.safeParse({ topic: 't', ...given })
    expect(error?.issues.map(({ message }) => message) ?? []).toEqual(problems)
  })

  test('says what a confirmation is worth', () => {
    const worth = (qos: number) => mqtt.confirms(compileOptions(mqtt, { host: 'a', topic: 't', qos }))
    expect([0, 1, 2].map(worth)).toEqual(['os', 'accepted', 'accepted'])
  })

  test('without the package it says what to install', async () => {
    const importPackage = () => Promise.reject(new SluiceError('package_missing', 'the package mqtt is not installed'))
    await expect(open(1, {}, { importPackage })).rejects.toMatchObject({ code: 'package_missing' })
  })
})

describe.skipIf(!hasClient('mosquitto'))('with mosquitto', () => {
  let broker: Mosquitto
  beforeAll(async () => {
    broker = await Mosquitto.start()
  })
  afterAll(() => broker[Symbol.asyncDispose]())

  describe.each([
    { qos: 0, version: 5 },
    { qos: 1, version: 5 },
    { qos: 2, version: 5 },
    { qos: 1, version: 4 },
    { qos: 2, version: 4 },
  ] as const)('as any sink: %j', ({ qos, version }) => {
    const suite = sinkSuite({
      unprintable: { value: undefined },
      async create() {
        const server = await Mosquitto.start()
        const subscriber = await server.subscribe()
        await server.save()
        const { sink } = await open(server.port, { qos, version })
        return {
          sink,
          server,
          subscriber,
          received: (count) => subscriber.received(count),
          async cleanup() {
            await subscriber[Symbol.asyncDispose]()
            await server[Symbol.asyncDispose]()
          },
        }
      },
      async fail({ server, sink }) {
        await server.kill()
        // With QoS 0 a write succeeds until the socket knows of the end.
        while ((await writeAndTell(sink, createBatch(['lost']))) === 'all delivered') await new Promise(setImmediate)
        return () => server.restart()
      },
    })
    for (const { name, run } of suite) test(name, run)
  })

  describe('what is published', () => {
    let subscriber: Subscriber
    beforeEach(async () => {
      subscriber = await broker.subscribe()
    })
    afterEach(() => subscriber[Symbol.asyncDispose]())

    test('topic, payload and properties', async () => {
      await using opened = await open(broker.port, {
        topic: 'scales/${msg.id}',
        payload: '${msg.kg} kg',
        qos: 2,
        userProperties: { key: '${key}', line: 'L${msg.id}' },
        contentType: 'text/plain',
        messageExpiry: '90s',
      })
      await opened.sink.write(createBatch([{ id: 7, kg: 1.5 }]))
      await subscriber.received(1)
      const [message] = subscriber.messages
      expect(message).toMatchObject({ topic: 'scales/7', qos: 2, retain: false })
      expect(message!.payload.toString()).toBe('1.5 kg')
      expect(message!.properties).toMatchObject({
        contentType: 'text/plain',
        messageExpiryInterval: expect.closeTo(90, 0),
        userProperties: { key: 'boot-test-1-1', line: 'L7' },
      })
    })

    test('retained', async () => {
      await using server = await Mosquitto.start()
      await using opened = await open(server.port, { topic: 'kept', retain: true })
      await opened.sink.write(createBatch(['last']))
      await using late = await connectLate(server.port)
      expect(await late.first).toMatchObject({ topic: 'kept', retain: true, payload: Buffer.from('last') })
    })

    test('a topic that is none fails its message, and the others go on', async () => {
      await using opened = await open(broker.port, { topic: '${msg.topic}', payload: '${msg.topic}' })
      const topics = ['a', 'b/+', 'c/#', '', 'd\0', 'x'.repeat(65_536), 'e/$/é']
      const outcomes = await writeAndTell(opened.sink, createBatch(topics.map((topic) => ({ topic }))))
      expect(outcomes).toEqual([
        undefined,
        'the topic contains a wildcard, + or #: "b/+"',
        'the topic contains a wildcard, + or #: "c/#"',
        'the topic is empty: ""',
        'the topic contains NUL: "d\\u0000"',
        expect.stringMatching(/^the topic is longer than 65535 bytes: "x{100}"$/),
        undefined,
      ])
      expect(await subscriber.received(2)).toEqual(['a', 'e/$/é'])
    })
  })

  test('no subscriber is no failure', async () => {
    await using server = await Mosquitto.start()
    await using opened = await open(server.port)
    expect(await writeAndTell(opened.sink, createBatch(['a']))).toBe('all delivered')
    // What it logs comes by a way of its own.
    await expect.poll(() => server.log, { timeout: 10_000 }).toMatch(/Sending PUBACK to sluice\w{16} \(m\d+, rc16\)/)
  })

  test('the window is what the broker takes at once, and order is kept', async () => {
    await using narrow = await Mosquitto.start('allow_anonymous true\nmax_inflight_messages 10')
    await using subscriber = await narrow.subscribe()
    for (const [qos, version] of [
      [2, 5],
      [1, 5],
      [2, 4],
    ] as const) {
      await using opened = await open(narrow.port, { qos, version })
      const texts = numbered(500).map((text) => `${qos}${version}${text}`)
      expect(await writeAndTell(opened.sink, createBatch(texts))).toBe('all delivered')
      await subscriber.until((all) => all.at(-1) === texts.at(-1))
      expect(subscriber.texts.slice(-500)).toEqual(texts)
    }
  })

  test('sinks with equal connections share one, and so does its client ID', async () => {
    await using opened = await open(broker.port, { keepAlive: '77s' })
    const { context } = opened
    const other = await mqtt.create(
      compileOptions(mqtt, { host: '127.0.0.1', port: broker.port, topic: 'u', keepAlive: '77s', qos: 0 }),
      { ...context, id: 'another' },
    )
    await other.write(createBatch(['a']))
    await opened.sink.write(createBatch(['a']))
    expect(broker.log.match(/New client connected.*k77\)/g)).toHaveLength(1)
    await other.close()
  })

  test('a second client with the same ID throws out the first, which comes back', async () => {
    await using first = await open(broker.port, { clientId: 'same' })
    const second = await connectAsync({ host: '127.0.0.1', port: broker.port, clientId: 'same', reconnectPeriod: 0 })
    const thrownOut = new Promise<void>((resolve) => second.once('close', () => resolve()))
    // The first write may still find the old connection.
    while ((await writeAndTell(first.sink, createBatch(['a']))) !== 'all delivered') await new Promise(setImmediate)
    await thrownOut
  })

  test('a broker that hangs: retryable within the timeout, then it goes on, and nothing arrives out of order', async () => {
    await using server = await Mosquitto.start()
    await using subscriber = await server.subscribe()
    await using opened = await open(server.port, { timeout: '300ms' })
    await server.stop()
    const began = performance.now()
    expect(await writeAndTell(opened.sink, createBatch(['a', 'b']))).toBe(
      `sink_unavailable, retryable: the connection to the broker at mqtt://127.0.0.1:${server.port} is lost: no acknowledgement within 300ms for 2 messages; what is not acknowledged may have arrived all the same`,
    )
    expect(await writeAndTell(opened.sink, createBatch(['a', 'b']))).toBe(
      `sink_unavailable, retryable: mqtt://127.0.0.1:${server.port} did not answer within 300ms`,
    )
    expect(performance.now() - began).toBeLessThan(2000)
    server.goOn()
    while ((await writeAndTell(opened.sink, createBatch(['a', 'b']))) !== 'all delivered')
      await new Promise(setImmediate)
    expect(await writeAndTell(opened.sink, createBatch(['c']))).toBe('all delivered')
    const texts = await subscriber.until((all) => all.at(-1) === 'c')
    expect([...new Set(texts)]).toEqual(['a', 'b', 'c'])
    expect(texts.filter((text) => text === 'a').length).toBeLessThanOrEqual(2)
  })

  test('a broker that is away at the start is a warning, and the first message finds it', async () => {
    await using server = await Mosquitto.absent()
    await using opened = await open(server.port)
    expect(opened.context.logs).toEqual([
      {
        level: 'warn',
        text: `nothing listens at mqtt://127.0.0.1:${server.port}; it is tried again with the first message`,
        message: undefined,
      },
    ])
    expect(await writeAndTell(opened.sink, createBatch(['a']))).toBe(
      `sink_unavailable, retryable: nothing listens at mqtt://127.0.0.1:${server.port}`,
    )
    await server.restart()
    expect(await writeAndTell(opened.sink, createBatch(['a']))).toBe('all delivered')
  })

  test('when the server gives up, so does a write that waits', async () => {
    await using server = await Mosquitto.start()
    const controller = new AbortController()
    await using opened = await open(server.port, {}, { signal: controller.signal })
    await server.stop()
    const writing = writeAndTell(opened.sink, createBatch(['a']))
    await new Promise(setImmediate)
    controller.abort()
    expect(await writing).toMatch(/^sink_unavailable, retryable: .* is lost: the server is stopping/)
    expect(await writeAndTell(opened.sink, createBatch(['a']))).toMatch(/^sink_unavailable, retryable/)
    server.goOn()
  })

  describe('with passwords and rights', () => {
    let folder: string
    let guarded: Mosquitto
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'sluice-mqtt-'))
      spawnSync('mosquitto_passwd', ['-c', '-b', join(folder, 'passwords'), 'sluice', 'se cr/et'])
      await writeFile(join(folder, 'rights'), 'user sluice\ntopic readwrite allowed/#\n')
      guarded = await Mosquitto.start(
        `allow_anonymous false\npassword_file ${folder}/passwords\nacl_file ${folder}/rights\nmessage_size_limit 1000`,
      )
    })
    afterAll(async () => {
      await guarded[Symbol.asyncDispose]()
      await rm(folder, { recursive: true })
    })
    const login = { username: 'sluice', password: 'se cr/et' }

    test.each([4, 5])('a wrong password keeps it from starting, and is not shown: version %j', async (version) => {
      const error = await problem(guarded.port, { username: 'sluice', password: 'not-secret', version })
      expect(error).toMatchObject({
        code: 'sink_failed',
        retryable: false,
        message: expect.stringMatching(/^the broker at mqtt:\/\/127\.0\.0\.1:\d+ refuses us: not authorised$/),
        hint: 'Check username and password, and what the broker allows this user.',
      })
      expect(JSON.stringify(error)).not.toContain('not-secret')
    })

    test('name and password in the URL', async () => {
      await using opened = await open(guarded.port, {
        url: `mqtt://sluice:se%20cr%2Fet@127.0.0.1:${guarded.port}`,
        topic: 'allowed/x',
      })
      expect(await writeAndTell(opened.sink, createBatch(['a']))).toBe('all delivered')
    })

    test('a refused message fails alone, for good', async () => {
      await using opened = await open(guarded.port, { ...login, topic: '${msg}' })
      expect(await writeAndTell(opened.sink, createBatch(['allowed/a', 'other/b', 'allowed/c']))).toEqual([
        undefined,
        'the broker refuses the message: not authorised',
        undefined,
      ])
      const outcomes = await opened.sink.write(createBatch(['allowed/a', 'other/b']))
      expect(outcomes?.[1]).toMatchObject({ code: 'sink_failed', retryable: false })
    })

    test('one that is too large is found among the others', async () => {
      await using opened = await open(guarded.port, { ...login, topic: 'allowed/x' })
      const sink = withMerging(opened.sink, { maxBatch: 10, maxWait: 0, maxInFlight: 1 })
      const { signal } = new AbortController()
      const retried = withRetry(sink, { forMs: 10_000, step: 'mqtt', signal, onRetry() {} })
      expect(await writeAndTell(retried, createBatch(['a', 'b', 'x'.repeat(2000), 'd', 'e']))).toEqual([
        undefined,
        undefined,
        expect.stringMatching(/is lost: Invalid puback reason code/),
        undefined,
        undefined,
      ])
    })
  })

  test('the limits that a broker announces are kept', async () => {
    await using small = await Mosquitto.start(
      'allow_anonymous true\nmax_packet_size 200\nmax_qos 1\nretain_available false',
    )
    await using opened = await open(small.port, { userProperties: { a: 'b' } })
    expect(await writeAndTell(opened.sink, createBatch(['a', 'x'.repeat(200), 'c']))).toEqual([
      undefined,
      expect.stringMatching(/^a packet of \d+ bytes is more than the broker's 200$/),
      undefined,
    ])
    expect(await problem(small.port, { qos: 2 })).toMatchObject({
      message: `the broker at mqtt://127.0.0.1:${small.port} takes no QoS 2`,
      hint: 'Set qos: 1.',
    })
    expect(await problem(small.port, { retain: true })).toMatchObject({
      message: `the broker at mqtt://127.0.0.1:${small.port} retains no messages`,
    })
  })

  test('TLS: the authority is asked for, and our certificate is given', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sluice-mqtt-'))
    const { cert, private: key } = await generate([{ name: 'commonName', value: 'localhost' }], {
      algorithm: 'sha256',
      extensions: [{ name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] }],
    })
    await writeFile(join(folder, 'cert.pem'), cert)
    await writeFile(join(folder, 'key.pem'), key)
    const pem = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem'), ca: join(folder, 'cert.pem') }
    await using secure = await Mosquitto.start(
      `allow_anonymous true\ncafile ${pem.ca}\ncertfile ${pem.cert}\nkeyfile ${pem.key}\nrequire_certificate true`,
    )
    await using opened = await open(secure.port, { tls: pem })
    expect(await writeAndTell(opened.sink, createBatch(['a']))).toBe('all delivered')
    expect(await problem(secure.port, { protocol: 'mqtts' })).toMatchObject({
      code: 'tls_failed',
      message: `the certificate of mqtts://127.0.0.1:${secure.port} is not signed by an authority that is trusted`,
    })
    await rm(folder, { recursive: true })
  })
})

describe('with a broker that says what we tell it to', () => {
  const OPEN = Buffer.from('20 03 00 00 00'.replaceAll(' ', ''), 'hex')
  const puback = (id: Buffer, reason: number) => Buffer.from([0x40, 0x04, ...id, reason, 0])

  /** Answers CONNECT, and each PUBLISH of QoS 1 to the topic `t` by its payload of one letter. */
  async function startScripted(answer: (payload: string, id: Buffer, socket: Socket) => void) {
    const server = createServer((socket) => {
      socket.on('error', () => undefined)
      let rest = Buffer.alloc(0)
      socket.on('data', (chunk: Buffer) => {
        rest = Buffer.concat([rest, chunk])
        while (rest.length > 1 && rest.length >= 2 + rest[1]!) {
          const packet = rest.subarray(0, 2 + rest[1]!)
          rest = rest.subarray(packet.length)
          if (packet[0] === 0x10) socket.write(OPEN)
          else if (packet[0] === 0x32)
            answer(packet.toString('latin1', packet.length - 1), packet.subarray(5, 7), socket)
          else if (packet[0] === 0xe0) socket.end()
        }
      })
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    return { port: address.port, [Symbol.asyncDispose]: async () => void server.close() }
  }

  test('a quota that is used up is worth another attempt, and a payload in the wrong format is not', async () => {
    const reasons: Record<string, number> = { a: 0, q: 0x97, f: 0x99, n: 0x10 }
    await using server = await startScripted((payload, id, socket) => socket.write(puback(id, reasons[payload]!)))
    await using opened = await open(server.port)
    const outcomes = await opened.sink.write(createBatch(['a', 'q', 'f', 'n']))
    expect(outcomes?.map((error) => error && [error.code, error.retryable, error.message])).toEqual([
      undefined,
      ['sink_unavailable', true, 'the broker refuses the message: a quota is used up'],
      ['sink_failed', false, 'the broker refuses the message: the payload is not in the format that it demands'],
      undefined,
    ])
  })

  test('a message for which the broker disconnects is found among those that were delivered', async () => {
    await using server = await startScripted((payload, id, socket) => {
      if (payload !== 'x') socket.write(puback(id, 0))
      else socket.end(Buffer.from([0xe0, 0x02, 0x95, 0x00]))
    })
    await using opened = await open(server.port)
    // After something was delivered the rest is tried again; without it the write is refused, so that it can be halved.
    const outcomes = await opened.sink.write(createBatch(['a', 'x', 'b']))
    expect(outcomes?.map((error) => error && [error.code, error.retryable])).toEqual([
      undefined,
      ['sink_unavailable', true],
      ['sink_unavailable', true],
    ])
    await expect(opened.sink.write(createBatch(['x', 'b']))).rejects.toMatchObject({
      code: 'sink_failed',
      retryable: false,
      message: expect.stringContaining('it said "the packet is too large"'),
    })
    expect(await writeAndTell(opened.sink, createBatch(['b']))).toBe('all delivered')
  })

  test('a broker that says that another client has our ID: people are told', async () => {
    await using server = await startScripted((_payload, _id, socket) => {
      socket.end(Buffer.from([0xe0, 0x02, 0x8e, 0x00]))
    })
    await using opened = await open(server.port, { clientId: 'same' })
    expect(await writeAndTell(opened.sink, createBatch(['a']))).toMatch(
      /^sink_unavailable, retryable: .*it said "another client has connected with the same client ID"/,
    )
    expect(opened.context.logs).toMatchObject([
      {
        level: 'warn',
        text: expect.stringMatching(/with the client ID same: give each server a clientId of its own$/),
      },
    ])
  })

  test('an acknowledgement that comes too late changes nothing', async () => {
    const held: (() => void)[] = []
    await using server = await startScripted((payload, id, socket) => {
      if (payload === 'l' && held.length === 0) held.push(() => socket.write(puback(id, 0)))
      else socket.write(puback(id, 0))
    })
    await using opened = await open(server.port, { timeout: '1s' })
    expect(await writeAndTell(opened.sink, createBatch(['l']))).toMatch(/no acknowledgement within 1s for 1 messages/)
    held[0]!()
    expect(await writeAndTell(opened.sink, createBatch(['l', 'm']))).toBe('all delivered')
  })
})

/** A client that comes late, and the first message that it gets. */
async function connectLate(port: number) {
  const client = await connectAsync({ host: '127.0.0.1', port, reconnectPeriod: 0 })
  const first = new Promise<IPublishPacket>((resolve) =>
    client.once('message', (_topic, _payload, packet) => resolve(packet)),
  )
  await client.subscribeAsync('kept')
  return { first, [Symbol.asyncDispose]: () => client.endAsync(true) }
}
