import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect, createServer as createNetServer } from 'node:net'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { dropDeadLetters, readDeadLetters } from '../../src/delivery/dead-letter-files.ts'
import { type Batch, type Config, createServer, SluiceError } from '../../src/index.ts'
import { mountTmpfs, tmpfsObstacle } from '../faults/mounts.ts'
import { addStep, eventually, Gate, registryWith } from '../support/parts.ts'
import { Peer } from '../support/peer.ts'
import { start, temporaryFolder } from '../support/server.ts'

const down = new SluiceError('sink_unavailable', 'down', { retryable: true })
const refused = new SluiceError('sink_failed', 'refused')

const lines = (buffer: unknown, more: object = {}) => ({
  port: 0,
  dataflow: [{ held: { buffer }, id: 'store', ...more }, { reply: 'OK ${msg}' }],
})
const config = (buffer: unknown, more: object = {}) => ({ listen: { lines: lines(buffer, more) } }) as unknown as Config

/** What a promise came to, or `late` when it takes longer than it may. */
function within<T>(milliseconds: number, promise: Promise<T>): Promise<T | 'late'> {
  return Promise.race([promise, new Promise<'late'>((resolve) => setTimeout(resolve, milliseconds, 'late'))])
}

/** Whether something comes to hold in so many milliseconds. */
async function soon(milliseconds: number, holds: () => boolean): Promise<boolean> {
  const end = performance.now() + milliseconds
  while (!holds() && performance.now() < end) await new Promise(setImmediate)
  return holds()
}

const textsOf = ({ messages }: Batch) => messages.map(({ msg }) => String(msg))

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise(setImmediate)
}

function count(file: string, table: string): number {
  if (!existsSync(file)) return 0
  const database = new DatabaseSync(file, { readOnly: true, timeout: 2000 })
  const row = database.prepare(`SELECT count(*) AS n FROM ${table}`).get()
  database.close()
  return Number(row!['n'])
}

describe('a reload with a disk buffer', () => {
  it('that fails because another part cannot be built comes to its end, and changes nothing', async () => {
    await using running = await start(config('disk'), { registry: registryWith('held', () => {}) })
    const broken = {
      listen: { lines: lines('disk'), other: { port: 0, dataflow: [{ file: '/proc/nowhere/out.txt' }] } },
    } as unknown as Config
    const reloaded = running.server.reload(broken).catch(() => 'refused')
    expect(await within(20_000, reloaded)).toBe('refused')
  })

  it('cures a full buffer whose destination was wrong', async () => {
    const received: string[] = []
    const destination = createNetServer((socket) => socket.on('data', (chunk) => received.push(chunk.toString())))
    await new Promise<void>((resolve) => destination.listen(0, '127.0.0.1', resolve))
    const { port } = destination.address() as { port: number }
    const to = (target: number) =>
      ({
        listen: {
          lines: {
            port: 0,
            dataflow: [
              { tcp: { host: '127.0.0.1', port: target, buffer: { disk: { maxSize: '1KiB' } } }, id: 'store' },
              { reply: 'OK' },
            ],
          },
        },
      }) as unknown as Config
    await using running = await start(to(1))
    await using peer = await Peer.connect(running.port())
    await peer.send(`${'a'.repeat(2000)}\n`).hear('OK\n')
    peer.send('b\n')
    await running.event('buffer.filled')
    await running.server.reload(to(port))
    expect(await soon(20_000, () => received.join('').length === 2003)).toBe(true)
    destination.close()
  })

  it('leaves no message behind that a run in flight stores in a buffer which the new configuration does not have', async () => {
    const opened = Promise.withResolvers<void>()
    const registry = addStep(
      registryWith('held', () => {
        throw down
      }),
      'gate',
      { run: (message) => opened.promise.then(() => message) },
    )
    const gated = {
      listen: {
        lines: { port: 0, dataflow: [{ gate: {} }, { held: { buffer: 'disk' }, id: 'store' }, { reply: 'OK' }] },
      },
    } as unknown as Config
    await using running = await start(gated, { registry })
    await using peer = await Peer.connect(running.port())
    peer.send('1\n')
    await eventually(() => running.server.endpoints[0]!.counters.messagesIn === 1)
    const reloaded = await running.server.reload({ listen: { lines: { port: 0, dataflow: [{ reply: 'new' }] } } }).then(
      () => 'reloaded',
      () => 'refused',
    )
    opened.resolve()
    await peer.hear('OK\n')
    expect(reloaded).toBe('reloaded')
    const orphan = await running.event('buffer.orphaned')
    expect(orphan).toEqual({ step: 'store', messages: 1 })
  })
})

