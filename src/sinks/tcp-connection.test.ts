import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer as createTlsServer } from 'node:tls'
import { generate } from 'selfsigned'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { startRecorder } from '../../test/support/recorder.ts'
import { Batch } from '../contracts/batch.ts'
import type { PartContext } from '../contracts/context.ts'
import { raw } from '../framings/raw.ts'
import { createServer as createSluice } from '../library/create-server.ts'
import { createBatch, createMessages, createTestContext, testSource } from '../testing/part-context.ts'
import { sinkSuite } from '../testing/sink-suite.ts'
import { createTcp } from '../transports/tcp.ts'
import { createClientTls } from '../transports/tls.ts'
import { tcp } from './tcp.ts'

let folder: string
let path: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-tcp-'))
  path = join(folder, 'server.sock')
})

afterEach(async () => {
  await rm(folder, { recursive: true })
})

const create = async (given: object, context: PartContext = createTestContext({ tcp: createTcp() })) =>
  await tcp.create(tcp.options.parse({ socket: path, ...given }), context)

/** A device on TCP that handles one connection after the other. */
async function startDevice(onSocket: (socket: Socket) => void) {
  const server = createServer({ allowHalfOpen: true }, (socket) => onSocket(socket.on('error', () => undefined)))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return { target: { host: '127.0.0.1', port, socket: undefined }, server }
}

describe.each(['perClient', 'perMessage'])('as any sink, with connection: %s', (connection) => {
  const suite = sinkSuite({
    unprintable: { value: undefined },
    async create() {
      const server = await startRecorder(path)
      const sink = await create({ connection })
      return { sink, server, received: (count) => server.lines(count), cleanup: () => server.stop() }
    },
  })
  for (const { name, run } of suite) test(name, run)
})

describe('perMessage', () => {
  test('each message has a connection, ended before the next one begins', async () => {
    const jobs: string[] = []
    let open = 0
    let most = 0
    const { target, server } = await startDevice((socket) => {
      most = Math.max(most, ++open)
      const chunks: Buffer[] = []
      socket.on('data', (chunk: Buffer) => chunks.push(chunk))
      socket.on('end', () => {
        jobs.push(Buffer.concat(chunks).toString())
        socket.end()
      })
      socket.on('close', () => open--)
    })
    const context = createTestContext({ tcp: createTcp(), lineFraming: raw.create({}) })
    const sinks = [
      await create({ connection: 'perMessage', ...target }, context),
      await create({ connection: 'perMessage', ...target }, context),
    ]
    await Promise.all(sinks.map((sink, i) => sink.write(createBatch([`^XA${i}a^XZ`, `^XA${i}b^XZ`]))))
    expect(jobs.toSorted()).toEqual(['^XA0a^XZ', '^XA0b^XZ', '^XA1a^XZ', '^XA1b^XZ'])
    expect(most).toBe(1)
    await Promise.all(sinks.map((sink) => sink.close()))
    server.close()
  })

  test('one that breaks fails, and those behind it are not tried', async () => {
    const jobs: string[] = []
    const { target, server } = await startDevice((socket) => {
      socket.on('data', (chunk) => {
        jobs.push(chunk.toString())
        if (chunk.toString() === 'bad\n') socket.resetAndDestroy()
      })
      socket.on('end', () => socket.end())
    })
    const sink = await create({ connection: 'perMessage', ...target })
    const outcomes = await sink.write(createBatch(['good', 'bad', 'later']))
    expect(outcomes?.map((error) => error?.code)).toEqual([undefined, 'sink_unavailable', 'sink_unavailable'])
    expect(outcomes?.[1]?.retryable).toBe(true)
    expect(jobs).toEqual(['good\n', 'bad\n'])
    expect(await sink.write(createBatch(['again']))).toEqual([undefined])
    await sink.close()
    server.close()
  })

  test('a device that takes the message and never closes holds the next one for timeout only', async () => {
    const jobs: string[] = []
    const { target, server } = await startDevice((socket) => {
      socket.on('data', (chunk) => jobs.push(chunk.toString()))
    })
    const sink = await create({ connection: 'perMessage', timeout: '1s', ...target })
    expect(await sink.write(createBatch(['a', 'b']))).toEqual([undefined, undefined])
    expect(jobs).toEqual(['a\n', 'b\n'])
    await sink.close()
    server.close()
  })

  test('a write that nobody waits for any more begins no connection', async () => {
    const server = await startRecorder(path)
    const sink = await create({ connection: 'perMessage' })
    const [outcome] = (await sink.write(createBatch(['a']), AbortSignal.abort()))!
    expect(outcome).toMatchObject({ code: 'step_timeout' })
    expect(server.connections).toHaveLength(0)
    await sink.close()
    await server.stop()
  })

  test('when the server gives up, so does a message that waits for its end', async () => {
    const server = await startRecorder(path, { silent: true })
    const controller = new AbortController()
    const sink = await create(
      { connection: 'perMessage' },
      createTestContext({ tcp: createTcp(), signal: controller.signal }),
    )
    const write = sink.write(createBatch(['x'.repeat(8 * 1024 * 1024)]))
    while (server.sockets.length === 0) await new Promise(setImmediate)
    controller.abort()
    expect(await write).toMatchObject([{ code: 'sink_unavailable' }])
    await sink.close()
    await server.stop()
  })
})

