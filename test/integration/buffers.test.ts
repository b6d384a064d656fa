import { existsSync, readFileSync } from 'node:fs'
import { createServer as createNetServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type Config, createServer, SluiceError } from '../../src/index.ts'
import { freePort } from '../support/free-port.ts'
import { eventually, Gate, registryWith } from '../support/parts.ts'
import { Peer } from '../support/peer.ts'
import { start, temporaryFolder } from '../support/server.ts'

const down = new SluiceError('sink_unavailable', 'down', { retryable: true })

/** Lines to a sink with a buffer, and an answer when the buffer has them. */
const lines = (buffer: unknown) => ({ port: 0, dataflow: [{ held: { buffer }, id: 'store' }, { reply: 'OK ${msg}' }] })
const config = (buffer: unknown) => ({ listen: { lines: lines(buffer) } }) as unknown as Config

describe('a disk buffer', () => {
  it('acknowledges what it has on disk while the destination is down, and delivers it after a restart, in order', async () => {
    using folder = temporaryFolder()
    const options = { baseDir: folder.path }
    const failing = registryWith('held', () => {
      throw down
    })
    const first = createServer(config('disk'), { ...options, registry: failing })
    await first.start()
    await using peer = await Peer.connect(first.address('lines')!.port)
    const texts = Array.from({ length: 50 }, (_, i) => `line ${i}`)
    await peer.send(texts.map((text) => `${text}\n`).join('')).hear(texts.map((text) => `OK ${text}\n`).join(''))
    expect(first.buffers).toMatchObject([{ step: 'store', messages: 50, delivered: 0 }])
    await first.stop()

    const gate = new Gate()
    gate.open()
    await using second = createServer(config('disk'), { ...options, registry: registryWith('held', gate.write) })
    await second.start()
    await eventually(() => second.buffers[0]!.messages === 0)
    expect(gate.values).toEqual(texts)
    expect(gate.batches[0]!.messages[0]!.client.ip).toBe('127.0.0.1')
  })

  it('goes on after a reload where the old configuration has stopped, and loses nothing', async () => {
    const seen: string[] = []
    const { resolve: open, promise: opened } = Promise.withResolvers<void>()
    const registry = registryWith('held', async (batch) => {
      await opened
      seen.push(...batch.messages.map(({ msg }) => String(msg)))
    })
    await using running = await start(config('disk'), { registry })
    await using peer = await Peer.connect(running.port())
    await peer.send('1\n2\n').hear('OK 1\nOK 2\n')
    await running.server.reload(config({ disk: { maxSize: '1GiB' } }))
    await peer.send('3\n').hear('OK 3\n')
    await running.server.reload(config('disk'))
    await peer.send('4\n').hear('OK 4\n')
    open()
    await eventually(() => running.server.buffers[0]!.messages === 0)
    expect(seen).toEqual(['1', '2', '3', '4'])
    expect(running.server.buffers).toMatchObject([{ step: 'store', stored: 4, delivered: 4 }])
  })

  it('with messages in it cannot be taken away by a reload, and is told of when it is not there at the start', async () => {
    using folder = temporaryFolder()
    const failing = registryWith('held', () => {
      throw down
    })
    const options = { baseDir: folder.path, registry: failing }
    const server = createServer(config('disk'), options)
    await server.start()
    const port = server.address('lines')!.port
    await using peer = await Peer.connect(port)
    await peer.send('1\n').hear('OK 1\n')
    const without = { listen: { lines: { port: 0, dataflow: [{ reply: 'new' }] } } }
    await expect(server.reload(without)).rejects.toThrow('1 messages wait in the buffer of store')
    await peer.send('2\n').hear('OK 2\n')
    await server.stop()

    await using second = createServer(without, options)
    const told = new Promise((resolve) => second.events.on('buffer.orphaned', resolve))
    await second.start()
    expect(await told).toEqual({ step: 'store', messages: 2 })
  })

  it('keeps the folder to itself', async () => {
    using folder = temporaryFolder()
    const options = { baseDir: folder.path, registry: registryWith('held', () => {}) }
    await using first = createServer(config('disk'), options)
    await first.start()
    const second = createServer(config('disk'), options)
    await expect(second.start()).rejects.toThrow(/another server \(process \d+\) uses the data folder/)
  })

  it('passes bytes that nobody touched on as they are', async () => {
    await using running = await start({
      listen: {
        lines: { port: 0, dataflow: [{ file: { path: 'out.txt', buffer: 'disk' }, id: 'store' }, { reply: 'OK' }] },
      },
    })
    await using peer = await Peer.connect(running.port())
    await peer.send('one\r\ntwö\n\nlast\n').hear('OK\nOK\nOK\nOK\n')
    await eventually(() => running.server.buffers[0]!.messages === 0)
    expect(readFileSync(join(running.folder, 'out.txt'), 'utf8')).toBe('one\ntwö\n\nlast\n')
  })

  it('gives what the destination refuses to the onError of its step, whose answers are skipped', async () => {
    const registry = registryWith('held', () => {
      throw new SluiceError('sink_failed', 'no')
    })
    const onError = [{ log: 'failed: ${error.message}' }, { reply: 'NAK' }]
    await using running = await start(
      {
        listen: {
          lines: { port: 0, dataflow: [{ held: { buffer: 'disk' }, id: 'store', onError }, { reply: 'OK' }] as never },
        },
      },
      { registry },
    )
    await using peer = await Peer.connect(running.port())
    await peer.send('a\n').hear('OK\n')
    const { counters } = running.server.endpoints[0]!
    await eventually(() => counters.repliesLost === 1)
    expect(running.all('deadLetter.stored')).toEqual([])
    expect(running.all('part.logged').map(({ text }) => text)).toEqual(['failed: no'])
    expect(peer.text).toBe('OK\n')
  })

  it('goes on by itself when a destination comes back', async () => {
    const received: string[] = []
    const destination = createNetServer((socket) => socket.on('data', (chunk) => received.push(chunk.toString())))
    const port = await freePort()
    await using running = await start({
      listen: {
        lines: {
          port: 0,
          dataflow: [{ tcp: { host: '127.0.0.1', port, buffer: 'disk' }, id: 'store' }, { reply: 'OK' }],
        },
      },
    })
    await using peer = await Peer.connect(running.port())
    await peer.send('a\nb\n').hear('OK\nOK\n')
    await running.event('sink.retried')
    await new Promise<void>((resolve) => destination.listen(port, '127.0.0.1', resolve))
    await eventually(() => received.join('') === 'a\nb\n')
    await eventually(() => running.server.buffers[0]!.messages === 0)
    destination.close()
  })
})