describe('a dataflow with a disk buffer that two endpoints share', () => {
  const shared = (word: string) =>
    ({
      dataflows: { store: [{ held: { buffer: 'disk' }, id: 'store' }, { reply: word }] },
      listen: { a: { port: 0, dataflow: 'store' }, b: { port: 0, dataflow: 'store' } },
    }) as unknown as Config

  it('delivers what came through either of them', async () => {
    const seen: string[] = []
    const registry = registryWith('held', (batch) => void seen.push(...textsOf(batch)))
    await using running = await start(shared('OK'), { registry })
    for (const name of ['a', 'b']) {
      await using peer = await Peer.connect(running.port(name))
      await peer.send(`${name}\n`).hear('OK\n')
      expect([name, await soon(20_000, () => seen.includes(name))]).toEqual([name, true])
    }
  })

  it('is counted under all of them, as the configuration in force has them', async () => {
    await using running = await start(shared('OK'), { registry: registryWith('held', () => {}) })
    expect(running.server.buffers.map(({ endpoint }) => endpoint)).toEqual(['a,b'])
    const { dataflows, listen } = shared('OK')
    await running.server.reload({ dataflows, listen: { b: listen!['b'], c: { port: 0, dataflow: 'store' } } } as Config)
    await eventually(() => running.server.buffers[0]!.endpoint === 'b,c')
    expect(running.server.buffers).toHaveLength(1)
  })

  it('says at a start that fails why it does', async () => {
    using folder = temporaryFolder()
    const { dataflows, listen } = shared('OK')
    const broken = { port: 0, dataflow: [{ file: '/proc/nowhere/out.txt' }] }
    const given = { dataflows, listen: { ...listen, broken } } as unknown as Config
    await using server = createServer(given, { baseDir: folder.path, registry: registryWith('held', () => {}) })
    const started = server.start().catch(() => 'refused')
    expect(await within(20_000, started)).toBe('refused')
  })

  it('stops at once when nothing is left to do', async () => {
    const running = await start(shared('OK'), { registry: registryWith('held', () => {}) })
    const stopped = running.server.stop({ deadline: 60_000 })
    expect(await within(20_000, stopped)).toBeUndefined()
    await stopped
  })

  it('goes on after a reload', async () => {
    const seen: string[] = []
    const registry = registryWith('held', (batch) => void seen.push(...textsOf(batch)))
    await using running = await start(shared('OK'), { registry })
    await running.server.reload(shared('NEW'))
    await using peer = await Peer.connect(running.port('a'))
    await peer.send('1\n').hear('NEW\n')
    expect(await soon(20_000, () => seen.includes('1'))).toBe(true)
  })
})

