import { describe, expect, it } from 'vitest'
import { eventually, Gate, registryWith } from '../support/parts.ts'
import { Peer } from '../support/peer.ts'
import { start } from '../support/server.ts'

const KIB = 1024

describe('a slow sink', () => {
  it('holds a sender back by the memory that its reads hold, also where little in them is frames', async () => {
    const gate = new Gate()
    const config = {
      listen: { lab: { port: 0, framing: 'mllp', dataflow: [{ held: {} }], limits: { maxQueued: '256KiB' } } },
    } as never
    await using running = await start(config, { registry: registryWith('held', gate.write) })
    await using peer = await Peer.connect(running.port())
    const block = Buffer.concat([Buffer.alloc(65_000, 0x0d), Buffer.from('\x0bx\x1c\r')])
    await eventually(() => running.server.endpoints[0]!.connections === 1)
    const { counters } = running.server.endpoints[0]!
    for (let i = 0; i < 600; i++) peer.send(block)
    await eventually(() => counters.readsPaused > 0 || counters.bytesIn > 600 * 65_000)
    gate.open()
    expect(counters.bytesIn).toBeLessThan(8 << 20)
  })

  it('pauses the sender: what is in memory stays bounded, and goes on when the sink does', async () => {
    const gate = new Gate()
    const registry = registryWith('gate', gate.write)
    const dataflow = [{ gate: {} }] as never
    await using running = await start(
      { listen: { slow: { port: 0, limits: { maxQueued: '64KiB' }, dataflow } } },
      { registry },
    )
    await using peer = await Peer.connect(running.port())
    const line = `${'x'.repeat(1023)}\n`
    const count = 16 * KIB
    peer.send(Buffer.from(line.repeat(count)))
    await gate.entered()
    const { counters } = running.server.endpoints[0]!
    // Paused: bytes stop to arrive while the sender still has most of its 16 MiB.
    let seen = -1
    while (seen !== counters.bytesIn) {
      seen = counters.bytesIn
      for (let i = 0; i < 50; i++) await new Promise(setImmediate)
    }
    expect(counters.queuedBytes).toBeGreaterThan(60 * KIB)
    expect(counters.queuedBytes).toBeLessThanOrEqual(64 * KIB + 2 * 65 * KIB)
    expect(counters.bytesIn).toBeLessThan(512 * KIB)
    expect(peer.socket.writableLength).toBeGreaterThan(0)
    gate.open()
    await peer.finish().end()
    await eventually(() => counters.messagesIn === count)
    await running.event('connection.closed')
    expect(gate.values).toHaveLength(count)
    expect(counters.queuedBytes).toBe(0)
    // Batches grow while the sink is slow.
    expect(gate.batches.length).toBeLessThan(count / 2)
  })

  it('counts what tiny reads cost, so that they too are bounded', async () => {
    const gate = new Gate()
    const registry = registryWith('gate', gate.write)
    await using running = await start(
      { listen: { slow: { port: 0, limits: { maxQueued: '16KiB' }, dataflow: [{ gate: {} }] as never } } },
      { registry },
    )
    await using peer = await Peer.connect(running.port())
    peer.send('a\n')
    await gate.entered()
    const { counters } = running.server.endpoints[0]!
    let reads = 0
    for (; counters.readsPaused === 0 && reads < 1000; reads++) {
      const before = counters.bytesIn
      peer.send('b\n')
      await eventually(() => counters.bytesIn > before)
    }
    expect(reads).toBeLessThan(100)
    gate.open()
    await peer.finish().end()
    await running.event('connection.closed')
    expect(counters).toMatchObject({ queuedBytes: 0, messagesIn: reads + 1 })
  })

  it('leaves no bytes counted that are not there, whatever the reads were like', async () => {
    const gate = new Gate()
    const registry = registryWith('gate', gate.write)
    await using running = await start(
      { listen: { slow: { port: 0, limits: { maxQueued: '8KiB' }, dataflow: [{ gate: {} }] as never } } },
      { registry },
    )
    await using peer = await Peer.connect(running.port())
    const { counters } = running.server.endpoints[0]!
    peer.send('half')
    await eventually(() => counters.bytesIn === 4)
    const rest = 'x\n'.repeat(30_000)
    peer.send(`${rest}half`)
    await gate.entered()
    peer.send(rest)
    expect(counters.queuedBytes).toBeGreaterThanOrEqual(0)
    gate.open()
    await peer.finish().end()
    await running.event('connection.closed')
    await eventually(() => counters.messagesIn === 60_000)
    expect(counters.queuedBytes).toBe(0)
  })

  it('holds up its own connection alone', async () => {
    const gate = new Gate()
    const registry = registryWith('gate', gate.write)
    const dataflow = [{ gate: {}, if: 'msg == "slow"' }, { reply: '${msg}' }] as never
    await using running = await start({ listen: { slow: { port: 0, dataflow } } }, { registry })
    await using slow = await Peer.connect(running.port())
    slow.send('slow\n')
    await gate.entered()
    await using quick = await Peer.connect(running.port())
    expect(await quick.send('quick\n').finish().end()).toBe('quick\n')
    gate.open()
    await slow.hear('slow\n')
  })
})

