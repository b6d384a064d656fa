/** A relay that sends what clients send to a second server too, and compares what both answer. */

import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createServer as createTlsServer } from 'node:tls'
import { generate } from 'selfsigned'
import { describe, expect, it } from 'vitest'
import type { Config } from '../../src/index.ts'
import { freePort } from '../support/free-port.ts'
import { addStep, eventually, Gate, registryWith } from '../support/parts.ts'
import { Peer } from '../support/peer.ts'
import { type Running, start, temporaryFolder } from '../support/server.ts'
import { relaying, Upstream } from '../support/upstream.ts'

const host = '127.0.0.1'

/** A relay before `old` with `next` as its mirror, that logs each pair. */
function comparing(
  old: Upstream,
  next: { readonly address: string },
  more: object = {},
  endpoint: object = {},
): Config {
  const compare = [{ log: '${json(msg)}' }]
  return relaying(old.address, { mirror: { to: next.address, compare, ...more } }, endpoint)
}

/** Waits for so many pairs. */
async function pairsOf(running: Running, count: number): Promise<unknown[]> {
  const logged = () => running.all('part.logged').filter(({ step }) => step.endsWith('compare[0]'))
  await running.event('part.logged', () => logged().length >= count)
  return logged().map(({ text }) => JSON.parse(text))
}

/** What is said of a mirror. */
function warnings(running: Running): string[] {
  return running.all('part.logged').flatMap(({ level, text }) => (level === 'warn' ? text : []))
}

/** A client of a relay, and what is behind it on both ways. */
async function connected(running: Running, old: Upstream, next: Upstream, index = 0) {
  const client = await Peer.connect(running.port())
  return { client, server: await old.peer(index), mirror: await next.peer(index) }
}

/** Ends a conversation on all sides: a client that is reset takes its server with it. */
function leave(client: Peer, mirror: Peer): void {
  client.socket.resetAndDestroy()
  mirror.finish()
}

/** Waits for the FIN of the other side, and sends none. */
async function fin(peer: Peer): Promise<string> {
  return (await peer.until(({ ended }) => ended)).text
}

