import { execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect as netConnect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { generate } from 'selfsigned'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import type { SluiceError } from '../contracts/errors.ts'
import type { Socket, TlsLayer } from '../contracts/transport.ts'
import { Receiver } from '../testing/receiver.ts'
import { createSocketPair } from './memory.ts'
import { createTcp } from './tcp.ts'
import { createClientTls, createServerTls } from './tls.ts'

const make = async (name: string) => generate([{ name: 'commonName', value: name }])
const ours = await make('localhost')
const other = await make('elsewhere.example')
const client = await make('scale 7')

const tcp = createTcp()
const hasOpenssl = spawnSync('openssl', ['version']).status === 0
const folder = mkdtempSync(join(tmpdir(), 'sluice-tls-'))
const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})
afterAll(() => rmSync(folder, { recursive: true }))

const server = createServerTls({ cert: ours.cert, key: ours.private })
const believing = createClientTls({ ca: ours.cert, servername: 'localhost' })

describe('a handshake that fails', () => {
  it('names plain bytes on a TLS port, and closes the connection', async () => {
    const { port, outcome } = await serve(server)
    const socket = netConnect(port, '127.0.0.1', () => socket.write('2024-01-01 12.5 kg\r\n'))
    socket.on('error', () => {}).resume()
    expect(await outcome).toMatchObject({
      code: 'tls_failed',
      message: 'the other side sent plain bytes where TLS was expected',
    })
    await once(socket, 'close')
  })

  it('names an HTTP request in the same words', async () => {
    const { port, outcome } = await serve(server)
    const socket = netConnect(port, '127.0.0.1', () => socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n'))
    socket.on('error', () => {}).resume()
    expect(await outcome).toMatchObject({ message: 'the other side sent plain bytes where TLS was expected' })
  })

  it('names a plain server that is dialled with TLS', async () => {
    const [near, far] = createSocketPair()
    far.start({ onData: () => void far.write('220 ready\r\n'), onEnd() {}, onDrain() {}, onClose() {} })
    await expect(believing.secure(near)).rejects.toMatchObject({
      code: 'tls_failed',
      message: 'the other side sent plain bytes where TLS was expected',
    })
  })

  it('names an unknown authority on the side that checks, and says so on the other', async () => {
    const [near, far] = createSocketPair()
    const theirs = server.secure(far).then(
      () => undefined,
      (error: SluiceError) => error,
    )
    await expect(createClientTls({ servername: 'localhost' }).secure(near)).rejects.toMatchObject({
      message: 'the certificate of the other side is signed by an authority that is not known here',
      hint: 'Give the certificate of its authority as tls.ca.',
    })
    expect((await theirs)?.code ?? 'tls_failed').toBe('tls_failed')
  })

  it('names a certificate for another host', async () => {
    const layer = createServerTls({ cert: other.cert, key: other.private })
    const [near, far] = createSocketPair()
    layer.secure(far).catch(() => {})
    await expect(createClientTls({ ca: other.cert, servername: 'localhost' }).secure(near)).rejects.toMatchObject({
      code: 'tls_failed',
      message: 'the certificate of the other side is for another host',
    })
  })

  it('has a deadline that every byte does not prolong', async () => {
    const { port, outcome } = await serve(createServerTls({ cert: ours.cert, key: ours.private, handshakeTimeout: 60 }))
    // The beginning of a ClientHello, a byte at a time.
    const hello = Buffer.from('160301020001000', 'hex')
    const socket = netConnect(port, '127.0.0.1')
    let sent = 0
    const trickle = setInterval(() => socket.write(hello.subarray(sent++, sent)), 10)
    // It may be a reset that ends it: there is always a byte under way.
    const closed = new Promise((resolve) =>
      socket
        .on('error', () => {})
        .on('close', resolve)
        .resume(),
    )
    expect(await outcome).toMatchObject({ message: 'the TLS handshake did not finish within 60 ms' })
    await closed
    clearInterval(trickle)
  })

  it('is told when the other side just goes', async () => {
    const { port, outcome } = await serve(server)
    const socket = netConnect(port, '127.0.0.1', () => socket.destroy())
    expect(await outcome).toMatchObject({
      message: 'the other side closed the connection during the TLS handshake',
    })
  })

  it('refuses a connection that has closed already', async () => {
    const listener = await tcp.listen({ host: '127.0.0.1', port: 0 }, (socket) => socket.destroy())
    closers.push(() => listener.close())
    const raw = await tcp.dial({ ...listenerTarget(listener.address.port) })
    raw.destroy()
    await expect(believing.secure(raw)).rejects.toMatchObject({ code: 'tls_failed' })
  })
})

describe('client certificates', () => {
  const strict = createServerTls({ cert: ours.cert, key: ours.private, ca: client.cert })

  it('are checked where an authority is given', async () => {
    const layer = createClientTls({
      ca: ours.cert,
      servername: 'localhost',
      cert: client.cert,
      key: client.private,
    })
    const { port, outcome } = await serve(strict)
    const [near] = await Promise.all([dialSecure(layer, port), outcome])
    expect(near.tls).toBe(true)
  })

  it('are required', async () => {
    const { port, outcome } = await serve(strict)
    dialSecure(believing, port).catch(() => {})
    expect(await outcome).toMatchObject({
      code: 'tls_failed',
      message: 'a certificate of the client is required, and it sent none',
    })
  })

  it('that are missing break the connection of a client whose handshake is done, and are no end', async () => {
    const { port, outcome } = await serve(strict)
    const near = new Receiver(await dialSecure(believing, port))
    near.socket.write('hello')
    expect(await near.closed).toMatchObject({
      code: 'tls_failed',
      message: 'a certificate of the client is required, and it sent none',
    })
    expect(near.calls).toEqual(['close'])
    await outcome
  })

  it('of another authority are refused', async () => {
    const layer = createClientTls({ ca: ours.cert, servername: 'localhost', cert: other.cert, key: other.private })
    const { port, outcome } = await serve(strict)
    dialSecure(layer, port).catch(() => {})
    expect(await outcome).toMatchObject({ code: 'tls_failed' })
  })
})

describe('certificates that cannot be used', () => {
  it('say which file to look at', () => {
    expect(() => createServerTls({ cert: 'not PEM', key: ours.private })).toThrow(
      'the certificate or the key cannot be read',
    )
    expect(() => createServerTls({ cert: ours.cert, key: other.private })).toThrow(
      'the key does not belong to the certificate',
    )
  })
})

it('verify: false believes any certificate', async () => {
  const { port, outcome } = await serve(server)
  const socket = await dialSecure(createClientTls({ verify: false }), port)
  expect(socket.tls).toBe(true)
  expect(((await outcome) as Socket).remote).toEqual(socket.local)
})

it('servername may be an IP address, which is not sent but checked', async () => {
  // selfsigned gives a certificate for localhost the address 127.0.0.1 too, and no other one.
  const { port } = await serve(server)
  expect((await dialSecure(createClientTls({ ca: ours.cert }), port)).tls).toBe(true)
  const another = await serve(createServerTls({ cert: other.cert, key: other.private }))
  await expect(dialSecure(createClientTls({ ca: other.cert }), another.port)).rejects.toMatchObject({
    message: 'the certificate of the other side is for another host',
  })
})

describe.runIf(hasOpenssl)('openssl s_client', () => {
  const ca = join(folder, 'ca.pem')
  writeFileSync(ca, ours.cert)

  it('gets what was written before the end', async () => {
    const { port, outcome } = await serve(server)
    const child = spawn('openssl', [
      's_client',
      '-connect',
      `127.0.0.1:${port}`,
      '-CAfile',
      ca,
      '-quiet',
      '-no_ign_eof',
    ])
    const output = text(child.stdout)
    const receiver = new Receiver((await outcome) as Socket)
    child.stdin.write('question\n')
    await receiver.received(9)
    expect(receiver.text).toBe('question\n')
    receiver.socket.write('answer\n')
    receiver.socket.end()
    expect(await output).toBe('answer\n')
    child.stdin.end()
    await receiver.closed
  })

  it.each(['-tls1_2', '-tls1_3'])('%s is spoken', async (version) => {
    const { port, outcome } = await serve(server)
    const child = spawn('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, '-CAfile', ca, version])
    child.stdin.end()
    expect(await text(child.stdout)).toContain('Verify return code: 0 (ok)')
    expect(((await outcome) as Socket).tls).toBe(true)
  })

  it('-tls1_1 is refused', async () => {
    const { port, outcome } = await serve(server)
    const args = ['s_client', '-connect', `127.0.0.1:${port}`, '-tls1_1', '-cipher', 'ALL:@SECLEVEL=0']
    await expect(promisify(execFile)('openssl', args)).rejects.toThrow()
    expect(await outcome).toMatchObject({
      code: 'tls_failed',
      message: 'the two sides have no TLS version in common',
    })
  })

  it('renegotiation is refused', async () => {
    const { port, outcome } = await serve(server)
    const child = spawn('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, '-CAfile', ca, '-tls1_2'])
    const receiver = new Receiver((await outcome) as Socket)
    const errors = text(child.stderr)
    child.stdout.resume()
    // s_client takes a line R as the order to renegotiate.
    child.stdin.write('R\n')
    await Promise.race([receiver.closed, once(child, 'exit')])
    expect(receiver.text).toBe('')
    child.kill()
    expect(await errors).toMatch(/renegotiation/i)
  })
})

/** Listens on TCP; `outcome` is what became of the first handshake: the secured socket or its error. */
async function serve(layer: TlsLayer): Promise<{ port: number; outcome: Promise<Socket | SluiceError> }> {
  const { promise, resolve } = Promise.withResolvers<Socket | SluiceError>()
  const listener = await tcp.listen({ host: '127.0.0.1', port: 0 }, (raw) => {
    closers.push(() => raw.destroy())
    layer.secure(raw).then(resolve, resolve)
  })
  closers.push(() => listener.close())
  return { port: listener.address.port, outcome: promise }
}

async function dialSecure(layer: TlsLayer, port: number): Promise<Socket> {
  const raw = await tcp.dial(listenerTarget(port))
  closers.push(() => raw.destroy())
  return layer.secure(raw)
}

function listenerTarget(port: number) {
  return { host: '127.0.0.1', port, timeout: 2000 }
}