describe('a disk buffer', () => {
  it('gives up a delivery that hangs when a reload brings another destination', async () => {
    const seen: string[] = []
    let hangs = true
    const registry = registryWith('held', (batch) => {
      if (hangs) return new Promise(() => {})
      seen.push(...textsOf(batch))
    })
    await using running = await start(config('disk', { timeout: '1s' }), { registry })
    await using peer = await Peer.connect(running.port())
    await peer.send('1\n').hear('OK 1\n')
    await turns(20)
    hangs = false
    await running.server.reload(config('disk', { timeout: '2s' }))
    expect(await soon(20_000, () => seen.includes('1'))).toBe(true)
  })

  it('keeps what the destination refuses as long as it cannot become a dead letter', async () => {
    using folder = temporaryFolder()
    const registry = registryWith('held', () => {
      throw refused
    })
    const server = createServer(config('disk'), { baseDir: folder.path, registry })
    const failed = new Promise((resolve) => server.events.on('message.failed', resolve))
    await server.start()
    const data = join(folder.path, 'sluice-data')
    mkdirSync(join(data, 'dead-letters.db'))
    await using peer = await Peer.connect(server.address('lines')!.port)
    await peer.send('precious\n').hear('OK precious\n')
    await failed
    await turns(200)
    await server.stop({ deadline: 1000 })
    expect(count(join(data, 'buffers.db'), 'entries')).toBe(1)
  })

  it('delivers after a clean stop what the destination has not confirmed, and nothing else', async () => {
    const confirmed: string[] = []
    const isOdd = (text: string) => Number(text) % 2 === 1
    const registry = registryWith('held', (batch) => {
      const texts = textsOf(batch)
      confirmed.push(...texts.filter((text) => !isOdd(text)))
      return texts.map((text) => (isOdd(text) ? down : undefined))
    })
    const running = await start(config('disk'), { registry })
    await using peer = await Peer.connect(running.port())
    await peer.send('1\n2\n3\n4\n').hear('OK 4\n')
    await eventually(() => confirmed.length === 2)
    await running.server.stop({ deadline: 1000 })
    expect(running.server.buffers).toMatchObject([{ delivered: 2, messages: 2 }])
    const later: string[] = []
    const taking = registryWith('held', (batch) => void later.push(...textsOf(batch)))
    await using again = await start(config('disk'), { baseDir: running.folder, registry: taking })
    await eventually(() => again.server.buffers[0]!.messages === 0)
    expect([confirmed, later]).toEqual([
      ['2', '4'],
      ['1', '3'],
    ])
    await running[Symbol.asyncDispose]()
  })

  it('takes messages again when it has filled the disk and is then emptied', async ({ skip }) => {
    const obstacle = await tmpfsObstacle()
    if (obstacle !== undefined) skip(obstacle)
    await using disk = await mountTmpfs(24 << 20)
    const gate = new Gate()
    const given = { ...config('disk'), data: { dir: disk.path } } as Config
    const running = await start(given, { registry: registryWith('held', gate.write) })
    await using peer = await Peer.connect(running.port())
    const line = `${'x'.repeat(9999)}\n`
    peer.send(line.repeat(3000))
    await running.event('buffer.filled')
    gate.open()
    const done = await soon(90_000, () => running.server.buffers[0]!.delivered === 3000)
    const { delivered, messages } = running.server.buffers[0]!
    await running[Symbol.asyncDispose]()
    expect({ done, delivered, messages }).toEqual({ done: true, delivered: 3000, messages: 0 })
  }, 100_000)

  it('gives each message its own client in a branch of onError that is not waited for', async () => {
    const opened = Promise.withResolvers<void>()
    const seen: string[] = []
    const registry = addStep(
      registryWith('held', async () => {
        await opened.promise
        throw refused
      }),
      'note',
      {
        run(message) {
          seen.push(`${message.msg} of ${message.client.id}`)
          return message
        },
      },
    )
    const onError = [{ fork: { branches: { aside: [{ note: {} }] }, finishedWhen: [] } }]
    await using running = await start(config('disk', { onError }), { registry })
    const peers = [
      await Peer.connect(running.port()),
      await Peer.connect(running.port()),
      await Peer.connect(running.port()),
    ]
    for (const [i, peer] of peers.entries()) await peer.send(`m${i + 1}\n`).hear(`OK m${i + 1}\n`)
    opened.resolve()
    await eventually(() => seen.length === 3)
    for (const peer of peers) await peer[Symbol.asyncDispose]()
    expect(seen).toEqual(['m1 of lines-1', 'm2 of lines-2', 'm3 of lines-3'])
  })
})

describe('a disk buffer while the dead letters are full', () => {
  const OLD = 'o'.repeat(9000)

  /** A destination that refuses everything, and a server whose dead letters are full when a message has been refused. */
  async function fill(onError: unknown = undefined) {
    const seen: string[] = []
    const refusing = { now: true }
    const registry = registryWith('held', (batch) => {
      seen.push(...textsOf(batch).filter((text) => text !== OLD))
      if (refusing.now) throw refused
    })
    addStep(registry, 'broken', {
      run(message) {
        if (message.msg === OLD) return undefined
        throw new SluiceError('step_failed', 'broken')
      },
    })
    const given = (more: object) =>
      ({ ...config('disk', { onError, ...more }), data: { deadLetters: { maxSize: '8KiB' } } }) as unknown as Config
    const first = { ...config('none'), data: { deadLetters: { maxSize: '8KiB' } } } as unknown as Config
    const running = await start(first, { registry })
    await using peer = await Peer.connect(running.port())
    peer.send(`${OLD}\n`)
    await running.event('deadLetter.stored')
    await running.server.reload(given({}))
    await peer.send('1\n2\n').hear('OK 1\nOK 2\n')
    await running.event('deadLetters.filled')
    return { running, seen, refusing, given, data: join(running.folder, 'sluice-data') }
  }

  const dropOld = (data: string) => dropDeadLetters(join(data, 'dead-letters.db'), [1])
  const keptIn = (data: string) =>
    readDeadLetters(join(data, 'dead-letters.db')).flatMap(({ id, value }) => (id === 1 ? [] : [value]))

  it('keeps what was refused as a dead letter and does not deliver it too, though a reload comes meanwhile', async () => {
    const { running, seen, refusing, given, data } = await fill()
    await using _ = running
    refusing.now = false
    await running.server.reload(given({ timeout: '9s' }))
    await turns(200)
    dropOld(data)
    await eventually(() => running.server.buffers[0]!.messages === 0)
    expect([keptIn(data).sort(), seen]).toEqual([
      ['"1"', '"2"'],
      ['1', '2'],
    ])
  })

  it('runs an onError once, though its dead letter has no room until after a reload', async () => {
    const { running, seen, given, data } = await fill([{ log: 'alert ${msg}' }, { broken: {} }])
    await using _ = running
    await running.server.reload(given({ timeout: '9s' }))
    await turns(200)
    dropOld(data)
    await eventually(() => running.server.buffers[0]!.messages === 0)
    expect(seen).toEqual(['1', '2'])
    expect(running.all('part.logged').map(({ text }) => text)).toEqual(['alert 1', 'alert 2'])
    expect(keptIn(data).sort()).toEqual(['"1"', '"2"'])
  })

  it('stops at once, keeps the messages where they are, and delivers each of them once after that', async () => {
    const { running, refusing, given, data, seen } = await fill()
    const stopped = running.server.stop({ deadline: 60_000 })
    expect(await within(20_000, stopped)).toBeUndefined()
    expect([keptIn(data), running.all('deadLetter.lost')]).toEqual([[], []])
    refusing.now = false
    seen.length = 0
    const registry = registryWith('held', (batch) => void seen.push(...textsOf(batch)))
    await using again = await start(given({}), { baseDir: running.folder, registry })
    await eventually(() => again.server.buffers[0]!.messages === 0)
    expect([seen, keptIn(data)]).toEqual([['1', '2'], []])
    await running[Symbol.asyncDispose]()
  })
})