describe('a relay with a mirror', () => {
  it('sends the same bytes to both and gives the client the answers of the first alone', async () => {
    await using old = await Upstream.start()
    await using next = await Upstream.start()
    await using running = await start(relaying(old.address, { mirror: { to: next.address } }))
    const { client, server, mirror } = await connected(running, old, next)
    client.send(Buffer.from([0, 255, 10]))
    for (const peer of [server, mirror]) await peer.until(({ received }) => received.length === 3)
    expect(mirror.received).toEqual(Buffer.from([0, 255, 10]))
    mirror.send('nobody hears this')
    server.send('this is heard')
    await client.hear('this is heard')
    client.finish()
    expect(await mirror.end()).toBe('\x00\xff\n')
    await server.end()
    server.finish()
    expect(await client.end()).toBe('this is heard')
    expect((await running.event('connection.closed')).client).toMatchObject({ bytesIn: 3, bytesOut: 13 })
    expect(warnings(running)).toEqual([])
  })

  it('says which answers are equal and which differ, with what was asked', async () => {
    await using old = await Upstream.start()
    await using next = await Upstream.start()
    await using running = await start(comparing(old, next))
    const { client, server, mirror } = await connected(running, old, next)
    client.send('one\n')
    await mirror.hear('one\n')
    server.send('1\r\n')
    mirror.send('1\n')
    await client.hear('1\r\n')
    expect(await pairsOf(running, 1)).toEqual([{ server: '1', mirror: '1', equal: true, request: 'one' }])
    client.send('two\n')
    await mirror.hear('two\n')
    server.send('2\n')
    mirror.send('zwei\n')
    await client.hear('2\n')
    client.send('three\n')
    await mirror.hear('three\n')
    // The next answers show that none is missing.
    server.send('3\n')
    mirror.send('3\n')
    expect((await pairsOf(running, 3))[1]).toEqual({ server: '2', mirror: 'zwei', equal: false, request: 'two' })
    expect(running.server.endpoints[0]!.counters.compared).toEqual(
      new Map([
        ['equal', 2],
        ['different', 1],
      ]),
    )
    leave(client, mirror)
  })

  it('compares values and not bytes', async () => {
    await using old = await Upstream.start()
    await using next = await Upstream.start()
    await using running = await start(comparing(old, next, {}, { format: 'json' }))
    const { client, server, mirror } = await connected(running, old, next)
    server.send('{"a": 1, "b": [2]}\n')
    mirror.send('{"b":[2],"a":1}\n')
    const value = { a: 1, b: [2] }
    expect(await pairsOf(running, 1)).toEqual([{ server: value, mirror: value, equal: true, request: null }])
    server.send('{}\n')
    mirror.send('<html>\n')
    expect((await pairsOf(running, 2))[1]).toMatchObject({ server: {}, equal: false })
    expect(running.server.endpoints[0]!.counters.rejected.size).toBe(0)
    leave(client, mirror)
  })

  it('waits for a mirror that is slow, and the client does not', async () => {
    await using old = await Upstream.start()
    await using next = await Upstream.start()
    await using running = await start(comparing(old, next))
    const { client, server, mirror } = await connected(running, old, next)
    for (const i of [1, 2, 3]) {
      client.send(`${i}\n`)
      await server.hear(`${i}\n`)
      server.send(`ok ${i}\n`)
      await client.hear(`ok ${i}\n`)
    }
    // The client has gone when the mirror begins to answer.
    client.finish()
    await server.end()
    server.finish()
    await client.end()
    await running.event('connection.closed')
    expect(await fin(mirror)).toBe('1\n2\n3\n')
    mirror.send('ok 1\nok 2\nno 3\n').finish()
    expect(await pairsOf(running, 3)).toMatchObject([
      { server: 'ok 1', mirror: 'ok 1', equal: true, request: '1' },
      { server: 'ok 2', mirror: 'ok 2', equal: true, request: '2' },
      { server: 'ok 3', mirror: 'no 3', equal: false, request: '3' },
    ])
    expect(warnings(running)).toEqual([])
  })

  it('gives an answer alone when the other one has not come within the timeout', async () => {
    await using old = await Upstream.start()
    await using next = await Upstream.start()
    await using running = await start(comparing(old, next, { timeout: '100ms' }))
    const { client, server, mirror } = await connected(running, old, next)
    client.send('?\n')
    server.send('ok\n')
    await client.hear('ok\n')
    expect(await pairsOf(running, 1)).toEqual([{ server: 'ok', mirror: null, equal: false, request: '?' }])
    expect(running.server.endpoints[0]!.counters.compared).toEqual(new Map([['unmatched', 1]]))
    // A mirror that does not close when the client has gone has the same time for it.
    client.finish()
    server.finish()
    expect(await fin(mirror)).toBe('?\n')
    await running.server.stop({ deadline: 60_000 })
  })

  it.each([{}, { key: 'msg' }])('gives alone what a mirror had answered before it closed, with %j too', async (by) => {
    await using old = await Upstream.start()
    await using next = await Upstream.start()
    await using running = await start(comparing(old, next, { timeout: '100ms', ...by }))
    const { client, server, mirror } = await connected(running, old, next)
    client.send('?\n')
    await server.hear('?\n')
    await mirror.hear('?\n')
    mirror.send('early\n').finish()
    await mirror.end()
    // The server says nothing, and nobody goes.
    expect(await pairsOf(running, 1)).toEqual([{ server: null, mirror: 'early', equal: false, request: '?' }])
    expect(running.server.endpoints[0]!.counters.compared).toEqual(new Map([['unmatched', 1]]))
    client.socket.resetAndDestroy()
  })

  it('drops what a mirror had answered before it closed when the client goes, and does not wait for it', async () => {
    await using old = await Upstream.start()
    await using next = await Upstream.start()
    await using running = await start(comparing(old, next, { timeout: '1h' }))
    const { client, mirror } = await connected(running, old, next)
    client.send('?\n')
    await mirror.hear('?\n')
    mirror.send('early\n').finish()
    await mirror.end()
    await running.event('part.logged', ({ text }) => text.includes('no longer mirrored'))
    client.socket.resetAndDestroy()
    await running.event('connection.closed')
    const { compared } = running.server.endpoints[0]!.counters
    await running.server.stop({ deadline: 60_000 })
    expect(compared).toEqual(new Map([['dropped', 1]]))
  })

  it('holds nobody up while the mirror does not end its handshake', async () => {
    await using old = await Upstream.start()
    await using next = await Upstream.start()
    const config = comparing(old, next, { tls: { insecure: true } })
    await using running = await start(config)
    const { client, server } = await connected(running, old, next)
    client.send('x\n')
    await server.hear('x\n')
    server.send('1\n')
    await client.hear('1\n')
    expect(warnings(running)).toEqual([])
    server.send('y'.repeat(300_000))
    await client.until(({ received }) => received.length > 300_000)
    await running.event('part.logged')
    expect(warnings(running)).toEqual([
      'front-1 is no longer mirrored: more than limits.maxQueued bytes waited for the second server',
    ])
    client.send('and on\n')
    await server.hear('and on\n')
    expect(running.server.endpoints[0]!.counters.compared.size).toBe(0)
    client.socket.resetAndDestroy()
  })

  it('goes on without a mirror that is not there, and asks it again only after a while', async () => {
    await using old = await Upstream.start()
    const address = `${host}:${await freePort()}`
    const mirror = { to: address, compare: [{ log: '${json(msg)}' }] }
    // The time is drawn at random below it.
    await using running = await start(relaying(old.address, { health: { first: '24d', max: '24d' }, mirror }))
    for (const i of [0, 1]) {
      await using client = await Peer.connect(running.port())
      client.send('hello\n')
      const server = await old.peer(i)
      await server.hear('hello\n')
      server.send('hi\n')
      await client.hear('hi\n')
      await running.event('dial.failed')
      client.socket.resetAndDestroy()
      await running.event('connection.closed', ({ client: { id } }) => id === `front-${i + 1}`)
    }
    expect(running.all('dial.failed')).toMatchObject([{ endpoint: 'front', target: address }])
    expect(running.all('upstream.failed')).toMatchObject([{ endpoint: 'front', target: address }])
    expect(running.server.endpoints[0]!.upstreams).toMatchObject([
      { name: old.address, up: true },
      { name: address, up: false },
    ])
    expect(running.server.endpoints[0]!.counters.compared.size).toBe(0)
  })

  it('says that the mirror has answered twice, and the answers behind that are in step', async () => {
    await using old = await Upstream.start()
    await using next = await Upstream.start()
    await using running = await start(comparing(old, next))
    const { client, server, mirror } = await connected(running, old, next)
    client.send('a\n')
    await mirror.hear('a\n')
    server.send('A\n')
    mirror.send('A\nA\n')
    await client.hear('A\n')
    await pairsOf(running, 1)
    client.send('b\n')
    await mirror.hear('b\n')
    server.send('B\n')
    mirror.send('B\n')
    expect(await pairsOf(running, 3)).toMatchObject([
      { server: 'A', mirror: 'A', equal: true },
      { server: null, mirror: 'A', equal: false, request: 'a' },
      { server: 'B', mirror: 'B', equal: true, request: 'b' },
    ])
    leave(client, mirror)
  })

  it('says which question a mirror did not answer because it closed, and the client goes on', async () => {
    await using old = await Upstream.start()
    await using next = await Upstream.start()
    await using running = await start(comparing(old, next))
    const { client, server, mirror } = await connected(running, old, next)
    client.send('bad\n')
    await mirror.hear('bad\n')
    mirror.finish()
    await mirror.end()
    await running.event('part.logged', ({ level }) => level === 'warn')
    expect(warnings(running)).toEqual([`front-1 is no longer mirrored: ${next.address} closed the connection`])
    for (const word of ['one', 'two']) {
      server.send(`${word}\n`)
      await client.hear(`${word}\n`)
    }
    expect(await pairsOf(running, 1)).toEqual([{ server: 'one', mirror: null, equal: false, request: 'bad' }])
    client.send('more\n')
    await server.hear('more\n')
    leave(client, mirror)
    await running.event('connection.closed')
    expect(running.server.endpoints[0]!.counters.compared).toEqual(new Map([['unmatched', 1]]))
  })

  it('says so when a mirror is reset in the middle, with the answers that waited for it', async () => {
    await using old = await Upstream.start()
    await using next = await Upstream.start()
    await using running = await start(comparing(old, next))
    const { client, server, mirror } = await connected(running, old, next)
    client.send('x\n')
    await mirror.hear('x\n')
    server.send('1\n2\n')
    await client.hear('2\n')
    mirror.socket.resetAndDestroy()
    expect(await pairsOf(running, 2)).toMatchObject([
      { server: '1', mirror: null, request: 'x' },
      { server: '2', mirror: null, request: 'x' },
    ])
    expect(warnings(running)).toEqual([
      `front-1 is no longer mirrored: ${next.address}: the other side reset the connection`,
    ])
    leave(client, mirror)
  })

  it('leaves a mirror behind that does not read, and the client sends as fast as the server takes it', async () => {
    await using old = await Upstream.start()
    await using next = await Upstream.start()
    await using running = await start(comparing(old, next, {}, { framing: 'raw', format: 'bytes' }))
    const { client, server, mirror } = await connected(running, old, next)
    mirror.socket.pause()
    server.socket.removeAllListeners('data')
    let received = 0
    server.socket.on('data', (chunk: Buffer) => {
      received += chunk.length
    })
    const chunk = Buffer.alloc(1 << 20)
    for (let i = 0; i < 40; i++) if (!client.socket.write(chunk)) await once(client.socket, 'drain')
    await eventually(() => received === 40 << 20)
    expect(warnings(running)).toEqual([
      'front-1 is no longer mirrored: more than limits.maxQueued bytes waited for the second server',
    ])
    expect(running.server.endpoints[0]!.counters.rejected).toEqual(new Map([['overrun', 1]]))
    server.send('still here')
    await client.hear('still here')
    leave(client, mirror)
  }, 60_000)

  it('compares by key what servers answer in an order of their own', async () => {
    await using old = await Upstream.start()
    await using next = await Upstream.start()
    await using running = await start(comparing(old, next, { key: 'msg.id' }, { format: 'json' }))
    const { client, server, mirror } = await connected(running, old, next)
    server.send('{"id":1}\n{"id":2,"n":2}\n')
    await client.hear('"n":2}\n')
    mirror.send('{"id":2,"n":3}\n{"id":1}\n')
    expect(await pairsOf(running, 2)).toMatchObject([
      { server: { id: 2, n: 2 }, mirror: { id: 2, n: 3 }, equal: false },
      { server: { id: 1 }, mirror: { id: 1 }, equal: true },
    ])
    leave(client, mirror)
  })

  it('compares nothing by a key that answers do not have, and says so once', async () => {
    await using old = await Upstream.start()
    await using next = await Upstream.start()
    await using running = await start(comparing(old, next, { key: 'msg.idd' }, { format: 'json' }))
    const { client, server, mirror } = await connected(running, old, next)
    server.send('{"id":1}\n{"id":2}\n')
    await client.hear('{"id":2}\n')
    mirror.send('{"id":1}\n')
    expect(await pairsOf(running, 3)).toMatchObject([
      { server: { id: 1 }, mirror: null },
      { server: { id: 2 }, mirror: null },
      { server: null, mirror: { id: 1 } },
    ])
    expect(warnings(running)).toEqual([
      'front-1 has answers that cannot be compared: mirror.key gives nothing for them',
    ])
    leave(client, mirror)
  })

  it('calls nothing unmatched of which a client that is gone could not hear the answer', async () => {
    await using old = await Upstream.start()
    await using next = await Upstream.start()
    await using running = await start(comparing(old, next))
    const { client, server, mirror } = await connected(running, old, next)
    client.send('a\n')
    await server.hear('a\n')
    await mirror.hear('a\n')
    client.socket.resetAndDestroy()
    await server.end()
    mirror.send('OK a\n')
    mirror.finish()
    server.finish()
    const { compared } = running.server.endpoints[0]!.counters
    await running.server.stop()
    expect(compared).toEqual(new Map())
  })

  it('reads once what the client has sent before many answers', async () => {
    await using old = await Upstream.start()
    await using next = await Upstream.start()
    await using running = await start(
      comparing(old, next, { compare: [{ map: 'size(msg.request)' }, { log: '${json(msg)}' }] }, { format: 'json' }),
    )
    const { client, server, mirror } = await connected(running, old, next)
    // As a value it takes some megabytes.
    const size = 20_000
    client.send(`[${Array.from({ length: size }, () => '{}').join(',')}]\n`)
    await server.hear(']\n')
    const answers = Array.from({ length: 100 }, (_, i) => `${i}\n`).join('')
    server.send(answers)
    await client.hear('99\n')
    mirror.send(answers)
    const logged = () => running.all('part.logged').filter(({ step }) => step.endsWith('compare[1]'))
    await running.event('part.logged', () => logged().length === 100)
    expect(new Set(logged().map(({ text }) => text))).toEqual(new Set([`${size}`]))
    leave(client, mirror)
  })

  it('ends the comparison and not the traffic when answers break the framing', async () => {
    await using old = await Upstream.start()
    await using next = await Upstream.start()
    await using running = await start(comparing(old, next, {}, { limits: { maxFrameLength: 10 } }))
    const { client, server, mirror } = await connected(running, old, next)
    mirror.send('much longer than ten bytes\n')
    await running.event('part.logged', ({ level }) => level === 'warn')
    expect(warnings(running)[0]).toMatch(
      `front-1 is mirrored and no longer compared: what ${next.address} answers breaks`,
    )
    client.send('go on\n')
    await mirror.hear('go on\n')
    server.send('yes\n')
    await client.hear('yes\n')
    leave(client, mirror)
    await running.event('connection.closed')

    const second = await connected(running, old, next, 1)
    second.server.send('much longer than ten bytes\n')
    await second.client.hear('bytes\n')
    const said = warnings(running).find((text) => text.startsWith('front-2'))
    expect(said).toMatch('front-2 is mirrored and no longer compared: what its server answers breaks the framing')
    leave(second.client, second.mirror)
  })

  it('ends a comparison for which too many answers wait, instead of calling them different', async () => {
    await using old = await Upstream.start()
    await using next = await Upstream.start()
    await using running = await start(comparing(old, next, {}, { limits: { maxQueued: 2000 } }))
    const { client, server, mirror } = await connected(running, old, next)
    for (const i of [1, 2, 3, 4]) {
      server.send(`${i}\n`)
      await client.hear(`${i}\n`)
    }
    await running.event('part.logged')
    expect(warnings(running)).toEqual([
      'front-1 is mirrored and no longer compared: more than limits.maxQueued bytes of answers wait for those of the other server',
    ])
    const { counters } = running.server.endpoints[0]!
    expect(counters.compared).toEqual(new Map([['dropped', 4]]))
    expect(counters.rejected).toEqual(new Map([['overrun', 1]]))
    client.send('go on\n')
    await mirror.hear('go on\n')
    leave(client, mirror)
  })

  it('drops pairs for which the dataflow is too slow, and counts them', async () => {
    await using old = await Upstream.start()
    await using next = await Upstream.start()
    const gate = new Gate()
    const registry = registryWith('none', () => undefined)
    addStep(registry, 'gate', { runBatch: (batch) => gate.write(batch).then(() => batch) })
    const config = comparing(old, next, { compare: [{ gate: {} }] }, { limits: { maxQueued: 3000 } })
    await using running = await start(config, { registry })
    const { client, server, mirror } = await connected(running, old, next)
    server.send('0\n')
    mirror.send('0\n')
    await gate.entered()
    const { counters } = running.server.endpoints[0]!
    for (let i = 1; i <= 5; i++) {
      server.send(`${i}\n`)
      mirror.send(`${i}\n`)
      await client.hear(`${i}\n`)
      await eventually(() => counters.compared.get('equal') === i + 1)
    }
    expect(counters.compared).toEqual(
      new Map([
        ['equal', 6],
        ['dropped', 3],
      ]),
    )
    expect(warnings(running)).toEqual([
      'front-1 has answers that are not recorded: more than limits.maxQueued bytes wait for the dataflow',
    ])
    gate.open()
    await gate.entered(2)
    expect(counters.queuedBytes).toBe(0)
    leave(client, mirror)
  })

  it('gives what fails in the dataflow to onError', async () => {
    await using old = await Upstream.start()
    await using next = await Upstream.start()
    const config = comparing(
      old,
      next,
      { compare: [{ map: 'num(msg.server)' }] },
      { onError: [{ log: 'lost ${json(msg)} in ${error.step}' }] },
    )
    await using running = await start(config)
    const { client, server, mirror } = await connected(running, old, next)
    server.send('x\n')
    mirror.send('x\n')
    const { text } = await running.event('part.logged')
    expect(text).toMatch(/^lost .*"server":"x".* in listen\.front\.relay\.mirror\.compare\[0\]$/)
    leave(client, mirror)
  })

  it('takes the dataflow of a reload for the next pair', async () => {
    await using old = await Upstream.start()
    await using next = await Upstream.start()
    const saying = (word: string) => comparing(old, next, { compare: [{ log: `${word} \${msg.server}` }] })
    await using running = await start(saying('old'))
    const { client, server, mirror } = await connected(running, old, next)
    for (const [answer, text] of [
      ['1', 'old 1'],
      ['2', 'new 2'],
    ] as const) {
      server.send(`${answer}\n`)
      mirror.send(`${answer}\n`)
      await running.event('part.logged', (event) => event.text === text)
      expect((await running.server.reload(saying('new'))).changed).toEqual(answer === '1' ? ['front'] : [])
    }
    leave(client, mirror)
  })

  it('encrypts for the mirror alone', async () => {
    const { private: key, cert } = await generate([{ name: 'commonName', value: 'localhost' }], {
      extensions: [{ name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }] }],
    })
    using folder = temporaryFolder()
    const ca = join(folder.path, 'cert.pem')
    writeFileSync(ca, cert)
    await using old = await Upstream.start()
    const heard = Promise.withResolvers<string>()
    const secure = createTlsServer({ cert, key }, (socket) => {
      socket.on('data', (chunk) => heard.resolve(String(chunk)))
      socket.on('error', () => undefined)
    }).listen(0, host)
    await once(secure, 'listening')
    const { port } = secure.address() as { port: number }
    const mirror = { to: `localhost:${port}`, tls: { ca } }
    await using running = await start(relaying(old.address, { mirror }))
    await using client = await Peer.connect(running.port())
    client.send('secret')
    await (await old.peer()).hear('secret')
    expect(await heard.promise).toBe('secret')
    client.socket.resetAndDestroy()
    secure.close()
  })

  it('does not hold up a stop for longer than its deadline', async () => {
    await using old = await Upstream.start()
    await using next = await Upstream.start()
    await using running = await start(comparing(old, next))
    const { client, server, mirror } = await connected(running, old, next)
    client.send('x\n')
    await mirror.hear('x\n')
    server.send('1\n').finish()
    await client.hear('1\n')
    client.finish()
    await running.event('connection.closed')
    // The mirror has not answered and does not close.
    await running.server.stop({ deadline: 50 })
    expect(running.server.endpoints[0]!.counters.compared).toEqual(new Map([['dropped', 1]]))
  })
})
