/** A listener behind a load balancer that says who its clients are. */

import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { connect as connectSocket, createServer } from 'node:net'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { generate } from 'selfsigned'
import { describe, expect, it } from 'vitest'
import { hasClient } from '../../scripts/debian-clients.ts'
import type { Config } from '../../src/index.ts'
import { HaProxy } from '../support/haproxy.ts'
import { eventually } from '../support/parts.ts'
import { Peer } from '../support/peer.ts'
import { type Running, start, temporaryFolder } from '../support/server.ts'
import { relaying } from '../support/upstream.ts'

const host = '127.0.0.1'
const trust = host

/** Answers each line with what is known of the client. */
const behind = (endpoint: object = {}): Config => ({
  listen: {
    back: {
      host,
      port: 0,
      proxyProtocol: { trust },
      dataflow: [{ reply: '${client.ip} ${client.port} ${client.localIp} ${client.localPort} ${client.tls} ${msg}' }],
      ...endpoint,
    },
  },
})

const header = 'PROXY TCP4 203.0.113.7 198.51.100.1 4711 443\r\n'
const who = '203.0.113.7 4711 198.51.100.1 443'

/** Connects, sends, and hears the answers to the end. */
async function ask(port: number, bytes: string | Buffer): Promise<string> {
  await using peer = await Peer.connect(port)
  return await peer.send(bytes).finish().end()
}

/** What was said of the connections that were refused. */
function refusals(running: Running): string[] {
  return running.all('connection.refused').map(({ reason, detail }) => `${reason}: ${detail}`)
}

describe('a listener with proxyProtocol', () => {
  it('takes the client of the header for its client, in either version', async () => {
    await using running = await start(behind())
    expect(await ask(running.port(), `${header}hello\n`)).toBe(`${who} false hello\n`)
    const v2 = Buffer.from('0d0a0d0a000d0a515549540a 2111000c cb007107 c6336401 1267 01bb'.replaceAll(' ', ''), 'hex')
    expect(await ask(running.port(), Buffer.concat([v2, Buffer.from('hello\n')]))).toBe(`${who} false hello\n`)
    for (const { client } of running.all('connection.opened')) {
      expect(client).toMatchObject({ ip: '203.0.113.7', port: 4711, localIp: '198.51.100.1', localPort: 443 })
    }
    const closed = running.all('connection.closed')
    // The header is none of the bytes that the client has sent.
    expect(closed.map(({ client }) => client.bytesIn)).toEqual([6, 6])
  })

  it('opens the connection only when the header is there', async () => {
    await using running = await start(behind({ onConnect: [{ reply: 'hello ${client.ip}' }] }))
    await using peer = await Peer.connect(running.port())
    peer.send(header.slice(0, 20))
    await using other = await Peer.connect(running.port())
    other.send('PROXY TCP4 203.0.113.8 198.51.100.1 4711 443\r\n')
    await other.hear('hello 203.0.113.8\n')
    expect(peer.text).toBe('')
    expect(running.server.endpoints[0]!.connections).toBe(1)
    peer.send(header.slice(20))
    await peer.hear('hello 203.0.113.7\n')
  })

  it('refuses who sends none, a wrong one, or none in time, says why, and serves others meanwhile', async () => {
    await using running = await start(behind({ proxyProtocol: { trust, timeout: '1s' } }))
    await using silent = await Peer.connect(running.port())
    expect(await ask(running.port(), 'hello\n')).toBe('')
    expect(await ask(running.port(), 'PROXY TCP4 a b c d\r\nhello\n')).toBe('')
    expect(await ask(running.port(), 'PROXY')).toBe('')
    await silent.end()
    expect(refusals(running).toSorted()).toEqual([
      'proxy_failed: no whole PROXY header came within 1000 ms',
      'proxy_failed: the PROXY header is malformed: its line is not as version 1 has it',
      'proxy_failed: the connection does not begin with a PROXY header',
      'proxy_failed: the other side closed the connection in the middle of its PROXY header',
    ])
    expect(running.all('connection.refused').map(({ remote }) => remote.ip)).toEqual([host, host, host, host])
    expect(running.server.endpoints[0]!.counters.refused).toEqual(new Map([['proxy_failed', 4]]))
    expect(running.all('connection.opened')).toEqual([])
    expect(await ask(running.port(), `${header}x\n`)).toBe(`${who} false x\n`)
  })

  it('says of a connection that ends without a word only that it was there', async () => {
    await using running = await start(behind())
    expect(await ask(running.port(), '')).toBe('')
    await running.event('connection.refused')
    expect(refusals(running)).toEqual([
      'client_closed: it was gone before anything could be read, as with health checks',
    ])
  })

  it('believes nobody whom trust does not name, and without trust nobody', async () => {
    for (const proxyProtocol of [{ trust: ['10.0.0.0/8', '::1'] }, {}]) {
      await using running = await start(behind({ proxyProtocol }))
      expect(await ask(running.port(), `${header}hello\n`)).toBe('')
      await running.event('connection.refused')
      expect(refusals(running)).toEqual([`proxy_failed: proxyProtocol.trust does not name ${host}`])
    }
  })

  it('reads the header before TLS, and names the client when the handshake fails', async () => {
    const { private: key, cert } = await generate([{ name: 'commonName', value: 'localhost' }])
    using folder = temporaryFolder()
    const files = { cert: join(folder.path, 'cert.pem'), key: join(folder.path, 'key.pem') }
    writeFileSync(files.cert, cert)
    writeFileSync(files.key, key)
    await using running = await start(behind({ tls: files }))
    const raw = connectSocket(running.port(), host)
    raw.write(header)
    const socket = connectTls({ socket: raw, ca: cert, servername: 'localhost' })
    await once(socket, 'secureConnect')
    await using peer = Peer.over(socket)
    await peer.send('hello\n').hear(`${who} true hello\n`)
    expect(await ask(running.port(), `${header}no TLS at all\n`)).toBe('')
    const { reason, remote } = await running.event('connection.refused')
    expect({ reason, remote }).toEqual({ reason: 'tls_failed', remote: { ip: '203.0.113.7', port: 4711 } })
  })

  it('counts those whose header is under way for maxConnections, and does not wait for them when it stops', async () => {
    await using running = await start(behind({ limits: { maxConnections: 1 } }))
    await using first = await Peer.connect(running.port())
    first.send('PROXY ')
    await using second = await Peer.connect(running.port())
    await second.end()
    expect(refusals(running)).toEqual(['too_many_connections: limits.maxConnections is 1'])
    const refused = running.event('connection.refused', ({ reason }) => reason === 'drained')
    await running.server.stop({ deadline: 60_000 })
    await refused
    await first.end()
  })

  it('believes whoever can connect to a Unix socket', async () => {
    using folder = temporaryFolder()
    const path = join(folder.path, 'back.sock')
    const { host: _, port: __, ...endpoint } = behind().listen!['back']!
    await using running = await start({ listen: { back: { ...endpoint, socket: path, proxyProtocol: {} } } })
    for (const [bytes, answer] of [
      [`${header}x\n`, `${who} false x\n`],
      ['PROXY UNKNOWN\r\nx\n', `${path} 0 ${path} 0 false x\n`],
    ] as const) {
      await using peer = await Peer.connect({ path })
      expect(await peer.send(bytes).finish().end()).toBe(answer)
    }
    expect(refusals(running)).toEqual([])
  })

  it('believes a Unix socket that a program has accepted and hands over', async () => {
    using folder = temporaryFolder()
    const { host: _, port: __, ...endpoint } = behind().listen!['back']!
    const own = join(folder.path, 'back.sock')
    await using running = await start({ listen: { back: { ...endpoint, socket: own, proxyProtocol: {} } } })
    const path = join(folder.path, 'program.sock')
    const program = createServer((socket) => void running.server.handle(socket, 'back')).listen(path)
    await once(program, 'listening')
    await using peer = await Peer.connect({ path })
    expect(await peer.send(`${header}x\n`).finish().end()).toBe(`${who} false x\n`)
    program.close()
  })

  it('takes other options of a reload for new connections', async () => {
    await using running = await start(behind())
    expect(await ask(running.port(), `${header}x\n`)).toBe(`${who} false x\n`)
    const report = await running.server.reload(behind({ proxyProtocol: { trust: '10.0.0.5' } }))
    expect(report.changed).toEqual(['back'])
    expect(await ask(running.port(), `${header}x\n`)).toBe('')
    await running.server.reload(behind({ proxyProtocol: undefined }))
    expect(await ask(running.port(), 'x\n')).toMatch(/^127\.0\.0\.1 .* x\n$/)
  })
})

