import { Socket } from 'node:net'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { createServer, defineSink, SluiceError, z } from '../../src/index.ts'
import { addStep, eventually, Gate, registryWith } from '../support/parts.ts'
import { Peer } from '../support/peer.ts'
import { start, type TemporaryFolder, temporaryFolder } from '../support/server.ts'

const never = () => new Promise<void>(() => undefined)

describe('stop', () => {
  it('answers complete frames, drops partial ones, accepts nobody', async () => {
    const gate = new Gate()
    const dataflow = [{ gate: {} }, { reply: 'OK ${msg}' }] as never
    await using running = await start(
      { listen: { shell: { port: 0, dataflow } } },
      { registry: registryWith('gate', gate.write) },
    )
    await using peer = await Peer.connect(running.port())
    const port = running.port()
    peer.send('1\n')
    await gate.entered()
    peer.send('2\n3\nhalf')
    await eventually(() => running.server.endpoints[0]!.counters.bytesIn === 10)
    const stopped = running.server.stop()
    expect(running.server.state).toBe('draining')
    await expect(Peer.connect(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    peer.send('late\n')
    gate.open()
    expect(await peer.end()).toBe('OK 1\nOK 2\nOK 3\n')
    await stopped
    expect(running.server.state).toBe('stopped')
    expect((await running.event('connection.closed')).reason).toBe('drained')
    expect(gate.values).toEqual(['1', '2', '3'])
    expect(running.all('deadLetter.stored')).toEqual([])
    expect(running.all('server.draining')).toHaveLength(1)
    expect(running.all('server.stopped')).toHaveLength(1)
  })

  it('closes idle connections and is quick when they close too', async () => {
    await using running = await start({ listen: { shell: { port: 0, dataflow: [{ reply: 'x' }] } } })
    await using peer = await Peer.connect(running.port())
    await running.event('connection.opened')
    const before = performance.now()
    const stopped = running.server.stop()
    expect(await peer.end()).toBe('')
    await stopped
    expect(performance.now() - before).toBeLessThan(1000)
  })

  it('ends at its deadline what is not finished, and resolves even when a sink hangs for ever', async () => {
    const registry = registryWith('hanging', never, never)
    const dataflow = [{ hanging: {} }] as never
    await using running = await start({ listen: { shell: { port: 0, dataflow } } }, { registry })
    await using peer = await Peer.connect(running.port())
    peer.send('x\n')
    await eventually(() => running.server.endpoints[0]!.counters.messagesIn === 1)
    await running.server.stop({ deadline: 50 })
    expect((await running.event('connection.closed')).reason).toBe('drain_deadline')
    expect(running.server.state).toBe('stopped')
  })

  it('can be called again to bring the deadline nearer', async () => {
    const registry = registryWith('hanging', never)
    const dataflow = [{ hanging: {} }] as never
    await using running = await start({ listen: { shell: { port: 0, dataflow } } }, { registry })
    await using peer = await Peer.connect(running.port())
    peer.send('x\n')
    await eventually(() => running.server.endpoints[0]!.counters.messagesIn === 1)
    const first = running.server.stop({ deadline: 60_000 })
    await running.event('server.draining')
    await running.server.stop({ deadline: 0 })
    await first
    expect((await running.event('connection.closed')).reason).toBe('drain_deadline')
    await peer.end()
  })

  it('lets a delivery that has begun finish, and what it stored is there', async () => {
    const gate = new Gate()
    const registry = registryWith('gate', gate.write)
    const sqlite = { file: 'rows.db', table: 'rows', columns: { value: 'msg' } }
    const dataflow = [{ gate: {} }, { sqlite }] as never
    await using running = await start({ listen: { shell: { port: 0, dataflow } } }, { registry })
    await using peer = await Peer.connect(running.port())
    peer.send('kept\n')
    await gate.entered()
    peer.socket.resetAndDestroy()
    await running.event('connection.closed')
    const stopped = running.server.stop()
    await running.event('server.draining')
    gate.open()
    await stopped
    using database = new DatabaseSync(join(running.folder, 'rows.db'), { readOnly: true })
    expect(database.prepare('SELECT value FROM rows').all()).toEqual([{ value: 'kept' }])
  })

  it('gives up the retries of a sink at the deadline, and keeps the message', async () => {
    const registry = registryWith('away', () => {
      throw new SluiceError('sink_unavailable', 'nobody there', { retryable: true })
    })
    const dataflow = [{ away: {}, retry: { for: '1h' } }] as never
    await using running = await start({ listen: { shell: { port: 0, dataflow } } }, { registry })
    await using peer = await Peer.connect(running.port())
    peer.send('x\n')
    await running.event('sink.retried')
    await running.server.stop({ deadline: 20 })
    expect((await running.event('deadLetter.stored')).error.message).toContain('then the server stopped')
  })

  it('waits for a branch that nobody waits for', async () => {
    const gate = new Gate()
    const registry = registryWith('gate', gate.write)
    const dataflow = [
      { fork: { branches: { copy: [{ gate: {} }, { log: 'copied' }] }, finishedWhen: [] } },
      { reply: 'OK' },
    ] as never
    await using running = await start({ listen: { shell: { port: 0, dataflow } } }, { registry })
    await using peer = await Peer.connect(running.port())
    await peer.send('x\n').finish().end()
    const stopped = running.server.stop()
    await running.event('server.draining')
    gate.open()
    await stopped
    expect(running.all('part.logged').map(({ text }) => text)).toEqual(['copied'])
  })

  it('turns away a client whose TLS handshake has not ended', async () => {
    using folder = temporaryFolder()
    await using running = await start(await withTls(folder))
    await using peer = await Peer.connect(running.port())
    // It counts for the limit once its handshake has begun.
    await using other = await Peer.connect(running.port())
    await other.end()
    const stopped = running.server.stop()
    await peer.end()
    await stopped
    expect(running.all('connection.refused').map(({ reason }) => reason)).toEqual(['too_many_connections', 'drained'])
    expect(running.all('connection.opened')).toEqual([])
  })

  it('before start, and start after stop, do nothing', async () => {
    const server = createServer({ listen: { shell: { port: 0, dataflow: [] } } })
    await server.stop()
    expect(server.state).toBe('stopped')
    await expect(server.start()).rejects.toThrow('a server is started once')
    expect(server.address('shell')).toBeUndefined()
  })

  it('during start leaves nothing open', async () => {
    const { promise: ready, resolve } = Promise.withResolvers<void>()
    const closed: string[] = []
    const registry = registryWith('none', () => undefined)
    registry.add(
      defineSink({
        name: 'slow-start',
        summary: 'Is ready when the test says so.',
        options: z.strictObject({}),
        examples: [],
        confirms: () => 'os',
        finished: 'at once',
        create: () => ready.then(() => ({ write: () => undefined, close: () => void closed.push('sink') })),
      }),
    )
    const server = createServer(
      { listen: { shell: { port: 0, dataflow: [{ 'slow-start': {} }] as never } } },
      { registry },
    )
    const started = server.start()
    const stopped = server.stop()
    resolve()
    await Promise.all([started, stopped])
    expect(server.state).toBe('stopped')
    expect(server.addresses('shell')).toEqual([])
    expect(closed).toEqual(['sink'])
  })
})

describe('a server', () => {
  it('stops when its signal is aborted, also before it has started', async () => {
    const abort = new AbortController()
    await using running = await start({ listen: { shell: { port: 0, dataflow: [] } } }, { signal: abort.signal })
    abort.abort()
    await running.event('server.stopped')
    expect(running.server.state).toBe('stopped')
    const other = createServer({ listen: { shell: { port: 0, dataflow: [] } } }, { signal: AbortSignal.abort() })
    await expect(other.start()).rejects.toThrow('a server is started once')
  })

  it('stops at the end of its block', async () => {
    let port: number
    {
      await using server = createServer({ listen: { shell: { port: 0, dataflow: [] } } })
      await server.start()
      port = server.address('shell')!.port
    }
    await expect(Peer.connect(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })

  it('refuses a socket that it is given while it stops', async () => {
    const gate = new Gate()
    const registry = addStep(registryWith('gate', gate.write), 'pass', { run: (message) => message })
    await using running = await start(
      { listen: { shell: { port: 0, dataflow: [{ gate: {} }] as never } } },
      { registry },
    )
    await using peer = await Peer.connect(running.port())
    peer.send('x\n')
    await gate.entered()
    const stopped = running.server.stop()
    const socket = new Socket()
    await running.server.handle(socket, 'shell')
    expect(socket.destroyed).toBe(true)
    expect((await running.event('connection.refused')).reason).toBe('drained')
    gate.open()
    await peer.end()
    await stopped
  })
})

async function withTls(folder: TemporaryFolder) {
  const { generate } = await import('selfsigned')
  const { writeFileSync } = await import('node:fs')
  const made = await generate([{ name: 'commonName', value: 'localhost' }])
  const cert = join(folder.path, 'cert.pem')
  const key = join(folder.path, 'key.pem')
  writeFileSync(cert, made.cert)
  writeFileSync(key, made.private)
  return { listen: { secure: { port: 0, tls: { cert, key }, limits: { maxConnections: 1 }, dataflow: [] } } }
}