describe('a client that does not read', () => {
  const big = 'y'.repeat(64 * KIB)

  it('is closed when it has not taken its answers within writeTimeout, and delays nobody', async () => {
    await using running = await start({
      listen: { echo: { port: 0, limits: { writeTimeout: '200ms' }, dataflow: [{ reply: big }] } },
    })
    await using deaf = await Peer.connect(running.port())
    deaf.socket.pause()
    deaf.send('x\n'.repeat(1000))
    await using other = await Peer.connect(running.port())
    await other.send('x\n').hear(`${big}\n`)
    const { reason, client } = await running.event('connection.closed')
    expect(reason).toBe('write_timeout')
    expect(client.port).toBe(deaf.socket.localPort)
    await other.send('x\n').hear(`${big}\n${big}\n`)
  })

  it('is skipped by a send to many; alone it is an error', async () => {
    const shout = { send: { to: { endpoint: 'listeners' }, text: big } }
    const tell = { send: { to: { client: '${msg}' }, text: big } }
    const onError = [{ reply: 'ERR ${error.code}' }]
    await using running = await start({
      listen: {
        listeners: { port: 0, limits: { maxQueued: '256KiB' }, dataflow: [] },
        all: { port: 0, dataflow: [shout, { reply: 'told' }] },
        one: { port: 0, dataflow: [tell, { reply: 'told' }], onError },
      },
    })
    await using deaf = await Peer.connect(running.port('listeners'))
    deaf.socket.pause()
    const { client } = await running.event('connection.opened')
    const { clients } = running.server
    await eventually(() => clients.send({ all: true }, 'text', big).skipped === 1)
    await using all = await Peer.connect(running.port('all'))
    await all.send('x\n').hear('told\n')
    await using one = await Peer.connect(running.port('one'))
    await one.send(`${client.id}\nnobody\n`).hear('ERR client_unknown\n')
    expect(one.text).toBe('ERR client_slow\nERR client_unknown\n')
    expect(() => clients.send({ client: client.id }, 'text', big)).toThrow('does not read')
  })
})

describe('deadlines', () => {
  it('idleTimeout closes a client that is quiet', async () => {
    await using running = await start({
      listen: { echo: { port: 0, limits: { idleTimeout: '100ms' }, dataflow: [{ reply: 'x' }] } },
    })
    await using peer = await Peer.connect(running.port())
    expect(await peer.send('a\n').end()).toBe('x\n')
    expect((await running.event('connection.closed')).reason).toBe('idle_timeout')
  })

  it('idleTimeout and frameTimeout do not count while we hold the client back', async () => {
    const gate = new Gate()
    const registry = registryWith('gate', gate.write)
    const limits = { idleTimeout: '100ms', frameTimeout: '100ms' }
    await using running = await start(
      { listen: { echo: { port: 0, limits, dataflow: [{ gate: {} }, { reply: '${msg}' }] as never } } },
      { registry },
    )
    await using peer = await Peer.connect(running.port())
    peer.send('a\nhalf')
    await gate.entered()
    // Another connection of the endpoint shows, by its own timeouts, that more than enough time has passed.
    for (let i = 0; i < 2; i++) {
      await using quiet = await Peer.connect(running.port())
      await quiet.end()
    }
    await eventually(() => running.all('connection.closed').length === 2)
    expect(running.all('connection.closed').map(({ reason }) => reason)).toEqual(['idle_timeout', 'idle_timeout'])
    gate.open()
    expect(await peer.send(' more\n').finish().end()).toBe('a\nhalf more\n')
  })

  it('frameTimeout ends a frame that trickles, keeps its bytes and closes', async () => {
    await using running = await start({
      listen: { echo: { port: 0, limits: { frameTimeout: '200ms' }, dataflow: [{ reply: '${msg}' }] } },
    })
    await using peer = await Peer.connect(running.port())
    const trickle = setInterval(() => peer.send('z'), 20)
    await peer.send('ok\nz').end()
    clearInterval(trickle)
    expect(peer.text).toBe('ok\n')
    expect((await running.event('connection.closed')).reason).toBe('frame_timeout')
    const { error, message } = await running.event('deadLetter.stored')
    expect(error.code).toBe('frame_timeout')
    expect(message.raw.toString()).toMatch(/^zz+$/)
  })

  it('firstFrameTimeout counts from the start, whatever trickles in', async () => {
    const limits = { firstFrameTimeout: '200ms', frameTimeout: 'off' }
    await using running = await start({ listen: { echo: { port: 0, limits, dataflow: [{ reply: '${msg}' }] } } })
    await using good = await Peer.connect(running.port())
    await good.send('a\n').hear('a\n')
    await using peer = await Peer.connect(running.port())
    const trickle = setInterval(() => peer.send('z'), 20)
    await peer.end()
    clearInterval(trickle)
    expect((await running.event('connection.closed')).reason).toBe('first_frame_timeout')
    await good.send('b\n').hear('a\nb\n')
  })
})
