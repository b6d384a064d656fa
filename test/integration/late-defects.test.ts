import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, it } from 'vitest'
import { type Config, createServer } from '../../src/index.ts'
import { eventually, Gate, registryWith } from '../support/parts.ts'
import { Peer } from '../support/peer.ts'
import { start, temporaryFolder } from '../support/server.ts'

/** Listens and never accepts; its queue of one connection is full, so that every other attempt to connect hangs. */
const HANGING = `
import socket, sys
s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(0)
print(s.getsockname()[1], flush=True)
sys.stdin.read()`

it('a message whose delivery a late stop cuts short stays in the disk buffer', async () => {
  using folder = temporaryFolder()
  const listener = spawn('python3', ['-c', HANGING])
  const port = Number(String((await once(listener.stdout, 'data'))[0]))
  const filling = [1, 2, 3].map(() => connect(port, '127.0.0.1').on('error', () => {}))
  await once(filling[0]!, 'connect')
  const config: Config = {
    listen: {
      lines: {
        port: 0,
        dataflow: [{ tcp: { host: '127.0.0.1', port, buffer: 'disk' }, id: 'store' }, { reply: 'OK' }],
      },
    },
  }
  const server = createServer(config, { baseDir: folder.path })
  await server.start()
  await using peer = await Peer.connect(server.address('lines')!.port)
  await peer.send('precious\n').hear('OK\n')
  await server.stop({ deadline: 300 })
  for (const socket of filling) socket.destroy()
  listener.stdin.end()
  const database = new DatabaseSync(join(folder.path, 'sluice-data/buffers.db'), { readOnly: true, timeout: 2000 })
  const row = database.prepare('SELECT count(*) AS n FROM entries').get()
  database.close()
  expect(row).toEqual({ n: 1 })
})

it('a sender is held back by the memory that its reads hold, also where little in them is frames', async () => {
  const gate = new Gate()
  const config = {
    listen: { lab: { port: 0, framing: 'mllp', dataflow: [{ held: {} }], limits: { maxQueued: '256KiB' } } },
  } as unknown as Config
  await using running = await start(config, { registry: registryWith('held', gate.write) })
  await using peer = await Peer.connect(running.port())
  const block = Buffer.concat([Buffer.alloc(65_000, 0x0d), Buffer.from('\x0bx\x1c\r')])
  await eventually(() => running.server.endpoints[0]!.connections === 1)
  const { counters } = running.server.endpoints[0]!
  for (let i = 0; i < 600; i++) peer.send(block)
  await eventually(() => counters.readsPaused > 0 || counters.bytesIn > 600 * 65_000)
  gate.open()
  expect(counters.bytesIn).toBeLessThan(8 << 20)
}, 30_000)

it('a server without disk buffers starts although the file of the buffers is empty', async () => {
  using folder = temporaryFolder()
  mkdirSync(join(folder.path, 'sluice-data'))
  writeFileSync(join(folder.path, 'sluice-data/buffers.db'), '')
  await using server = createServer(
    { listen: { a: { port: 0, dataflow: [{ reply: 'OK' }] } } },
    { baseDir: folder.path },
  )
  await server.start()
})