describe('a relay that sends headers to another Sluice', () => {
  it.each(['v1', 'v2'] as const)(
    'in %s hands the client on, also one that it knows from a header itself',
    async (sendProxy) => {
      await using back = await start(behind())
      const to = `${host}:${back.port()}`
      const health = { check: 'connect', every: '1h' }
      await using front = await start(relaying(to, { sendProxy, health }, { proxyProtocol: { trust } }))
      expect(await ask(front.port(), `${header}hello\n`)).toBe(`${who} false hello\n`)
      expect((await front.event('connection.opened')).client).toMatchObject({ ip: '203.0.113.7' })
      // The health check is a connection of the relay's own, and refused by nobody.
      await eventually(() => back.all('connection.closed').length === 2)
      expect(
        back
          .all('connection.opened')
          .map(({ client }) => client.ip)
          .toSorted(),
      ).toEqual([host, '203.0.113.7'])
      expect(refusals(back)).toEqual([])
      expect(front.all('upstream.failed')).toEqual([])
    },
  )
})

describe.skipIf(!hasClient('haproxy'))('a real HAProxy', () => {
  const frontend = (back: number, server: string) => (port: number) =>
    `
    mode tcp
    bind ${host}:${port}
    default_backend sluice
    backend sluice
    mode tcp
    server sluice ${host}:${back} ${server}`

  it.each(['send-proxy', 'send-proxy-v2', 'send-proxy-v2 proxy-v2-options crc32c,ssl'])(
    'with %s says who its clients are',
    async (option) => {
      await using running = await start(behind())
      await using haproxy = await HaProxy.start(frontend(running.port(), option))
      await using client = await Peer.connect(haproxy.port)
      const { localPort } = client.socket
      client.send('hello\n').finish()
      expect(await client.end()).toBe(`${host} ${localPort} ${host} ${haproxy.port} false hello\n`)
    },
  )

  it.each(['send-proxy', 'send-proxy-v2'])('with %s and health checks is refused nothing', async (option) => {
    await using running = await start(behind())
    await using haproxy = await HaProxy.start(frontend(running.port(), `${option} check inter 20ms`))
    // HAProxy resets the connection of a check, often before it is accepted.
    const ended = () => [...running.all('connection.closed'), ...running.all('connection.refused')]
    await eventually(() => ended().length >= 5)
    expect(ended().filter(({ reason }) => reason === 'proxy_failed')).toEqual([])
    await using client = await Peer.connect(haproxy.port)
    client.send('hello\n').finish()
    expect(await client.end()).toMatch(/hello\n$/)
  })
})
