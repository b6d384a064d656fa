import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { startRecorder } from '../../test/support/recorder.ts'
import type { PartContext } from '../contracts/context.ts'
import type { Socket, Transport } from '../contracts/transport.ts'
import { withRetry } from '../delivery/retry.ts'
import { line } from '../framings/line.ts'
import { definitionSuite } from '../testing/definition-suite.ts'
import { createBatch, createTestContext } from '../testing/part-context.ts'
import { Receiver } from '../testing/receiver.ts'
import { sinkSuite } from '../testing/sink-suite.ts'
import type { NetSocket, SocketAdapter } from '../transports/net-socket.ts'
import { createTcp } from '../transports/tcp.ts'
import { tcp } from './tcp.ts'

const transport = createTcp()
let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-tcp-'))
})

afterEach(async () => {
  await rm(folder, { recursive: true })
})

const startServer = (options?: { silent?: boolean }) => startRecorder(join(folder, 'server.sock'), options)
const contextWith = (more: Partial<PartContext> = {}) => createTestContext({ tcp: transport, ...more })
/** The stream of Node under a socket of the real transport, to break it as a network does. */
const streamOf = (socket: Socket): NetSocket => (socket as SocketAdapter).stream
const create = async (socket: string, context: PartContext = contextWith()) =>
  await tcp.create(tcp.options.parse({ socket }), context)

/** Dials as usual and tells when our end of the connection knows of its close. */
function dialAndTell(whenClosed: () => void): Transport['dial'] {
  return async (options) => {
    const socket = await transport.dial(options)
    const start = socket.start.bind(socket)
    socket.start = (handler) =>
      start({
        onData: (chunk) => handler.onData(chunk),
        onEnd: () => handler.onEnd(),
        onDrain: () => handler.onDrain(),
        onClose(error) {
          handler.onClose(error)
          whenClosed()
        },
      })
    return socket
  }
}

describe('the definition', () => {
  for (const { name, run } of definitionSuite(tcp)) test(name, run)

  test('wants one target', () => {
    const valid = (given: object) => tcp.options.safeParse(given).success
    expect(valid({ host: 'a', port: 1 })).toBe(true)
    expect(valid({ socket: '/a' })).toBe(true)
    for (const given of [{}, { host: 'a' }, { port: 1 }, { socket: '/a', port: 1 }]) expect(valid(given)).toBe(false)
    expect(tcp.options.parse({ socket: '/a' }).timeout).toBe(10_000)
  })
})

describe('as any sink', () => {
  const suite = sinkSuite({
    unprintable: { value: undefined },
    async create() {
      const server = await startServer()
      const lost = Promise.withResolvers<void>()
      const sink = await create(server.path, contextWith({ tcp: { ...transport, dial: dialAndTell(lost.resolve) } }))
      return { sink, server, lost, received: (count) => server.lines(count), cleanup: () => server.stop() }
    },
    async fail({ server, lost }) {
      await server.stop()
      await lost.promise
      return () => server.restart()
    },
  })
  for (const { name, run } of suite) test(name, run)
})

test('over TCP, by host and port', async () => {
  const arrived = Promise.withResolvers<Receiver>()
  const listener = await transport.listen({ host: '127.0.0.1', port: 0 }, (socket) => {
    const receiver = new Receiver(socket)
    void receiver.ended.then(() => socket.end())
    arrived.resolve(receiver)
  })
  const sink = await tcp.create(tcp.options.parse({ host: 'localhost', port: listener.address.port }), contextWith())
  await sink.write(createBatch(['a']))
  const receiver = await arrived.promise
  await receiver.received(2)
  expect(receiver.text).toBe('a\n')
  await sink.close()
  await receiver.closed
  await listener.close()
})

test('nobody there is worth another attempt, and the next write makes one', async () => {
  const sink = await create(join(folder, 'server.sock'))
  await expect(sink.write(createBatch(['a']))).rejects.toMatchObject({
    code: 'sink_unavailable',
    retryable: true,
    message: expect.stringContaining('server.sock'),
  })
  const server = await startServer()
  await sink.write(createBatch(['b']))
  expect(await server.lines(1)).toEqual(['b'])
  await sink.close()
  await server.stop()
})

test('a connection that the other side has ended is made again', async () => {
  const server = await startServer()
  const sink = await create(server.path)
  await sink.write(createBatch(['a']))
  await server.lines(1)
  const [first] = server.connections
  first!.socket.end()
  await first!.closed
  await sink.write(createBatch(['b']))
  expect(await server.lines(2)).toEqual(['a', 'b'])
  expect(server.connections).toHaveLength(2)
  await sink.close()
  await server.stop()
})

test('what comes between a reset and the word of it is not confirmed, and takes a new connection', async () => {
  const server = await startServer()
  const dialled: Socket[] = []
  const dial: Transport['dial'] = async (options) => {
    const socket = await transport.dial(options)
    dialled.push(socket)
    return socket
  }
  const sink = await create(server.path, contextWith({ tcp: { ...transport, dial } }))
  await sink.write(createBatch(['a']))
  await server.lines(1)
  const stream = streamOf(dialled[0]!)
  // Node says `error` a turn before `close`: the stream is dead, and nothing has told the sink yet.
  const refused = new Promise((resolve, reject) => {
    stream.once('error', () => Promise.resolve(sink.write(createBatch(['b']))).then(resolve, reject))
  })
  stream.destroy(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }))
  await expect(refused).rejects.toMatchObject({ code: 'sink_unavailable', retryable: true })
  await sink.write(createBatch(['c']))
  expect(await server.lines(2)).toEqual(['a', 'c'])
  expect(dialled).toHaveLength(2)
  await sink.close()
  await server.stop()
})

