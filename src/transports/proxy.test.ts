import { once } from 'node:events'
import { connect, type Socket as NodeSocket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import fc from 'fast-check'
import { generate } from 'selfsigned'
import { afterEach, describe, expect, it } from 'vitest'
import type { ProxyLayer, Socket } from '../contracts/transport.ts'
import { Receiver } from '../testing/receiver.ts'
import { proxyHeader } from '../wire/proxy-header.ts'
import { parseIpRange } from './ip-range.ts'
import { createSocketPair } from './memory.ts'
import type { SocketAdapter } from './net-socket.ts'
import { createProxyLayer } from './proxy.ts'
import { createTcp } from './tcp.ts'
import { createServerTls } from './tls.ts'

const host = '127.0.0.1'
const tcp = createTcp()
const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})

const loopback = [parseIpRange(host)!]
const layer = createProxyLayer({ trust: loopback, timeout: 5000 })
const somebody = { ip: '203.0.113.7', port: 4711, localIp: '198.51.100.1', localPort: 443 }
const ends = { remote: { ip: '203.0.113.7', port: 4711 }, local: { ip: '198.51.100.1', port: 443 } }

describe('a header', () => {
  it.each(['v1', 'v2'] as const)('of %s says whose the connection is, wherever it is split', async (version) => {
    const { port, next } = await listen()
    const sent = Buffer.concat([proxyHeader(version, somebody), Buffer.from('hello')])
    for (let split = 1; split <= sent.length; split++) {
      const { client, raw } = await next(port)
      const unwrapped = layer.unwrap(raw)
      client.write(sent.subarray(0, split))
      await arrived(raw, split)
      client.write(sent.subarray(split))
      const receiver = new Receiver((await unwrapped)!)
      expect({ remote: receiver.socket.remote, local: receiver.socket.local }).toEqual(ends)
      await receiver.received(5)
      expect(receiver.text).toBe('hello')
      receiver.socket.write('bye')
      expect(String((await once(client, 'data'))[0])).toBe('bye')
      receiver.socket.destroy()
      await receiver.closed
    }
  })

  it('of our own balancer, or of an unknown client, leaves the addresses of the socket', async () => {
    const { port, next } = await listen()
    const unix = { ip: '/run/a.sock', port: 0, localIp: '/run/a.sock', localPort: 0 }
    for (const header of [proxyHeader('v2', undefined), proxyHeader('v1', undefined), proxyHeader('v2', unix)]) {
      const { client, raw } = await next(port)
      client.write(header)
      const socket = (await layer.unwrap(raw))!
      expect(socket.remote).toEqual({ ip: host, port: client.localPort })
      expect(socket.local).toEqual({ ip: host, port })
      const receiver = new Receiver(socket)
      client.end('x')
      await receiver.ended
      expect(receiver.text).toBe('x')
      receiver.socket.end()
    }
  })

  it('may come with everything that the client has to say, to its end', async () => {
    const { port, next } = await listen()
    const { client, raw } = await next(port)
    const text = 'all at once '.repeat(10_000)
    client.end(Buffer.concat([proxyHeader('v1', somebody), Buffer.from(text)]))
    const receiver = new Receiver((await layer.unwrap(raw))!)
    await receiver.ended
    expect(receiver.text).toBe(text)
    receiver.socket.write('still answered')
    receiver.socket.end()
    expect(String((await once(client, 'data'))[0])).toBe('still answered')
  })

  it('may be all that comes', async () => {
    const { port, next } = await listen()
    const { client, raw } = await next(port)
    client.end(proxyHeader('v2', somebody))
    const receiver = new Receiver((await layer.unwrap(raw))!)
    await receiver.ended
    expect(receiver.text).toBe('')
    expect(receiver.socket.remote).toEqual(ends.remote)
  })

  it('leaves what follows unread until somebody wants it', async () => {
    const { port, next } = await listen()
    const { client, raw } = await next(port)
    const chunk = Buffer.alloc(1 << 20, 'x')
    client.write(proxyHeader('v2', somebody))
    const socket = (await layer.unwrap(raw))!
    for (let i = 0; i < 32; i++) client.write(chunk)
    const { stream } = socket as SocketAdapter
    while (stream.readableLength < stream.readableHighWaterMark) await new Promise(setImmediate)
    const { bytesRead } = stream
    for (let i = 0; i < 50; i++) await new Promise(setImmediate)
    expect(stream.bytesRead).toBe(bytesRead)
    const receiver = new Receiver(socket)
    await receiver.received(32 << 20)
    expect(receiver.length).toBe(32 << 20)
  })

  it('may come with the beginning of a TLS handshake', async () => {
    const { cert, private: key } = await generate([{ name: 'commonName', value: 'localhost' }])
    const tls = createServerTls({ cert, key })
    const { port, next } = await listen()
    for (const together of [true, false]) {
      const { client, raw } = await next(port)
      const header = proxyHeader('v1', somebody)
      client.write(header)
      const unwrapped = together ? undefined : await layer.unwrap(raw)
      const secure = connectTls({ socket: client, ca: cert, servername: 'localhost' }).on('error', () => {})
      // What has been sent over loopback lies in the kernel of the other side.
      while (client.bytesWritten <= header.length) await new Promise(setImmediate)
      const receiver = new Receiver(await tls.secure(unwrapped ?? (await layer.unwrap(raw))!))
      const { remote, local, tls: encrypted } = receiver.socket
      expect({ remote, local, encrypted }).toEqual({ ...ends, encrypted: true })
      secure.write('secret')
      await receiver.received(6)
      expect(receiver.text).toBe('secret')
      receiver.socket.destroy()
    }
  })
})

