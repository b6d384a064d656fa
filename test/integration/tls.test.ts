import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect as connectTls, createServer as createTlsServer } from 'node:tls'
import { generate } from 'selfsigned'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connect, format } from '../../src/index.ts'
import { eventually } from '../support/parts.ts'
import { Peer } from '../support/peer.ts'
import { start, temporaryFolder } from '../support/server.ts'

const folder = temporaryFolder()
const cert = join(folder.path, 'cert.pem')
const key = join(folder.path, 'key.pem')
let made: Awaited<ReturnType<typeof generate>>

beforeAll(async () => {
  made = await generate([{ name: 'commonName', value: 'localhost' }])
  writeFileSync(cert, made.cert)
  writeFileSync(key, made.private)
})
afterAll(() => folder[Symbol.dispose]())

const dataflow = [{ reply: '${client.tls} ${msg}' }]

describe('a listener with TLS', () => {
  it('serves a client of node:tls, and answers after its half-close', async () => {
    await using running = await start({ listen: { secure: { port: 0, tls: { cert, key }, dataflow } } })
    const to = { port: running.port(), host: '127.0.0.1', ca: made.cert, servername: 'localhost', allowHalfOpen: true }
    const socket = connectTls(to)
    await once(socket, 'secureConnect')
    await using peer = Peer.over(socket)
    expect(await peer.send('a\nb\n').finish().end()).toBe('true a\ntrue b\n')
    expect((await running.event('connection.closed')).reason).toBe('client_closed')
    expect(running.all('listener.opened')).toMatchObject([{ endpoint: 'secure', tls: true }])
  })

  it('serves our own client', async () => {
    await using running = await start({ listen: { secure: { port: 0, tls: { cert, key }, dataflow } } })
    const options = { host: '127.0.0.1', port: running.port(), format: format.text() }
    await using connection = await connect({ ...options, tls: { ca: cert, servername: 'localhost' } })
    expect(await connection.request('hello')).toBe('true hello')
    await expect(connect({ ...options, tls: { servername: 'localhost' } })).rejects.toMatchObject({
      code: 'tls_failed',
      message: 'the certificate of the other side is signed by an authority that is not known here',
    })
  })

  it('refuses plain bytes, says so, and serves others meanwhile', async () => {
    await using running = await start({ listen: { secure: { port: 0, tls: { cert, key }, dataflow } } })
    await using peer = await Peer.connect(running.port())
    await peer.send('2024-01-01 12.5 kg\r\n'.repeat(3)).end()
    const { reason, detail, endpoint } = await running.event('connection.refused')
    expect({ reason, detail, endpoint }).toEqual({
      reason: 'tls_failed',
      detail: 'the other side sent plain bytes where TLS was expected',
      endpoint: 'secure',
    })
    expect(running.server.endpoints[0]!.counters.refused).toEqual(new Map([['tls_failed', 1]]))
    expect(running.all('connection.opened')).toEqual([])
    const tls = { ca: cert, servername: 'localhost' }
    await using connection = await connect({ host: '127.0.0.1', port: running.port(), tls })
    expect(await connection.request('x')).toBe('true x')
  })

  it('counts handshakes for maxConnections, but not as clients', async () => {
    await using running = await start({
      listen: { secure: { port: 0, tls: { cert, key }, limits: { maxConnections: 1 }, dataflow } },
    })
    const first = await Peer.connect(running.port())
    await using second = await Peer.connect(running.port())
    await second.end()
    expect((await running.event('connection.refused')).reason).toBe('too_many_connections')
    expect(running.server.endpoints[0]!.connections).toBe(0)
    await first[Symbol.asyncDispose]()
    await running.event('connection.refused', ({ reason }) => reason === 'tls_failed')
    const tls = { ca: cert, servername: 'localhost' }
    await using connection = await connect({ host: '127.0.0.1', port: running.port(), tls })
    expect(await connection.request('x')).toBe('true x')
    expect(running.server.endpoints[0]!.connections).toBe(1)
  })
})

describe('a connect endpoint with TLS', () => {
  it('believes the authority that it was given, and no other', async () => {
    let heard = ''
    const server = createTlsServer({ cert: made.cert, key: made.private }, (socket) => {
      socket.on('error', () => undefined)
      socket.on('data', (chunk) => {
        heard += chunk
      })
      socket.write('12.5 kg\n')
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    const target = { host: '127.0.0.1', port, dataflow, reconnect: { first: '5ms', max: '10ms' } }
    await using running = await start({
      connect: {
        good: { ...target, tls: { ca: cert, servername: 'localhost' } },
        bad: { ...target, tls: { servername: 'localhost' } },
      },
    })
    await eventually(() => heard === 'true 12.5 kg\n')
    const { endpoint, reason } = await running.event('connection.refused')
    expect({ endpoint, reason }).toEqual({ endpoint: 'bad', reason: 'tls_failed' })
    // It tries again.
    await eventually(() => running.all('connection.refused').length >= 2)
    await running.server.stop()
    server.close()
  })
})
