/** Relays between real sockets: what either side sends reaches the other, and so does how it ends. */

import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { connect as connectTls, createServer as createTlsServer } from 'node:tls'
import { generate } from 'selfsigned'
import { describe, expect, it } from 'vitest'
import { hasClient } from '../../scripts/debian-clients.ts'
import { type Config, ConfigError } from '../../src/index.ts'
import { run } from '../support/command.ts'
import { freePort } from '../support/free-port.ts'
import { addStep, eventually, Gate, registryWith, stuck } from '../support/parts.ts'
import { Peer } from '../support/peer.ts'
import { RedisServer } from '../support/redis.ts'
import { start, temporaryFolder } from '../support/server.ts'
import { relaying, Upstream } from '../support/upstream.ts'

const host = '127.0.0.1'

const { private: key, cert } = await generate([{ name: 'commonName', value: 'localhost' }], {
  extensions: [{ name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }] }],
})

describe('a relay', () => {
  it('passes the bytes of both sides on as they are, and counts them', async () => {
    await using upstream = await Upstream.start()
    await using running = await start(relaying(upstream.address))
    await using client = await Peer.connect(running.port())
    const server = await upstream.peer()
    server.send('220 hello\r\n')
    await client.hear('220 hello\r\n')
    client.send(Buffer.from([0, 255, 10, 13, 0]))
    await server.until(({ received }) => received.length === 5)
    expect(server.received).toEqual(Buffer.from([0, 255, 10, 13, 0]))
    client.finish()
    await server.end()
    server.finish()
    await client.end()
    const { client: seen, reason } = await running.event('connection.closed')
    expect(reason).toBe('client_closed')
    expect(seen).toMatchObject({ bytesIn: 5, bytesOut: 11, state: 'closed' })
    const { counters, connections } = running.server.endpoints[0]!
    expect(counters).toMatchObject({ opened: 1, bytesIn: 5, bytesOut: 11, messagesIn: 0 })
    expect(connections).toBe(0)
  })

  it('lets the server answer after the half-close of the client', async () => {
    await using upstream = await Upstream.start()
    await using running = await start(relaying(upstream.address))
    await using client = await Peer.connect(running.port())
    client.send('question').finish()
    const server = await upstream.peer()
    expect(await fin(server)).toBe('question')
    server.send('answer').finish()
    expect(await client.end()).toBe('answer')
    expect((await running.event('connection.closed')).reason).toBe('client_closed')
  })

  it('lets the client go on after the half-close of the server', async () => {
    await using upstream = await Upstream.start()
    await using running = await start(relaying(upstream.address))
    await using client = await Peer.connect(running.port())
    const server = await upstream.peer()
    server.send('all').finish()
    expect(await fin(client)).toBe('all')
    client.send('thanks').finish()
    expect(await server.end()).toBe('thanks')
    const { reason, detail } = await running.event('connection.closed')
    expect({ reason, detail }).toEqual({
      reason: 'upstream_closed',
      detail: `${upstream.address} closed the connection`,
    })
  })

  it('resets the server when the client is reset, and the client when the server is: the half must not look whole', async () => {
    await using upstream = await Upstream.start()
    await using running = await start(relaying(upstream.address))
    await using first = await Peer.connect(running.port())
    const behind = await upstream.peer()
    first.send('x')
    await behind.hear('x')
    first.socket.resetAndDestroy()
    await behind.end()
    expect(behind.ended).toBe(false)
    expect((await running.event('connection.closed')).reason).toBe('client_reset')

    await using second = await Peer.connect(running.port())
    const killed = await upstream.peer(1)
    second.send('y')
    await killed.hear('y')
    killed.socket.resetAndDestroy()
    await second.end()
    expect(second.ended).toBe(false)
    const { detail } = await running.event('connection.closed', ({ reason }) => reason === 'upstream_failed')
    expect(detail).toBe(`${upstream.address}: the other side reset the connection`)
  })

  it('lets the server finish with what a client has sent to its end, though the client cannot hear the answer', async () => {
    await using upstream = await Upstream.start()
    await using running = await start(relaying(upstream.address))
    await using client = await Peer.connect(running.port())
    const server = await upstream.peer()
    const errors: Error[] = []
    server.socket.on('error', (error) => errors.push(error))
    client.send('a job').finish()
    await server.until(({ ended }) => ended)
    client.socket.destroy()
    await eventually(() => {
      server.send('printed')
      return running.all('connection.closed').length > 0
    })
    expect(running.all('connection.closed')[0]!.reason).toBe('client_closed')
    expect(server.closed).toBe(false)
    server.finish()
    await running.server.stop()
    expect({ text: server.text, errors }).toEqual({ text: 'a job', errors: [] })
  })

  it('carries 100 MB each way to slow readers unchanged, and holds the senders back meanwhile', async () => {
    await using upstream = await Upstream.start()
    await using running = await start(relaying(upstream.address))
    const client = connect({ port: running.port(), host, allowHalfOpen: true })
    await once(client, 'connect')
    const server = (await upstream.peer()).socket
    server.removeAllListeners('data')
    client.pause()
    server.pause()
    const before = process.memoryUsage()
    const chunk = randomBytes(1 << 20)
    const sent = [pour(client, chunk, 100), pour(server, chunk, 100)]
    // Nobody reads, so the relay must stop reading too: both senders are stuck once kernel and sockets are full.
    const { counters: flow } = running.server.endpoints[0]!
    await stuck(() => flow.bytesIn + flow.bytesOut)
    const held = process.memoryUsage()
    expect(held.arrayBuffers - before.arrayBuffers).toBeLessThan(16 << 20)
    const expected = createHash('sha256')
    for (let i = 0; i < 100; i++) expected.update(chunk)
    const digest = expected.digest('hex')
    expect(await Promise.all([hashOf(client), hashOf(server), ...sent])).toEqual([digest, digest, undefined, undefined])
    const { client: seen } = await running.event('connection.closed')
    expect(seen).toMatchObject({ bytesIn: 100 << 20, bytesOut: 100 << 20 })
  }, 120_000)

  it('spreads clients over its servers in turn, and goes on when one is gone and when it is back', async () => {
    // One that nobody else is given while it is free.
    await using first = await Upstream.start(await freePort())
    await using second = await Upstream.start()
    const config = relaying([first.address, second.address], { health: { first: '1ms', max: '1ms' } })
    await using running = await start(config)
    const clients: Peer[] = []
    for (let i = 0; i < 4; i++) {
      const client = await Peer.connect(running.port())
      clients.push(client)
      await (i % 2 === 0 ? first : second).peer(i >> 1)
    }
    const { port } = first
    await first[Symbol.asyncDispose]()
    await using fifth = await Peer.connect(running.port())
    await second.peer(2)
    const failed = await running.event('dial.failed')
    expect(failed).toMatchObject({ endpoint: 'front', target: `${host}:${port}`, retryIn: 1 })
    expect(failed.error.code).toBe('connection_refused')
    await using back = await Upstream.start(port)
    // It may be left out for a millisecond still.
    while (back.peers.length === 0) {
      clients.push(await Peer.connect(running.port()))
      await new Promise(setImmediate)
    }
    for (const client of [...clients, fifth]) client.socket.resetAndDestroy()
  })

  it('gives a client to the server with the fewest', async () => {
    await using first = await Upstream.start()
    await using second = await Upstream.start()
    await using running = await start(relaying([first.address, second.address], { balance: 'leastConnections' }))
    await using one = await Peer.connect(running.port())
    await first.peer(0)
    await using two = await Peer.connect(running.port())
    const leaving = await second.peer(0)
    two.finish()
    await leaving.end()
    leaving.finish()
    await running.event('connection.closed')
    await using three = await Peer.connect(running.port())
    await second.peer(1)
    await using four = await Peer.connect(running.port())
    await Promise.race([first.peer(1), second.peer(2)])
    expect(first.peers.length + second.peers.length).toBe(4)
    for (const client of [one, three, four]) client.socket.resetAndDestroy()
  })

  it('closes a client when no server can be reached, and says why', async () => {
    const ports = [await freePort(), await freePort()]
    await using running = await start(relaying(ports.map((port) => `${host}:${port}`)))
    await using client = await Peer.connect(running.port())
    expect(await client.end()).toBe('')
    const { reason, detail } = await running.event('connection.closed')
    expect(reason).toBe('upstream_failed')
    expect(detail).toMatch(`none of ${host}:${ports[0]}, ${host}:${ports[1]} can be reached; the last: nothing listens`)
    expect(running.server.endpoints[0]!.counters.closed).toEqual(new Map([['upstream_failed', 1]]))
    expect(running.all('dial.failed')).toHaveLength(2)
  })

  it('closes a client to whom nobody has said anything for limits.idleTimeout', async () => {
    await using upstream = await Upstream.start()
    await using running = await start(relaying(upstream.address, {}, { limits: { idleTimeout: '100ms' } }))
    await using client = await Peer.connect(running.port())
    await client.end()
    await (await upstream.peer()).end()
    expect((await running.event('connection.closed')).reason).toBe('idle_timeout')
  })

  it('refuses more than limits.maxConnections, and what others would send to its clients', async () => {
    await using upstream = await Upstream.start()
    await using running = await start(relaying(upstream.address, {}, { limits: { maxConnections: 1 } }))
    await using client = await Peer.connect(running.port())
    await upstream.peer()
    await using refused = await Peer.connect(running.port())
    await refused.end()
    expect((await running.event('connection.refused')).reason).toBe('too_many_connections')
    expect(() => running.server.clients.send({ client: 'front-1' }, 'text', 'hello')).toThrow()
    client.socket.resetAndDestroy()
  })

  it('drains: cuts no job in two, then reads clients no more, delivers what servers still say, and ends', async () => {
    await using upstream = await Upstream.start()
    await using running = await start(relaying(upstream.address))
    await using client = await Peer.connect(running.port())
    client.send('last ')
    const server = await upstream.peer()
    await server.hear('last ')
    const stopped = running.server.stop({ deadline: 20_000 })
    await running.event('server.draining')
    client.send('words')
    expect(await fin(server)).toBe('last words')
    server.send('last answer').finish()
    expect(await client.end()).toBe('last answer')
    client.finish()
    await stopped
    expect((await running.event('connection.closed')).reason).toBe('drained')
  })

  it('ends what a drain finds unfinished when its time is over', async () => {
    await using upstream = await Upstream.start()
    await using running = await start(relaying(upstream.address))
    await using client = await Peer.connect(running.port())
    client.send('x')
    await (await upstream.peer()).hear('x')
    await running.server.stop({ deadline: 50 })
    await client.end()
    expect((await running.event('connection.closed')).reason).toBe('drain_deadline')
  })

  it('keeps connections through a reload, and connects new clients to the new server', async () => {
    await using old = await Upstream.start()
    await using next = await Upstream.start()
    await using running = await start(relaying(old.address))
    await using client = await Peer.connect(running.port())
    const server = await old.peer()
    const report = await running.server.reload(relaying(next.address))
    expect(report).toMatchObject({ changed: ['front'], added: [], removed: [] })
    client.send('still here')
    await server.hear('still here')
    await using other = await Peer.connect(running.port())
    other.send('new')
    await (await next.peer()).hear('new')
    for (const { socket } of [client, other]) socket.resetAndDestroy()
  })

  it('speaks TLS to clients and to servers', async () => {
    using folder = temporaryFolder()
    const [certFile, keyFile] = [join(folder.path, 'cert.pem'), join(folder.path, 'key.pem')]
    writeFileSync(certFile, cert)
    writeFileSync(keyFile, key)
    const secure = createTlsServer({ cert, key }, (socket) => void socket.pipe(socket))
    secure.listen(0, host)
    await once(secure, 'listening')
    const { port } = secure.address() as AddressInfo
    const tls = { ca: certFile, servername: 'localhost' }
    const front = { tls: { cert: certFile, key: keyFile } }
    await using running = await start(relaying(`${host}:${port}`, { tls }, front))
    const socket = connectTls({ port: running.port(), host, ca: cert, servername: 'localhost' })
    await once(socket, 'secureConnect')
    await using client = Peer.over(socket)
    client.send('through two handshakes').finish()
    expect(await client.end()).toBe('through two handshakes')
    secure.close()
  })

  it('does not believe a server whose certificate nobody has signed', async () => {
    const secure = createTlsServer({ cert, key }).listen(0, host)
    await once(secure, 'listening')
    const { port } = secure.address() as AddressInfo
    await using running = await start(relaying(`${host}:${port}`, { tls: {} }))
    await using client = await Peer.connect(running.port())
    await client.end()
    expect((await running.event('dial.failed')).error.code).toBe('tls_failed')
    expect((await running.event('connection.closed')).reason).toBe('upstream_failed')
    secure.close()
  })

  it.skipIf(!hasClient('redis-server'))(
    'stands before a real Redis, also when that is killed and comes back',
    async () => {
      await using redis = await RedisServer.start()
      await using running = await start(relaying(`${host}:${redis.port}`))
      const cli = (...args: string[]) => run('redis-cli', ['-h', host, '-p', String(running.port()), ...args])
      expect((await cli('set', 'answer', '42')).stdout).toBe('OK\n')
      expect((await cli('get', 'answer')).stdout).toBe('42\n')
      const { stdout } = await run('redis-cli', ['-h', host, '-p', String(running.port()), '--pipe'], {
        input: Array.from({ length: 1000 }, (_, i) => `SET key:${i} ${i}\r\n`).join(''),
      })
      expect(stdout).toContain('errors: 0, replies: 1000')
      await redis.kill()
      await cli('get', 'answer')
      await running.event('connection.closed', ({ reason }) => reason === 'upstream_failed')
      await redis.restart()
      expect((await cli('ping')).stdout).toBe('PONG\n')
    },
  )
})

