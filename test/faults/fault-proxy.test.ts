import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { expect, test } from 'vitest'
import { Peer } from '../support/peer.ts'
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts'

/** A server behind a proxy, a client before it, and the server's end of the connection. */
interface Line extends AsyncDisposable {
  readonly proxy: FaultProxy
  readonly client: Peer
  readonly server: Peer
  connect(): Promise<Peer>
}

async function startLine(): Promise<Line> {
  const accepted: Peer[] = []
  const waiting = new Set<() => void>()
  let isOver = false
  const listener = createServer({ allowHalfOpen: true, noDelay: true }, (socket: Socket) => {
    // One that arrives after the test would hold the listener open.
    if (isOver) socket.destroy()
    accepted.push(Peer.over(socket))
    for (const resolve of waiting) resolve()
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const proxy = await startFaultProxy({ to: { port: (listener.address() as { port: number }).port } })
  const client = await Peer.connect(proxy.port)
  await proxy.hasAccepted(1)
  while (accepted.length === 0) await new Promise<void>((resolve) => waiting.add(resolve))
  return {
    proxy,
    client,
    server: accepted[0]!,
    connect: () => Peer.connect(proxy.port),
    async [Symbol.asyncDispose]() {
      isOver = true
      await client[Symbol.asyncDispose]()
      for (const peer of accepted) await peer[Symbol.asyncDispose]()
      await proxy.close()
      listener.close()
      await once(listener, 'close')
    },
  }
}

test('without a fault, bytes and ends pass in both directions', async () => {
  await using line = await startLine()
  const { client, server, proxy } = line
  const large = Buffer.alloc(3_000_000, 'x')
  client.send(large)
  await server.until(({ received }) => received.length === large.length)
  server.send('answer')
  await client.hear('answer')
  client.finish()
  expect((await server.end()).length).toBe(large.length)
  expect(await client.end()).toBe('answer')
  expect(proxy.accepted).toBe(1)
})

test('delay: every byte is late, and they do not wait for each other', async () => {
  await using line = await startLine()
  await line.proxy.set({ delay: 200, only: 'requests' })
  const before = performance.now()
  for (let i = 0; i < 20; i++) {
    line.client.send('x')
    await new Promise(setImmediate)
  }
  await line.server.until(({ received }) => received.length === 20)
  const spent = performance.now() - before
  expect(spent).toBeGreaterThan(190)
  // One after the other would be 4 seconds.
  expect(spent).toBeLessThan(3000)
})

test('rate: no more bytes in a second than allowed', async () => {
  await using line = await startLine()
  await line.proxy.set({ rate: 50_000 })
  const before = performance.now()
  line.client.send(Buffer.alloc(20_000))
  await line.server.until(({ received }) => received.length === 20_000)
  // All but the last piece have been waited for.
  expect(performance.now() - before).toBeGreaterThan(300)
})

test('slice: each byte arrives alone', async () => {
  await using line = await startLine()
  const sizes: number[] = []
  line.server.socket.on('data', (bytes: Buffer) => sizes.push(bytes.length))
  await line.proxy.set({ slice: 1 })
  line.client.send('0123456789')
  await line.server.hear('0123456789')
  expect(sizes).toEqual(new Array(10).fill(1))
})

test('blackhole: bytes are swallowed for good, in one direction when asked', async () => {
  await using line = await startLine()
  const { client, server, proxy } = line
  await proxy.set({ blackhole: true, only: 'answers' })
  client.send('request')
  await server.hear('request')
  server.send('lost')
  // The other direction is as ever, and so shows that the proxy has had its turn.
  client.send('.')
  await server.hear('request.')
  await proxy.set({ delay: 1 })
  server.send('found')
  expect(await client.hear('found')).not.toContain('lost')
  // New connections are accepted, and nothing is heard of them.
  await proxy.set({ blackhole: true })
  await using other = await line.connect()
  other.send('x')
  await proxy.hasAccepted(2)
  expect(other.closed).toBe(false)
})

test('stall: the sender is held, and nothing is lost when it ends', async () => {
  await using line = await startLine()
  const { client, server, proxy } = line
  await proxy.set({ stall: true })
  // More than all buffers of both kernels hold.
  const large = Buffer.alloc(64 * 1024 * 1024, 'x')
  client.send(large)
  await new Promise(setImmediate)
  expect(client.socket.writableNeedDrain).toBe(true)
  expect(server.received.length).toBe(0)
  await proxy.set({})
  let received = 0
  server.socket.removeAllListeners('data').on('data', (bytes: Buffer) => {
    received += bytes.length
  })
  await once(client.socket, 'drain')
  client.finish()
  await server.end()
  expect(received).toBe(large.length)
})

test('half-close: one side hears the end, and its own bytes still arrive', async () => {
  await using line = await startLine()
  const { client, server, proxy } = line
  proxy.halfClose('client')
  expect(await client.until(({ ended }) => ended)).toBe(client)
  client.send('still here')
  await server.hear('still here')
  expect(server.ended).toBe(false)
  proxy.halfClose('server')
  await server.until(({ ended }) => ended)
})

test('reset: both sides get a RST, and the next connection is served', async () => {
  await using line = await startLine()
  const errors = Promise.all([line.client, line.server].map(({ socket }) => once(socket, 'error')))
  line.proxy.resetAll()
  expect((await errors).map(([error]) => error.code)).toEqual(['ECONNRESET', 'ECONNRESET'])
  await using next = await line.connect()
  expect(next.closed).toBe(false)
})

test('refuse: nobody listens, what is open stays, and the port comes back', async () => {
  await using line = await startLine()
  const { client, server, proxy } = line
  await proxy.set({ refuse: true })
  await expect(line.connect()).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  client.send('as before')
  await server.hear('as before')
  await proxy.set({})
  await using next = await line.connect()
  expect(next.closed).toBe(false)
})

test('a destination that is not there resets the client', async () => {
  const listener = createServer().listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = listener.address() as { port: number }
  listener.close()
  await once(listener, 'close')
  await using proxy = await startFaultProxy({ to: { port } })
  const client = await Peer.connect(proxy.port)
  await client.until(({ closed }) => closed)
  expect(client.received.length).toBe(0)
})