test('a destination that resets again and again: every confirmed message was written to a live connection', async () => {
  const arrived: Socket[] = []
  let got = ''
  const listener = await transport.listen({ host: '127.0.0.1', port: 0 }, (socket) => {
    arrived.push(socket)
    new Receiver(socket).whenData = (chunk) => {
      got += chunk.toString()
    }
  })
  const written: string[] = []
  const dial: Transport['dial'] = async (options) => {
    const socket = await transport.dial(options)
    const write = socket.write.bind(socket)
    socket.write = (bytes) => {
      const before = socket.writable
      const took = write(bytes)
      if (before && socket.writable) written.push(...bytes.toString().split('\n').slice(0, -1))
      return took
    }
    return socket
  }
  const context = contextWith({ tcp: { ...transport, dial } })
  const { address } = listener
  const bare = await tcp.create(tcp.options.parse({ host: address.ip, port: address.port }), context)
  const timing = {
    now: () => 0,
    random: Math.random,
    wait: () => new Promise<void>((resolve) => setImmediate(resolve)),
  }
  const { signal } = new AbortController()
  const sink = withRetry(bare, { forMs: 1000, step: 'tcp', signal, timing, onRetry() {} })
  const confirmed: string[] = []
  const send = async (text: string) => {
    const outcomes = await sink.write(createBatch([text]))
    if (outcomes?.[0] === undefined) confirmed.push(text)
  }
  let lost = 0
  for (let round = 0; round < 50; round++) {
    const mark = `mark ${round}`
    // The first after a reset may be under way when the connection breaks: then it is sent again here.
    while (!got.includes(`${mark}\n`)) {
      await send(mark)
      await new Promise(setImmediate)
    }
    streamOf(arrived.at(-1)!).resetAndDestroy()
    const burst = Array.from({ length: 10 }, (_, i) => `${round}/${i}`)
    for (const text of burst) {
      await send(text)
      if (Math.random() < 0.5) await new Promise(setImmediate)
    }
    lost += burst.filter((text) => !written.includes(text)).length
  }
  expect(confirmed.filter((text) => text.includes('/'))).toHaveLength(500)
  expect(lost).toBe(0)
  expect(confirmed.filter((text) => !written.includes(text))).toEqual([])
  expect(arrived.length).toBeGreaterThanOrEqual(50)
  await sink.close()
  for (const socket of arrived) socket.destroy()
  await listener.close()
})

test('what waits for a slow reader fails when the connection breaks, and can be tried again', async () => {
  const server = await startServer({ silent: true })
  const sink = await create(server.path)
  const large = 'x'.repeat(8 * 1024 * 1024)
  let settled = false
  const write = Promise.resolve(sink.write(createBatch([large]))).finally(() => {
    settled = true
  })
  while (server.sockets.length === 0) await new Promise(setImmediate)
  await new Promise(setImmediate)
  expect(settled).toBe(false)
  server.sockets[0]!.destroy()
  await expect(write).rejects.toMatchObject({ code: 'sink_unavailable', retryable: true })
  await sink.close()
  await server.stop()
})

test('a slow reader that reads at last lets the write finish', async () => {
  const server = await startServer({ silent: true })
  const sink = await create(server.path)
  const length = 8 * 1024 * 1024
  const write = sink.write(createBatch(['x'.repeat(length)]))
  while (server.sockets.length === 0) await new Promise(setImmediate)
  const receiver = new Receiver(server.sockets[0]!)
  await write
  await receiver.received(length + 1)
  void receiver.ended.then(() => receiver.socket.end())
  await sink.close()
  await server.stop()
})

test('incoming bytes are dropped', async () => {
  const server = await startServer()
  const sink = await create(server.path)
  await sink.write(createBatch(['a']))
  await server.lines(1)
  const socket = server.connections[0]!.socket
  const drained = server.connections[0]!.drained()
  if (!socket.write(Buffer.alloc(8 * 1024 * 1024))) await drained
  await sink.write(createBatch(['b']))
  expect(await server.lines(2)).toEqual(['a', 'b'])
  await sink.close()
  await server.stop()
})

test('sinks to one address share a connection, unless they name a framing', async () => {
  const server = await startServer()
  const context = contextWith()
  const own = tcp.options.parse({ socket: server.path })
  const sinks = [
    await tcp.create(own, context),
    await tcp.create(own, context),
    await tcp.create({ ...own, framing: line.create({ ending: 'crlf' }) }, context),
  ]
  for (const sink of sinks) await sink.write(createBatch(['a']))
  await server.lines(3)
  expect(server.connections.map(({ text }) => text)).toEqual(['a\na\n', 'a\r\n'])
  for (const sink of sinks) await sink.close()
  await server.stop()
})

test('when the server gives up, so does a write that waits', async () => {
  const server = await startServer({ silent: true })
  const controller = new AbortController()
  const sink = await create(server.path, contextWith({ signal: controller.signal }))
  const write = sink.write(createBatch(['x'.repeat(8 * 1024 * 1024)]))
  while (server.sockets.length === 0) await new Promise(setImmediate)
  controller.abort()
  await expect(write).rejects.toMatchObject({ code: 'sink_unavailable' })
  await expect(sink.write(createBatch(['a']))).rejects.toMatchObject({ code: 'sink_unavailable', retryable: true })
  await sink.close()
  await server.stop()
})