describe('perClient', () => {
  test('the messages of a batch go over the connections of their clients, and a client that has gone loses its own', async () => {
    const server = await startRecorder(path)
    const sink = await create({ connection: 'perClient' })
    const sources = [testSource({ id: 'a' }), testSource({ id: 'b' })]
    const [a, b] = sources.map((source) =>
      createMessages(
        [1, 2].map((n) => `${source.client.id}${n}`),
        { source },
      ),
    )
    await sink.write(Batch.of([a![0]!, b![0]!, a![1]!, b![1]!]))
    expect((await server.lines(4)).toSorted()).toEqual(['a1', 'a2', 'b1', 'b2'])
    expect(server.connections.map(({ text }) => text).toSorted()).toEqual(['a1\na2\n', 'b1\nb2\n'])
    sources[0]!.client.state = 'closed'
    const [ofA, ofB] = server.connections.toSorted((x, y) => (x.text < y.text ? -1 : 1))
    await ofA!.ended
    expect(ofB!.calls).not.toContain('end')
    await sink.close()
    await ofB!.ended
    await server.stop()
  })

  test('through a server: as many connections as clients, each closed behind its client', async () => {
    const recorder = await startRecorder(path)
    const server = createSluice({
      listen: { in: { host: '127.0.0.1', port: 0, dataflow: [{ tcp: { socket: path, connection: 'perClient' } }] } },
    })
    await server.start()
    const { port } = server.addresses('in')[0]!
    const clients = [connect(port, '127.0.0.1'), connect(port, '127.0.0.1')]
    for (const [i, client] of clients.entries()) client.end(`from ${i}\n`)
    expect((await recorder.lines(2)).toSorted()).toEqual(['from 0', 'from 1'])
    expect(recorder.connections).toHaveLength(2)
    await Promise.all(recorder.connections.map(({ ended }) => ended))
    await server.stop()
    await recorder.stop()
  })
})

describe('tls', () => {
  const context = () => createTestContext({ tcp: createTcp(), createTls: createClientTls })

  test.each(['shared', 'perClient', 'perMessage'])(
    'connection: %s encrypts, for a server that is believed',
    async (connection) => {
      const { cert, private: key } = await generate([{ name: 'commonName', value: 'localhost' }], {
        extensions: [
          { name: 'basicConstraints', cA: true },
          { name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }] },
        ],
      })
      const ca = join(folder, 'ca.pem')
      await writeFile(ca, cert)
      const arrived = Promise.withResolvers<string>()
      const server = createTlsServer({ cert, key }, (socket) => {
        socket.on('error', () => undefined).on('data', (chunk) => arrived.resolve(chunk.toString()))
      })
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      const target = { host: 'localhost', port: (server.address() as AddressInfo).port, socket: undefined, connection }
      const doubting = await create({ ...target, tls: true }, context())
      const outcome = await Promise.resolve(doubting.write(createBatch(['no']))).catch((thrown: unknown) => [thrown])
      expect(outcome).toMatchObject([{ code: 'sink_unavailable', message: expect.stringContaining('certificate') }])
      await doubting.close()
      const sink = await create({ ...target, tls: { ca } }, context())
      await sink.write(createBatch(['yes']))
      expect(await arrived.promise).toBe('yes\n')
      await sink.close()
      server.close()
    },
  )

  test('files that cannot be used are found in the configuration', () => {
    const options = tcp.options.parse({ host: 'h', port: 1, tls: { ca: '/no/such.pem' } })
    expect(tcp.check!(options, { resolvePath: (file) => file })).toMatchObject([
      { path: ['tls', 'ca'], message: 'the file /no/such.pem does not exist' },
    ])
  })
})