describe('an onError behind a buffer', () => {
  const failing = (onError: unknown, behind: unknown[] = []) =>
    ({
      listen: { lines: { port: 0, dataflow: [{ held: { buffer: 'disk' }, id: 'store', onError }, ...behind] } },
    }) as unknown as Config

  it('keeps a message under the step that refused it, also when an answer there reaches nobody', async () => {
    let refuses = true
    const seen: string[] = []
    const registry = registryWith('held', (batch) => {
      if (refuses) throw refused
      seen.push(...textsOf(batch))
    })
    const behind: unknown[] = [{ file: { path: 'behind.txt' } }, { reply: 'OK' }]
    await using running = await start(failing([{ reply: 'BAD' }, { deadLetter: {} }], behind), { registry })
    await using peer = await Peer.connect(running.port())
    await peer.send('precious\n').hear('OK\n')
    const { id, error } = await running.event('deadLetter.stored')
    expect(error).toMatchObject({ code: 'sink_failed' })
    refuses = false
    expect(await running.server.retryDeadLetters([id])).toMatchObject({ done: [id], kept: [] })
    await eventually(() => seen.includes('precious'))
    // The step behind the buffer has had it already.
    expect(readFileSync(join(running.folder, 'behind.txt'), 'utf8')).toBe('precious\n')
  })

  it('ends before a reload closes the steps in it', async () => {
    const opened = Promise.withResolvers<void>()
    const told: string[] = []
    const registry = addStep(
      registryWith('held', () => {
        throw refused
      }),
      'slow',
      {
        async run(message) {
          told.push('begun')
          await opened.promise
          told.push('ended')
          return message
        },
        close: () => void told.push('closed'),
      },
    )
    const running = await start(failing([{ slow: {} }]), { registry })
    await using peer = await Peer.connect(running.port())
    peer.send('1\n')
    await eventually(() => told.length === 1)
    await running.server.reload(failing([{ slow: {} }, { log: 'new' }]))
    await turns(50)
    opened.resolve()
    await eventually(() => told.length === 3)
    expect(told).toEqual(['begun', 'ended', 'closed'])
    await running[Symbol.asyncDispose]()
  })

  it('is that of the endpoint that the message came to', async () => {
    const registry = registryWith('held', () => {
      throw refused
    })
    const given = {
      dataflows: { store: [{ held: { buffer: 'disk' }, id: 'store' }] },
      listen: {
        a: { port: 0, dataflow: 'store', onError: [{ deadLetter: {} }] },
        b: { port: 0, dataflow: 'store', onError: [{ log: 'gone' }] },
      },
    } as unknown as Config
    await using running = await start(given, { registry })
    await using peer = await Peer.connect(running.port('a'))
    peer.send('1\n')
    const { message } = await running.event('deadLetter.stored')
    expect(message.endpoint).toBe('a')
    expect(running.server.endpoints.map(({ counters }) => counters.failed.get('sink_failed'))).toEqual([1, undefined])
  })
})

