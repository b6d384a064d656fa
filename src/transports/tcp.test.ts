import { fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Socket as NodeSocket, type Server } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest'
import { formatAddress } from '../contracts/client.ts'
import type { Listener, ListenOptions, Socket } from '../contracts/transport.ts'
import { Receiver } from '../testing/receiver.ts'
import { adoptSocket } from './net-socket.ts'
import { dialError, listenError } from './socket-errors.ts'
import { createTcp } from './tcp.ts'

const tcp = createTcp()
const folder = mkdtempSync(join(tmpdir(), 'sluice-tcp-'))
const hasIPv6 = Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === '::1'))
const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})
afterAll(() => rmSync(folder, { recursive: true }))

describe('addresses', () => {
  it('without a host both families reach the port, and IPv4 peers look like IPv4', async () => {
    const accepted: Socket[] = []
    const listener = await listen({ port: 0 }, (socket) => accepted.push(socket))
    for (const host of hasIPv6 ? ['127.0.0.1', '::1'] : ['127.0.0.1']) {
      const socket = await dial(host, listener.address.port)
      expect(socket.remote).toEqual({ ip: host, port: listener.address.port })
      await vi.waitUntil(() => accepted.length > 0, { timeout: 60_000 })
      const other = accepted.pop()!
      expect(other.remote).toEqual(socket.local)
      expect(other.local.ip).toBe(host)
    }
  })

  it.runIf(hasIPv6)('ipv6Only leaves IPv4 free for somebody else', async () => {
    const six = await listen({ port: 0, ipv6Only: true })
    await expect(dial('127.0.0.1', six.address.port)).rejects.toMatchObject({ code: 'connection_refused' })
    const four = await listen({ host: '0.0.0.0', port: six.address.port })
    expect(four.address.port).toBe(six.address.port)
  })

  it('a host name is dialled through all its addresses', async () => {
    const listener = await listen({ host: '127.0.0.1', port: 0 })
    const socket = await dial('localhost', listener.address.port)
    expect(socket.remote).toEqual(listener.address)
  })

  it('a port is free as soon as its listener has closed, even while connections live', async () => {
    const listener = await listen({ host: '127.0.0.1', port: 0 })
    await dial('127.0.0.1', listener.address.port)
    await listener.close()
    await listener.close()
    await listen({ host: '127.0.0.1', port: listener.address.port })
  })
})

describe('what cannot be listened on', () => {
  it('a port that is in use', async () => {
    const listener = await listen({ host: '127.0.0.1', port: 0 })
    const { port } = listener.address
    await expect(listen({ host: '127.0.0.1', port })).rejects.toMatchObject({
      code: 'address_in_use',
      message: `something else listens on port ${port}`,
      hint: expect.stringContaining('choose another port'),
    })
  })

  it('an address that this machine does not have', async () => {
    // 203.0.113.0/24 is for documentation (RFC 5737).
    await expect(listen({ host: '203.0.113.1', port: 0 })).rejects.toMatchObject({
      code: 'address_unavailable',
      message: 'this machine has no address 203.0.113.1',
    })
  })

  it('a port below 1024 without the permission for it', () => {
    const error = Object.assign(new Error('listen EACCES'), { code: 'EACCES' })
    expect(listenError(error, { port: 80 })).toMatchObject({
      code: 'permission_denied',
      hint: 'Use a port above 1023 or give the program the capability CAP_NET_BIND_SERVICE.',
    })
  })

  it('a path at which a file stands that is no socket', async () => {
    const path = join(folder, 'file.sock')
    writeFileSync(path, 'precious')
    await expect(listen({ path })).rejects.toMatchObject({
      code: 'address_in_use',
      message: `${path} exists and is no socket`,
      hint: 'Move it away or choose another path.',
    })
    expect(readFileSync(path, 'utf8')).toBe('precious')
  })

  it('a path in a folder that does not exist, and one that is too long', async () => {
    await expect(listen({ path: join(folder, 'no', 'x.sock') })).rejects.toMatchObject({
      code: 'address_unavailable',
      hint: 'Create the folder.',
    })
    await expect(listen({ path: join(folder, 'x'.repeat(120)) })).rejects.toMatchObject({
      code: 'address_unavailable',
      hint: expect.stringContaining('107 bytes'),
    })
  })
})