describe('a relay that inspects', () => {
  it('passes bytes on untouched while copies of both directions go through dataflows', async () => {
    await using upstream = await Upstream.start()
    const dataflows = {
      toServer: [{ map: '"> " + msg' }, { log: '${msg}' }],
      toClient: [{ map: '"< " + msg' }, { log: '${msg}' }],
    }
    await using running = await start(relaying(upstream.address, { inspect: 'copy', ...dataflows }))
    await using client = await Peer.connect(running.port())
    client.send('one\r\ntw')
    const server = await upstream.peer()
    // What is no frame yet is passed on all the same.
    await server.hear('one\r\ntw')
    server.send('yes\n')
    await client.hear('yes\n')
    client.send('o\n').finish()
    expect(await fin(server)).toBe('one\r\ntwo\n')
    server.finish()
    await client.end()
    await running.event('part.logged', ({ text }) => text === '> two')
    expect(running.all('part.logged').map(({ text }) => text)).toEqual(['> one', '< yes', '> two'])
    const closed = await running.event('connection.closed')
    expect(closed.client).toMatchObject({ bytesIn: 9, bytesOut: 4, messagesIn: 3 })
    expect(running.server.endpoints[0]!.counters).toMatchObject({ bytesIn: 9, bytesOut: 4, messagesIn: 3 })
  })

  it('gives messages of both directions keys of their own', async () => {
    await using upstream = await Upstream.start()
    const keys: string[] = []
    const registry = addStep(
      registryWith('none', () => undefined),
      'note',
      {
        run: (message) => {
          keys.push(message.key)
          return message
        },
      },
    )
    const more = { inspect: 'copy', toServer: [{ note: {} }], toClient: [{ note: {} }, { log: 'both' }] }
    await using running = await start(relaying(upstream.address, more), { registry })
    await using client = await Peer.connect(running.port())
    client.send('a\n')
    const server = await upstream.peer()
    await server.hear('a\n')
    server.send('b\n')
    await running.event('part.logged')
    expect(new Set(keys).size).toBe(2)
    client.socket.resetAndDestroy()
  })

  it('ends the copy and not the traffic when the framing breaks', async () => {
    await using upstream = await Upstream.start()
    const more = { inspect: 'copy', toServer: [{ log: '${msg}' }] }
    const limits = { limits: { maxFrameLength: 10 } }
    await using running = await start(relaying(upstream.address, more, limits))
    await using client = await Peer.connect(running.port())
    client.send('much longer than ten bytes\nshort\n')
    const server = await upstream.peer()
    await server.hear('short\n')
    const { text } = await running.event('part.logged', ({ level }) => level === 'warn')
    expect(text).toMatch(/^the inspection of front-1 has ended, and its bytes are passed on as before: /)
    client.send('and on')
    await server.hear('and on')
    server.send('still there')
    await client.hear('still there')
    expect(running.all('connection.closed')).toEqual([])
    expect(running.server.endpoints[0]!.counters.rejected).toEqual(new Map([['frame_too_long', 1]]))
    client.socket.resetAndDestroy()
  })

  it('ends the copy and not the traffic when the dataflow is too slow', async () => {
    await using upstream = await Upstream.start()
    const gate = new Gate()
    const registry = addStep(
      registryWith('none', () => undefined),
      'gate',
      {
        runBatch: (batch) => gate.write(batch).then(() => batch),
      },
    )
    const more = { inspect: 'copy', toServer: [{ gate: {} }] }
    const config = relaying(upstream.address, more, { limits: { maxQueued: 1000 } })
    await using running = await start(config, { registry })
    await using client = await Peer.connect(running.port())
    client.send('first\n')
    const server = await upstream.peer()
    await server.hear('first\n')
    client.send('x'.repeat(5000).replaceAll('xxxxxxxxxx', 'xxxxxxxxx\n'))
    await server.until(({ received }) => received.length === 5006)
    await running.event('part.logged', ({ text }) => text.includes('more than limits.maxQueued'))
    expect(running.server.endpoints[0]!.counters.rejected).toEqual(new Map([['overrun', 1]]))
    client.send('last\n')
    await server.hear('last\n')
    gate.open()
    client.socket.resetAndDestroy()
  })

  it('inline passes on what the dataflow lets through, changed where it was changed', async () => {
    await using upstream = await Upstream.start()
    await using running = await start(
      relaying(upstream.address, {
        inspect: 'inline',
        toServer: [{ filter: '!msg.startsWith("DROP")' }, { map: 'msg.startsWith("a") ? "changed " + msg : msg' }],
      }),
    )
    await using client = await Peer.connect(running.port())
    client.send('abc\nDROP TABLE\nxyz\n').finish()
    const server = await upstream.peer()
    expect(await fin(server)).toBe('changed abc\nxyz\n')
    // The other direction has no dataflow, so its bytes are passed on as they are.
    server.send('no line').finish()
    expect(await client.end()).toBe('no line')
    const { reason, client: seen } = await running.event('connection.closed')
    expect(reason).toBe('client_closed')
    expect(seen.messagesIn).toBe(3)
  })

  it('inline does not pass on what fails; onError and the dead letters have it', async () => {
    await using upstream = await Upstream.start()
    const more = { inspect: 'inline', toClient: [{ map: '{"n": msg.n + 1}' }] }
    await using running = await start(relaying(upstream.address, more, { format: 'json' }))
    await using client = await Peer.connect(running.port())
    const server = await upstream.peer()
    server.send('{"n":1}\nnonsense\n{"m":1}\n{"n":2}\n').finish()
    expect(await fin(client)).toBe('{"n":2}\n{"n":3}\n')
    expect(running.all('deadLetter.stored').map(({ error }) => error.code)).toEqual([
      'format_invalid',
      'expression_failed',
    ])
    client.finish()
    await running.event('connection.closed')
  })

  it('inline ends the connection when the framing breaks', async () => {
    await using upstream = await Upstream.start()
    const more = { inspect: 'inline', toServer: [{ filter: 'true' }] }
    await using running = await start(relaying(upstream.address, more, { limits: { maxFrameLength: 10 } }))
    await using client = await Peer.connect(running.port())
    client.send('short\nmuch longer than ten bytes\n')
    await client.end()
    expect(await (await upstream.peer()).end()).toBe('short\n')
    expect((await running.event('connection.closed')).reason).toBe('frame_error')
  })

  it('inline carries 20 MB each way to slow readers, and holds the senders back meanwhile', async () => {
    await using upstream = await Upstream.start()
    const flows = { toServer: [{ filter: 'true' }], toClient: [{ filter: 'true' }] }
    await using running = await start(relaying(upstream.address, { inspect: 'inline', ...flows }))
    const client = connect({ port: running.port(), host, allowHalfOpen: true })
    await once(client, 'connect')
    const server = (await upstream.peer()).socket
    server.removeAllListeners('data')
    client.pause()
    server.pause()
    const chunk = Buffer.from(`${'y'.repeat(1023)}\n`.repeat(1024))
    const sent = [pour(client, chunk, 20), pour(server, chunk, 20)]
    const { counters: flow } = running.server.endpoints[0]!
    await stuck(() => flow.bytesIn + flow.bytesOut)
    expect(running.server.endpoints[0]!.counters.queuedBytes).toBeLessThan(4 << 20)
    const expected = createHash('sha256')
    for (let i = 0; i < 20; i++) expected.update(chunk)
    const digest = expected.digest('hex')
    expect(await Promise.all([hashOf(client), hashOf(server), ...sent])).toEqual([digest, digest, undefined, undefined])
    await running.event('connection.closed')
    expect(running.server.endpoints[0]!.counters).toMatchObject({ messagesIn: 40 << 10, queuedBytes: 0 })
  }, 120_000)

  it('takes the dataflow of a reload for the next message', async () => {
    await using upstream = await Upstream.start()
    const inline = (word: string) =>
      relaying(upstream.address, { inspect: 'inline', toServer: [{ map: `"${word} " + msg` }] })
    await using running = await start(inline('old'))
    await using client = await Peer.connect(running.port())
    client.send('1\n')
    const server = await upstream.peer()
    await server.hear('old 1\n')
    expect((await running.server.reload(inline('new'))).changed).toEqual(['front'])
    expect((await running.server.reload(inline('new'))).unchanged).toEqual(['front'])
    client.send('2\n')
    await server.hear('new 2\n')
    await running.server.reload(relaying(upstream.address))
    client.send('3\n')
    expect(await server.hear('3\n')).toBe('old 1\nnew 2\n3\n')
    client.socket.resetAndDestroy()
  })
})

