/** What a relay knows of the servers behind it, and what it tells them. */

import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { TLSSocket } from 'node:tls'
import { generate } from 'selfsigned'
import { describe, expect, it } from 'vitest'
import { hasClient } from '../../scripts/debian-clients.ts'
import { freePort } from '../support/free-port.ts'
import { HaProxy } from '../support/haproxy.ts'
import { Nginx } from '../support/nginx.ts'
import { eventually } from '../support/parts.ts'
import { Peer } from '../support/peer.ts'
import { start, temporaryFolder } from '../support/server.ts'
import { relaying, Upstream } from '../support/upstream.ts'

const host = '127.0.0.1'

describe('a relay that looks whether its servers are well', () => {
  it('knows that one is down, and that it is back, before a client meets it', async () => {
    const port = await freePort()
    await using second = await Upstream.start()
    const health = { check: 'connect', every: '20ms' }
    await using running = await start(relaying([`${host}:${port}`, second.address], { health }))
    const failed = await running.event('upstream.failed')
    expect(failed).toMatchObject({ endpoint: 'front', target: `${host}:${port}` })
    expect(failed.error.code).toBe('connection_refused')
    expect(running.server.endpoints[0]!.upstreams).toMatchObject([{ up: false }, { up: true }])
    for (let i = 0; i < 3; i++) {
      await using client = await Peer.connect(running.port())
      client.send(`client ${i}`)
      await eventually(() => second.peers.some(({ text }) => text === `client ${i}`))
      client.socket.resetAndDestroy()
    }
    // Nobody had to find out by trying.
    expect(running.all('dial.failed')).toEqual([])
    await using first = await Upstream.start(port)
    expect(await running.event('upstream.recovered')).toEqual({ endpoint: 'front', target: first.address })
    expect(running.server.endpoints[0]!.upstreams).toMatchObject([{ up: true }, { up: true }])
    expect(running.all('upstream.failed')).toHaveLength(1)
  })

  it('ends with the server', async () => {
    await using upstream = await Upstream.start()
    await using another = await Upstream.start()
    const health = { check: 'connect', every: '10ms' }
    const running = await start(relaying(upstream.address, { health }))
    await upstream.peer(1)
    await running[Symbol.asyncDispose]()
    const { length } = upstream.peers
    // Another relay with the same interval is the clock.
    await using clock = await start(relaying(another.address, { health }))
    await another.peer(5)
    expect(upstream.peers).toHaveLength(length)
    expect(clock.all('upstream.failed')).toEqual([])
  })

  it('takes a server back that a client has found to be well', async () => {
    const port = await freePort()
    const config = relaying(`${host}:${port}`, { health: { check: 'connect', every: '1h' } })
    await using running = await start(config)
    await running.event('upstream.failed')
    await using upstream = await Upstream.start(port)
    await using client = await Peer.connect(running.port())
    await upstream.peer()
    expect(await running.event('upstream.recovered')).toMatchObject({ target: upstream.address })
    client.socket.resetAndDestroy()
  })

  it('tells only once that a server is down which clients find out', async () => {
    const port = await freePort()
    await using running = await start(relaying(`${host}:${port}`, { health: { first: '1ms', max: '1ms' } }))
    for (let i = 0; i < 2; i++) {
      await using client = await Peer.connect(running.port())
      await client.end()
    }
    expect(running.all('dial.failed')).toHaveLength(2)
    expect(running.all('upstream.failed')).toHaveLength(1)
  })
})