describe('a memory buffer', () => {
  it('answers before the destination has the message, and has delivered all when the server has stopped', async () => {
    const gate = new Gate()
    const running = await start(config('memory'), { registry: registryWith('held', gate.write) })
    await using peer = await Peer.connect(running.port())
    await peer.send('a\nb\n').hear('OK a\nOK b\n')
    const stopping = running.server.stop()
    gate.open()
    await stopping
    expect(gate.values).toEqual(['a', 'b'])
    expect(existsSync(join(running.folder, 'sluice-data/buffers.db'))).toBe(false)
  })

  it('that is full pauses exactly the senders that feed it', async () => {
    const gate = new Gate()
    const listen = {
      lines: lines({ memory: { maxSize: '64KiB' } }),
      echo: { port: 0, dataflow: [{ reply: '${msg}' }] },
    }
    await using running = await start({ listen } as unknown as Config, { registry: registryWith('held', gate.write) })
    await using feeding = await Peer.connect(running.port('lines'))
    await using other = await Peer.connect(running.port('echo'))
    const line = `${'x'.repeat(999)}\n`
    feeding.send(line.repeat(4000))
    await running.event('buffer.filled')
    await other.send('still here\n').hear('still here\n')
    gate.open()
    await eventually(() => running.server.buffers[0]!.delivered === 4000)
  })
})
