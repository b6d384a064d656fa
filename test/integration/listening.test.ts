import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createServer as createNetServer, type Socket } from 'node:net'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createServer, SluiceError } from '../../src/index.ts'
import { eventually, Gate, registryWith } from '../support/parts.ts'
import { Peer } from '../support/peer.ts'
import { start, temporaryFolder } from '../support/server.ts'

const dataflow = [{ reply: '${client.localIp}' }]
const hasIpv6 = Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === '::1'))

async function ask(port: number, host: string): Promise<string> {
  await using peer = await Peer.connect({ port, host })
  return await peer.send('?\n').finish().end()
}

describe('a listener', () => {
  it('on 127.0.0.1 alone refuses what is sent to another address', async () => {
    await using running = await start({ listen: { here: { port: 0, host: '127.0.0.1', dataflow } } })
    expect(await ask(running.port(), '127.0.0.1')).toBe('127.0.0.1\n')
    await expect(ask(running.port(), '127.0.0.2')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    if (hasIpv6) await expect(ask(running.port(), '::1')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })

  it('without a host takes every address, IPv4 and IPv6', async () => {
    await using running = await start({ listen: { all: { port: 0, dataflow } } })
    expect(await ask(running.port(), '127.0.0.2')).toBe('127.0.0.2\n')
    if (hasIpv6) expect(await ask(running.port(), '::1')).toBe('::1\n')
  })

  it('on several addresses with port 0 has one port', async () => {
    await using running = await start({ listen: { two: { port: 0, host: ['127.0.0.1', '127.0.0.2'], dataflow } } })
    const addresses = running.server.addresses('two')
    expect(addresses.map(({ ip }) => ip)).toEqual(['127.0.0.1', '127.0.0.2'])
    expect(new Set(addresses.map(({ port }) => port)).size).toBe(1)
    for (const { ip, port } of addresses) expect(await ask(port, ip)).toBe(`${ip}\n`)
    await expect(ask(running.port(), '127.0.0.3')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    expect(running.all('listener.opened')).toHaveLength(2)
  })

  it.runIf(hasIpv6)('takes IPv6 alone, and IPv6 beside IPv4 on one port', async () => {
    await using running = await start({
      listen: {
        six: { port: 0, host: '::1', dataflow },
        only: { port: 0, host: '::', ipv6Only: true, dataflow },
        both: { port: 0, host: ['127.0.0.1', '::1'], dataflow },
      },
    })
    expect(await ask(running.port('six'), '::1')).toBe('::1\n')
    await expect(ask(running.port('six'), '127.0.0.1')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    await expect(ask(running.port('only'), '127.0.0.1')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    expect(await ask(running.port('both'), '::1')).toBe('::1\n')
    expect(await ask(running.port('both'), '127.0.0.1')).toBe('127.0.0.1\n')
  })

  it('takes a Unix socket, and removes its file at the end', async () => {
    let path: string
    {
      await using running = await start({
        listen: { local: { socket: 'here.sock', dataflow: [{ reply: '${client.ip}' }] } },
      })
      path = join(running.folder, 'here.sock')
      expect(running.server.address('local')).toEqual({ ip: path, port: 0 })
      await using peer = await Peer.connect({ path })
      expect(await peer.send('?\n').finish().end()).toBe(`${path}\n`)
    }
    expect(existsSync(path)).toBe(false)
  })

  it('refuses what is over maxConnections, with a reason, and takes others when one has gone', async () => {
    await using running = await start({
      listen: { few: { port: 0, limits: { maxConnections: 2 }, dataflow: [{ reply: 'OK' }] } },
    })
    const first = await Peer.connect(running.port())
    await using second = await Peer.connect(running.port())
    await first.send('x\n').hear('OK\n')
    await second.send('x\n').hear('OK\n')
    await using third = await Peer.connect(running.port())
    await third.end()
    const { reason, detail, endpoint, remote } = await running.event('connection.refused')
    expect({ reason, detail, endpoint }).toEqual({
      reason: 'too_many_connections',
      detail: 'limits.maxConnections is 2',
      endpoint: 'few',
    })
    expect(remote.port).toBe(third.socket.localPort)
    const { counters } = running.server.endpoints[0]!
    expect(counters.refused).toEqual(new Map([['too_many_connections', 1]]))
    expect(counters.opened).toBe(2)
    await second.send('y\n').hear('OK\nOK\n')
    await first[Symbol.asyncDispose]()
    await running.event('connection.closed')
    await using fourth = await Peer.connect(running.port())
    await fourth.send('x\n').hear('OK\n')
  })

  it('refuses others while as many wait for the last messages of clients that are gone, so that memory is bounded', async () => {
    const gate = new Gate()
    const dataflow = [{ gate: {} }, { reply: 'OK' }] as never
    await using running = await start(
      { listen: { few: { port: 0, limits: { maxConnections: 2 }, dataflow } } },
      { registry: registryWith('gate', gate.write) },
    )
    for (let i = 1; i <= 4; i++) {
      const peer = await Peer.connect(running.port())
      peer.send('x\n')
      await gate.entered(i)
      peer.socket.resetAndDestroy()
      await eventually(() => running.all('connection.closed').length === i)
    }
    await using fifth = await Peer.connect(running.port())
    expect(await fifth.end()).toBe('')
    expect(await running.event('connection.refused')).toMatchObject({
      reason: 'too_many_connections',
      detail: 'limits.maxConnections is 2, and as many that have closed wait for their last messages',
    })
    gate.open()
    await eventually(() => gate.values.length === 4)
    await using sixth = await Peer.connect(running.port())
    await sixth.send('x\n').hear('OK\n')
  })
})

describe('start', () => {
  it('says in one sentence that an address is in use, and leaves nothing open', async () => {
    const taken = createNetServer()
    taken.listen(0, '127.0.0.1')
    await once(taken, 'listening')
    const { port } = taken.address() as { port: number }
    using folder = temporaryFolder()
    const config = {
      listen: {
        free: { socket: 'free.sock', dataflow },
        busy: { port, host: '127.0.0.1', dataflow: [{ sqlite: { file: 'x.db', table: 't', columns: { a: 'msg' } } }] },
      },
    }
    const server = createServer(config, { baseDir: folder.path })
    const error = await server.start().then(
      () => undefined,
      (thrown: SluiceError) => thrown,
    )
    expect(error).toBeInstanceOf(SluiceError)
    expect(error).toMatchObject({ code: 'address_in_use', message: `busy: something else listens on port ${port}` })
    expect(server.state).toBe('stopped')
    expect(existsSync(join(folder.path, 'free.sock'))).toBe(false)
    await server.stop()
    taken.close()
  })

  it('closes what it has created when a later part cannot be created', async () => {
    using folder = temporaryFolder()
    const closed: string[] = []
    const registry = registryWith(
      'mine',
      () => undefined,
      () => void closed.push('mine'),
    )
    const bad = { sqlite: { file: 'no-such/../../../../../proc/x.db', table: 't', columns: { a: 'msg' } } }
    const steps = [{ mine: {} }, bad] as never
    const server = createServer({ listen: { one: { port: 0, dataflow: steps } } }, { registry, baseDir: folder.path })
    await expect(server.start()).rejects.toMatchObject({ code: 'storage_failed' })
    expect(closed).toEqual(['mine'])
    expect(server.state).toBe('stopped')
  })
})

describe('handle', () => {
  it('serves a socket that was accepted elsewhere, with what it has sent already', async () => {
    await using running = await start({
      listen: { inner: { socket: 'unused.sock', dataflow: [{ reply: 'got ${msg}' }] } },
    })
    const { promise: served, resolve } = Promise.withResolvers<void>()
    const outer = createNetServer((socket: Socket) => resolve(running.server.handle(socket, 'inner')))
    outer.listen(0, '127.0.0.1')
    await once(outer, 'listening')
    await using peer = await Peer.connect((outer.address() as { port: number }).port)
    peer.send('early\n')
    await served
    await peer.hear('got early\n')
    expect(await peer.send('late\n').finish().end()).toBe('got early\ngot late\n')
    outer.close()
  })

  it('names an endpoint that does not exist', async () => {
    await using running = await start({ listen: { one: { port: 0, dataflow } } })
    const { Socket } = await import('node:net')
    await expect(running.server.handle(new Socket(), 'two')).rejects.toThrow('there is no endpoint "two"')
  })
})

describe('a client that resets', () => {
  it('at any moment never ends the process, nor harms others', async () => {
    const gate = new Gate()
    await using running = await start(
      { listen: { many: { port: 0, dataflow: [{ gate: {}, if: 'msg == "slow"' }, { reply: '${msg}' }] as never } } },
      { registry: registryWith('gate', gate.write) },
    )
    const unhandled: unknown[] = []
    const note = (error: unknown) => void unhandled.push(error)
    process.on('unhandledRejection', note)
    await using neighbour = await Peer.connect(running.port())
    for (let i = 0; i < 30; i++) {
      const peer = await Peer.connect(running.port())
      if (i % 3 === 1) peer.send('slow\nx\n')
      if (i % 3 === 2) {
        peer.send('a'.repeat(100_000))
        await new Promise(setImmediate)
      }
      peer.socket.resetAndDestroy()
    }
    const { counters } = running.server.endpoints[0]!
    await eventually(() => running.all('connection.closed').length === 30)
    gate.open()
    expect(await neighbour.send('still here\n').finish().end()).toBe('still here\n')
    expect(counters.opened).toBe(31)
    expect([...counters.closed.keys()].every((reason) => ['client_reset', 'client_closed'].includes(reason))).toBe(true)
    process.off('unhandledRejection', note)
    expect(unhandled).toEqual([])
  })
})