describe('a relay that is reloaded', () => {
  const health = { check: 'connect', every: '1h' }

  it('knows as before which of its servers are down, so that no client meets them', async () => {
    const dead = `${host}:${await freePort()}`
    await using well = await Upstream.start()
    const to = [dead, well.address]
    await using running = await start(relaying(to, { health, mirror: { to: dead } }))
    await eventually(() => running.all('upstream.failed').length === 2)
    // The balance, the other servers and the rest of the endpoint may change.
    const others = { health, mirror: { to: dead }, balance: 'leastConnections' }
    await running.server.reload(relaying([...to, `${host}:1`], others, { limits: { idleTimeout: '1h' } }))
    expect(running.server.endpoints[0]!.upstreams).toMatchObject([
      { name: dead, up: false },
      { name: well.address, up: true },
      { name: `${host}:1` },
      { name: dead, up: false },
    ])
    await running.event('upstream.failed', ({ target }) => target === `${host}:1`)
    await using client = await Peer.connect(running.port())
    client.send('hello')
    await eventually(() => well.peers.some(({ text }) => text === 'hello'))
    expect(running.all('dial.failed')).toEqual([])
    expect(running.all('upstream.failed')).toHaveLength(3)
    client.socket.resetAndDestroy()
  })

  it('leaves a server out for as long as before where only clients find out', async () => {
    const dead = `${host}:${await freePort()}`
    await using well = await Upstream.start()
    // The time is drawn at random below it.
    const config = relaying([dead, well.address], { health: { first: '24d', max: '24d' } })
    await using running = await start(config)
    for (let i = 0; i < 3; i++) {
      await using client = await Peer.connect(running.port())
      await well.peer(i)
      client.socket.resetAndDestroy()
      await running.server.reload(config)
    }
    expect(running.all('dial.failed')).toHaveLength(1)
    expect(running.all('upstream.failed')).toHaveLength(1)
  })

  it('counts the clients that were there before for leastConnections', async () => {
    await using one = await Upstream.start()
    await using other = await Upstream.start()
    const config = relaying([one.address, other.address], { balance: 'leastConnections' })
    await using running = await start(config)
    await using first = await Peer.connect(running.port())
    await one.peer()
    await running.server.reload(config)
    await using second = await Peer.connect(running.port())
    await other.peer()
    expect(one.peers).toHaveLength(1)
    for (const { socket } of [first, second]) socket.resetAndDestroy()
  })

  it.each<[string, object]>([
    ['the health check', { health: { check: 'connect', every: '2h' } }],
    ['TLS', { health, tls: { insecure: true } }],
    ['the time that it has', { health, connectTimeout: '1s' }],
    ['the header that it is sent', { health, sendProxy: 'v1' }],
  ])('begins anew with a server when %s has changed', async (_, changed) => {
    const dead = `${host}:${await freePort()}`
    await using running = await start(relaying(dead, { health }))
    await running.event('upstream.failed')
    await running.server.reload(relaying(dead, changed))
    await eventually(() => running.all('upstream.failed').length === 2)
    await running.server.reload(relaying(dead, changed))
    expect(running.server.endpoints[0]!.upstreams).toMatchObject([{ up: false }])
  })

  it('looks after a server that stays once and not twice, and no more after one that is gone', async () => {
    await using gone = await Upstream.start()
    await using stays = await Upstream.start()
    await using clock = await Upstream.start()
    const often = { health: { check: 'connect', every: '10ms' } }
    await using running = await start(relaying([gone.address, stays.address, clock.address], often))
    await clock.peer(2)
    await running.server.reload(relaying([stays.address, clock.address], often))
    // Looks that were under way have ended by then.
    await clock.peer(clock.peers.length + 3)
    const before = [gone, stays, clock].map(({ peers }) => peers.length)
    await clock.peer(before[2]! + 10)
    expect(gone.peers).toHaveLength(before[0]!)
    expect(stays.peers.length - before[1]!).toBeLessThan(16)
  })
})