describe('Unix sockets', () => {
  it('remove their file when the listener closes', async () => {
    const path = join(folder, 'closed.sock')
    const listener = await listen({ path })
    expect(listener.address).toEqual({ ip: path, port: 0 })
    expect(formatAddress(listener.address)).toBe(path)
    expect(existsSync(path)).toBe(true)
    await listener.close()
    expect(existsSync(path)).toBe(false)
  })

  it('replace a file that a killed program left behind', async () => {
    const path = join(folder, 'stale.sock')
    const program = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.send('ready'))`
    const script = join(folder, 'program.cjs')
    writeFileSync(script, program)
    const child = fork(script, { execArgv: [] })
    await once(child, 'message')
    await expect(listen({ path })).rejects.toMatchObject({ code: 'address_in_use' })
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(existsSync(path)).toBe(true)
    await listen({ path })
    const socket = await tcp.dial({ path, timeout: 1000 })
    closers.push(() => socket.destroy())
    expect(socket.remote.ip).toBe(path)
  })

  it('never replace a file that is no socket', async () => {
    const path = join(folder, 'file')
    writeFileSync(path, 'precious')
    await expect(listen({ path })).rejects.toMatchObject({ code: 'address_in_use' })
    expect(existsSync(path)).toBe(true)
  })

  it('say plainly that nobody listens', async () => {
    await expect(tcp.dial({ path: join(folder, 'none'), timeout: 1000 })).rejects.toMatchObject({
      code: 'connection_refused',
      message: `nothing listens on ${join(folder, 'none')} (no such socket)`,
    })
  })
})

describe('what cannot be dialled', () => {
  it('a port where nobody listens', async () => {
    const listener = await listen({ host: '127.0.0.1', port: 0 })
    await listener.close()
    await expect(dial('127.0.0.1', listener.address.port)).rejects.toMatchObject({
      code: 'connection_refused',
      retryable: true,
      message: `nothing listens on 127.0.0.1:${listener.address.port} (connection refused)`,
    })
    await expect(dial('localhost', listener.address.port)).rejects.toMatchObject({ code: 'connection_refused' })
  })

  it('a name that no DNS knows', async () => {
    // RFC 6761, section 6.4: names under .invalid never resolve.
    await expect(dial('scale.invalid', 1)).rejects.toMatchObject({ code: 'host_unknown' })
  })

  it('an address that does not answer in time', async () => {
    const port = await deafPort()
    await expect(tcp.dial({ host: '127.0.0.1', port, timeout: 50 })).rejects.toMatchObject({
      code: 'connection_timeout',
      message: `127.0.0.1:${port} did not answer within 50 ms`,
    })
  })

  it('anything, once the signal is aborted', async () => {
    const port = await deafPort()
    const controller = new AbortController()
    const dialled = tcp.dial({ host: '127.0.0.1', port, timeout: 5000, signal: controller.signal })
    const reason = new Error('the server stops')
    controller.abort(reason)
    await expect(dialled).rejects.toBe(reason)
  })

  it('a network without a route, or one that is forbidden', () => {
    const fail = (code: string) => dialError(Object.assign(new Error(code), { code }), { ...target, timeout: 1 })
    const target = { host: '10.0.0.7', port: 2112 }
    expect(fail('EHOSTUNREACH')).toMatchObject({ code: 'connection_timeout', retryable: true })
    expect(fail('EACCES')).toMatchObject({ code: 'permission_denied', retryable: false })
    expect(fail('EWHATEVER').message).toBe('10.0.0.7:2112 cannot be reached: EWHATEVER')
  })
})

describe('adoptSocket', () => {
  it('serves a socket that somebody else accepted, with what it has read already', async () => {
    const adopted = Promise.withResolvers<Receiver>()
    const server = createServer((stream) =>
      stream.once('readable', () => adopted.resolve(new Receiver(adoptSocket(stream)))),
    ).listen(0, '127.0.0.1')
    closers.push(() => server.close())
    await once(server, 'listening')
    const client = new Receiver(await dial('127.0.0.1', portOf(server)))
    client.socket.write('hello')
    client.socket.end()
    const receiver = await adopted.promise
    await receiver.ended
    expect(receiver.text).toBe('hello')
    receiver.socket.write('half-closed, and still answered')
    receiver.socket.end()
    await client.ended
    expect(client.text).toBe('half-closed, and still answered')
  })
})

it('a connection holds no function of its own', async () => {
  const accepted: Socket[] = []
  const listener = await listen({ host: '127.0.0.1', port: 0 }, (socket) => accepted.push(socket))
  for (let i = 0; i < 2; i++) new Receiver(await dial('127.0.0.1', listener.address.port))
  await vi.waitUntil(() => accepted.length === 2, { timeout: 60_000 })
  const [one, other] = accepted.map((socket) => {
    new Receiver(socket)
    return (socket as Socket & { stream: NodeSocket }).stream
  })
  for (const event of ['data', 'end', 'drain', 'close', 'error']) {
    expect(one!.listeners(event).length).toBeGreaterThan(0)
    expect(one!.listeners(event)).toEqual(other!.listeners(event))
    for (const [i, listener] of one!.listeners(event).entries()) expect(listener).toBe(other!.listeners(event)[i])
  }
})

async function listen(options: ListenOptions, onSocket?: (socket: Socket) => void): Promise<Listener> {
  const listener = await tcp.listen(options, (socket) => {
    closers.push(() => socket.destroy())
    onSocket?.(socket)
  })
  closers.push(() => listener.close())
  return listener
}

async function dial(host: string, port: number): Promise<Socket> {
  const socket = await tcp.dial({ host, port, timeout: 2000 })
  closers.push(() => socket.destroy())
  return socket
}

/** A port that drops connection attempts: its program hangs, and the queue of the kernel is full. */
async function deafPort(): Promise<number> {
  const script = join(folder, 'deaf.cjs')
  writeFileSync(
    script,
    `const server = require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () =>
       process.send(server.address().port, () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)))`,
  )
  const child = fork(script, { execArgv: [] })
  closers.push(() => child.kill('SIGKILL'))
  const [port] = (await once(child, 'message')) as [number]
  const queued = await Promise.all(
    Array.from({ length: 2 }, async () => {
      const socket = connect(port, '127.0.0.1')
      await once(socket, 'connect')
      return socket.on('error', () => {})
    }),
  )
  closers.push(() => queued.map((socket) => socket.destroy()))
  return port
}

function portOf(server: Server): number {
  return (server.address() as { port: number }).port
}