describe('a connection is refused', () => {
  it('that comes from where no header is believed, unread', async () => {
    const elsewhere = createProxyLayer({ trust: [parseIpRange('10.0.0.0/8')!], timeout: 5000 })
    const nowhere = createProxyLayer({ trust: [], timeout: 5000 })
    for (const strict of [elsewhere, nowhere]) {
      const raw = await refused(strict, (client) => client.write(proxyHeader('v2', somebody)), {
        message: 'proxyProtocol.trust does not name 127.0.0.1',
        hint: expect.stringContaining('goes past the load balancer'),
      })
      expect((raw as SocketAdapter).stream.bytesRead).toBe(0)
    }
  })

  it('whose first bytes are no header', async () => {
    await refused(layer, (client) => client.write('GET / HTTP/1.1\r\n\r\n'), {
      message: 'the connection does not begin with a PROXY header',
      hint: expect.stringContaining('send-proxy-v2'),
    })
  })

  it('whose header is wrong, or too long', async () => {
    await refused(layer, (client) => client.write('PROXY TCP4 1.2.3.4 5.6.7.8 9\r\n'), {
      message: expect.stringContaining('malformed'),
    })
    const long = Buffer.from('0d0a0d0a000d0a515549540a2111ffff', 'hex')
    await refused(layer, (client) => client.write(long), { message: expect.stringContaining('at most 4096') })
  })

  it('whose header is not whole in time, however many bytes come', async () => {
    const hasty = createProxyLayer({ trust: loopback, timeout: 50 })
    const line = proxyHeader('v1', somebody)
    let trickle: NodeJS.Timeout | undefined
    let sent = 0
    const begin = (client: NodeSocket) => {
      trickle = setInterval(() => client.write(line.subarray(sent, ++sent)), 5)
    }
    await refused(hasty, begin, { message: 'no whole PROXY header came within 50 ms' })
    clearInterval(trickle)
    expect(sent).toBeLessThan(line.length)
    await refused(hasty, () => {}, { message: 'no whole PROXY header came within 50 ms' })
  })

  it('that ends in the middle of its header', async () => {
    await refused(layer, (client) => client.end('PROXY TCP4'), {
      message: 'the other side closed the connection in the middle of its PROXY header',
    })
  })

  it('or ends without a word, which is no failure', async () => {
    const { port, next } = await listen()
    const acts: ((client: NodeSocket, raw: Socket) => unknown)[] = [
      (client) => client.end(),
      (client) => client.resetAndDestroy(),
      (_, raw) => raw.destroy(),
    ]
    for (const act of acts) {
      const { client, raw } = await next(port)
      const unwrapped = layer.unwrap(raw)
      act(client, raw)
      expect(await unwrapped).toBeUndefined()
      raw.destroy()
      // A socket that has closed does not know whom to trust.
      expect(await layer.unwrap(raw)).toBeUndefined()
    }
  })

  it('or goes on, whatever comes first, and nothing is lost of it', async () => {
    const first = fc.oneof(
      fc.uint8Array({ minLength: 1, maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
      fc.constantFrom(proxyHeader('v1', somebody), proxyHeader('v2', somebody), proxyHeader('v1', undefined)),
    )
    const chunks = fc.array(fc.uint8Array({ minLength: 1, maxLength: 20 }), { maxLength: 4 })
    await fc.assert(
      fc.asyncProperty(first, chunks, async (header, rest) => {
        const [near, far] = createSocketPair()
        const anyone = createProxyLayer({ trust: undefined, timeout: 5000 })
        const unwrapped = anyone.unwrap(far).then(
          (socket) => new Receiver(socket!),
          (error: Error) => error,
        )
        for (const chunk of [header, ...rest]) near.write(Buffer.from(chunk))
        near.end()
        const outcome = await unwrapped
        if (outcome instanceof Error) {
          expect(outcome).toMatchObject({ code: 'proxy_failed' })
          return
        }
        await outcome.ended
        const all = Buffer.concat([header, ...rest])
        expect(all.subarray(all.length - outcome.length)).toEqual(outcome.bytes)
      }),
    )
  })
})

/** Waits until so many bytes have been read from a socket. */
async function arrived(raw: Socket, length: number): Promise<void> {
  while ((raw as SocketAdapter).stream.bytesRead < length) await new Promise(setImmediate)
}

/** Listens; `next` gives both ends of a new connection. */
async function listen() {
  let accept: (socket: Socket) => void = () => {}
  const listener = await tcp.listen({ host, port: 0 }, (socket) => accept(socket))
  closers.push(() => listener.close())
  const next = async (port: number): Promise<{ client: NodeSocket; raw: Socket }> => {
    const accepted = new Promise<Socket>((resolve) => {
      accept = resolve
    })
    const client = connect({ port, host, noDelay: true, allowHalfOpen: true }).on('error', () => {})
    const raw = await accepted
    closers.push(
      () => client.destroy(),
      () => raw.destroy(),
    )
    if (client.connecting) await once(client, 'connect')
    return { client, raw }
  }
  return { port: listener.address.port, next }
}

/** @param act what the other side does @returns the socket that was refused */
async function refused(strict: ProxyLayer, act: (client: NodeSocket) => unknown, error: object): Promise<Socket> {
  const { port, next } = await listen()
  const { client, raw } = await next(port)
  const outcome = strict.unwrap(raw)
  act(client)
  await expect(outcome).rejects.toMatchObject({ code: 'proxy_failed', ...error })
  client.destroy()
  raw.destroy()
  return raw
}