describe('a relay that sends a PROXY header', () => {
  it.each(['v1', 'v2'] as const)('%s tells the server who the client is', async (sendProxy) => {
    await using upstream = await Upstream.start()
    await using running = await start(relaying(upstream.address, { sendProxy }))
    await using client = await Peer.connect(running.port())
    const { localPort } = client.socket
    const server = await upstream.peer()
    client.send('hello')
    await server.hear('hello')
    if (sendProxy === 'v1') {
      expect(server.text).toBe(`PROXY TCP4 ${host} ${host} ${localPort} ${running.port()}\r\nhello`)
    } else {
      const ports = Buffer.alloc(4)
      ports.writeUInt16BE(localPort!, 0)
      ports.writeUInt16BE(running.port(), 2)
      const header = Buffer.from('0d0a0d0a000d0a515549540a2111000c7f0000017f000001', 'hex')
      expect(server.received).toEqual(Buffer.concat([header, ports, Buffer.from('hello')]))
    }
    client.socket.resetAndDestroy()
  })

  it('says of a health check that it is our own', async () => {
    await using upstream = await Upstream.start()
    const health = { check: 'connect', every: '1h' }
    await using running = await start(relaying(upstream.address, { sendProxy: 'v2', health }))
    const check = await upstream.peer()
    await check.end()
    expect(check.received.toString('hex')).toBe('0d0a0d0a000d0a515549540a20000000')
    expect(running.all('upstream.failed')).toEqual([])
  })

  it('sends it before the TLS handshake, and to the mirror too', async () => {
    const { private: key, cert } = await generate([{ name: 'commonName', value: 'localhost' }], {
      extensions: [{ name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }] }],
    })
    using folder = temporaryFolder()
    const ca = join(folder.path, 'cert.pem')
    writeFileSync(ca, cert)
    await using mirror = await Upstream.start()
    const header = Promise.withResolvers<string>()
    const server = createServer((socket) => {
      void readLine(socket).then((line) => {
        header.resolve(line)
        const secure = new TLSSocket(socket, { isServer: true, cert, key })
        secure.on('error', () => undefined)
        secure.on('data', (chunk) => secure.write(`heard ${chunk}`))
      })
    }).listen(0, host)
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const to = `localhost:${port}`
    const more = { sendProxy: 'v1', tls: { ca }, mirror: { to: mirror.address } }
    await using running = await start(relaying(to, more))
    await using client = await Peer.connect(running.port())
    const expected = `PROXY TCP4 ${host} ${host} ${client.socket.localPort} ${running.port()}`
    expect(await header.promise).toBe(expected)
    client.send('you')
    await client.hear('heard you')
    const copy = await mirror.peer()
    await copy.hear('you')
    expect(copy.text).toBe(`${expected}\r\nyou`)
    copy.finish()
    client.socket.resetAndDestroy()
    server.close()
  })

  it.skipIf(!hasClient('nginx')).each(['v1', 'v2'] as const)('%s is understood by a real nginx', async (sendProxy) => {
    const port = await freePort()
    await using nginx = await Nginx.start(
      await freePort(),
      `listen ${host}:${port} proxy_protocol; location = /who { return 200 "$proxy_protocol_addr:$proxy_protocol_port"; }`,
    )
    expect(nginx.port).not.toBe(port)
    await using running = await start(relaying(`${host}:${port}`, { sendProxy }))
    await using client = await Peer.connect(running.port())
    client.send('GET /who HTTP/1.0\r\n\r\n')
    expect(await client.end()).toMatch(`\r\n\r\n${host}:${client.socket.localPort}`)
  })

  it.skipIf(!hasClient('haproxy')).each(['v1', 'v2'] as const)(
    '%s is understood by a real HAProxy',
    async (sendProxy) => {
      await using haproxy = await HaProxy.start(
        (port) => `
          mode http
          bind ${host}:${port} accept-proxy
          http-request return status 200 content-type text/plain lf-string "%[src]:%[src_port]"`,
      )
      const health = { check: 'connect', every: '1h' }
      await using running = await start(relaying(`${host}:${haproxy.port}`, { sendProxy, health }))
      await using client = await Peer.connect(running.port())
      client.send('GET / HTTP/1.0\r\n\r\n')
      expect(await client.end()).toMatch(`\r\n\r\n${host}:${client.socket.localPort}`)
    },
  )
})

/** Reads up to the first CR LF, and leaves what follows unread. */
async function readLine(socket: Socket): Promise<string> {
  let line = ''
  while (!line.endsWith('\r\n')) {
    const byte: Buffer | null = socket.read(1)
    if (byte === null) await once(socket, 'readable')
    else line += byte.toString('latin1')
  }
  return line.trimEnd()
}