describe('a relay that is configured wrong', () => {
  it.each<[string, object, RegExp]>([
    ['a dataflow beside it', { relay: { to: 'a:1' }, dataflow: [{ reply: 'x' }] }, /both relay and dataflow/],
    ['no server', { relay: {} }, /to/],
    ['no port', { relay: { to: 'server' } }, /host:port/],
    ['a port that does not exist', { relay: { to: ['a:1', 'a:70000'] } }, /a:70000 has no port that exists/],
    ['a dataflow with inspect: off', { relay: { to: 'a:1', toServer: [{ log: 'x' }] } }, /inspect is off/],
    ['nothing to inspect with', { relay: { to: 'a:1', inspect: 'copy' } }, /no dataflow to inspect with/],
    ['an answer', { relay: { to: 'a:1', inspect: 'copy', toServer: [{ reply: 'x' }] } }, /reply speaks to the sender/],
  ])('%s', async (_, entry, message) => {
    const starting = start({ listen: { front: { host, port: 0, ...entry } } } as Config)
    await expect(starting).rejects.toThrow(ConfigError)
    await expect(starting).rejects.toThrow(message)
  })
})

/** Waits for the FIN of the other side, and sends none. */
async function fin(peer: Peer): Promise<string> {
  return (await peer.until(({ ended }) => ended)).text
}

/** Writes as fast as it is taken, then FIN. */
async function pour(socket: Socket, chunk: Buffer, times: number): Promise<void> {
  for (let i = 0; i < times; i++) if (!socket.write(chunk)) await once(socket, 'drain')
  socket.end()
}

async function hashOf(socket: Socket): Promise<string> {
  const hash = createHash('sha256')
  socket.on('data', (chunk: Buffer) => hash.update(chunk))
  socket.resume()
  await once(socket, 'end')
  return hash.digest('hex')
}