describe('a memory buffer', () => {
  it('that one reload takes away and the next brings back gives its messages to the new destination', async () => {
    const seen: string[] = []
    let hangs = true
    const registry = registryWith('held', (batch) => {
      if (hangs) throw down
      seen.push(...textsOf(batch))
    })
    await using running = await start(config('memory', { retry: { for: '1h' } }), { registry })
    await using peer = await Peer.connect(running.port())
    await peer.send('1\n').hear('OK 1\n')
    await running.server.reload({ listen: { lines: { port: 0, dataflow: [{ reply: 'none' }] } } })
    hangs = false
    await running.server.reload(config('memory', { retry: { for: '2h' } }))
    await eventually(() => seen.includes('1'))
    expect(running.all('deadLetter.stored')).toEqual([])
  })

  it('tells before the end what it could not deliver because its destination hangs', async () => {
    const running = await start(config('memory'), { registry: registryWith('held', () => new Promise(() => {})) })
    await using peer = await Peer.connect(running.port())
    await peer.send('1\n').hear('OK 1\n')
    await running.server.stop({ deadline: 100 })
    await eventually(() => running.all('deadLetter.stored').length + running.all('deadLetter.lost').length === 1)
    await running[Symbol.asyncDispose]()
  })

  it('gives what it could not deliver yet to the destination that a reload brings', async () => {
    const seen: string[] = []
    let tries = 0
    const registry = registryWith('held', (batch) => {
      if (++tries === 1) throw down
      seen.push(...textsOf(batch))
    })
    const retry = { for: '1h' }
    await using running = await start(config('memory', { retry }), { registry })
    await using peer = await Peer.connect(running.port())
    await peer.send('1\n').hear('OK 1\n')
    await eventually(() => tries === 1)
    await running.server.reload(config('memory', { retry: { for: '2h' } }))
    await eventually(() => seen.includes('1'))
    expect(running.all('deadLetter.stored')).toEqual([])
  })

  it('delivers in order across a reload', async () => {
    const opened = Promise.withResolvers<void>()
    const seen: string[] = []
    const registry = registryWith('held', async (batch) => {
      if (textsOf(batch).includes('1')) await opened.promise
      seen.push(...textsOf(batch))
    })
    await using running = await start(config('memory'), { registry })
    await using peer = await Peer.connect(running.port())
    await peer.send('1\n').hear('OK 1\n')
    await running.server.reload(config({ memory: { maxSize: '1MiB' } }))
    await peer.send('2\n').hear('OK 2\n')
    await turns(100)
    opened.resolve()
    await eventually(() => seen.length === 2)
    expect(seen).toEqual(['1', '2'])
  })

  it('shows what waits in it also after a reload, and its counts only grow', async () => {
    const gate = new Gate()
    await using running = await start(config('memory'), { registry: registryWith('held', gate.write) })
    await using peer = await Peer.connect(running.port())
    await peer.send('1\n').hear('OK 1\n')
    await running.server.reload(config({ memory: { maxSize: '1MiB' } }))
    const sum = (name: 'messages' | 'stored') => running.server.buffers.reduce((all, one) => all + one[name], 0)
    expect([sum('messages'), sum('stored')]).toEqual([1, 1])
    gate.open()
  })

  it('does not lose in silence what it could not deliver before the deadline of a stop', async () => {
    const running = await start(config('memory'), {
      registry: registryWith('held', () => {
        throw down
      }),
    })
    await using peer = await Peer.connect(running.port())
    await peer.send('precious\n').hear('OK precious\n')
    await running.server.stop({ deadline: 300 })
    const told = [
      ...running.all('deadLetter.stored'),
      ...running.all('deadLetter.lost'),
      ...running.all('message.failed'),
    ]
    expect(told.length).toBeGreaterThan(0)
  })

  it('delivers a message with the state that it had when it was queued', async () => {
    const opened = Promise.withResolvers<void>()
    const seen: string[] = []
    const registry = registryWith('held', async ({ messages }) => {
      await opened.promise
      seen.push(...messages.map(({ msg, state }) => `${msg} ${state['n']}`))
    })
    const given = {
      listen: {
        lines: {
          port: 0,
          dataflow: [
            { set: { 'state.n': 'msg' } },
            { held: { buffer: 'memory' }, id: 'store' },
            { reply: 'OK ${msg}' },
          ],
        },
      },
    } as unknown as Config
    await using running = await start(given, { registry })
    await using peer = await Peer.connect(running.port())
    await peer.send('1\n2\n').hear('OK 1\nOK 2\n')
    opened.resolve()
    await eventually(() => seen.length === 2)
    expect(seen).toEqual(['1 1', '2 2'])
  })
})

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
