import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { type Config, createServer, type Sink, SluiceError } from '../../src/index.ts'
import { addStep, Gate, registryWith } from '../support/parts.ts'
import { Peer } from '../support/peer.ts'
import { type Running, start, temporaryFolder } from '../support/server.ts'

const once24 = { dedupe: {}, id: 'once' }

/** Stores a row, and answers with what only the first of several equal messages can be answered with. */
const scans = (more: object = {}): Config =>
  ({
    listen: {
      scans: {
        port: 0,
        format: 'json',
        key: 'msg.id',
        dataflow: [once24, { sqlite: { file: 'scans.db', table: 'scans' } }, { reply: 'OK ${msg.id} ${msg.try}' }],
        ...more,
      },
    },
  }) as Config

function rowsOf(folder: string): unknown[] {
  using database = new DatabaseSync(join(folder, 'scans.db'), { readOnly: true })
  return database
    .prepare('SELECT id, try FROM scans ORDER BY rowid')
    .all()
    .map((row) => `${row['id']} ${row['try']}`)
}

const line = (id: number | string, attempt: number) => `${JSON.stringify({ id, try: attempt })}\n`

describe('a message that is sent again', () => {
  it('gets the same answer on the same and on a new connection, also after a restart, and is stored once', async () => {
    using folder = temporaryFolder()
    const serve = async (use: (port: number) => Promise<void>) => {
      await using server = createServer(scans(), { baseDir: folder.path })
      await server.start()
      await use(server.address('scans')!.port)
    }
    await serve(async (port) => {
      await using peer = await Peer.connect(port)
      await peer.send(line(7, 1)).hear('OK 7 1\n')
      await peer.send(line(7, 2) + line(8, 1) + line(7, 3)).hear('OK 7 1\nOK 7 1\nOK 8 1\nOK 7 1\n')
      await using other = await Peer.connect(port)
      await other.send(line(8, 2)).hear('OK 8 1\n')
      expect(rowsOf(folder.path)).toEqual(['7 1', '8 1'])
    })
    await serve(async (port) => {
      await using peer = await Peer.connect(port)
      await peer.send(line(9, 1) + line(7, 4)).hear('OK 9 1\nOK 7 1\n')
      expect(rowsOf(folder.path)).toEqual(['7 1', '8 1', '9 1'])
    })
  })

  it('is tried again when the first has failed', async () => {
    const dataflow = [
      once24,
      { map: '{"id": msg.id, "try": 10 / (msg.try - 1)}' },
      { sqlite: { file: 'scans.db', table: 'scans' } },
      { reply: 'OK ${msg.try}' },
    ]
    await using running = await start(scans({ dataflow, onError: [{ reply: 'ERR' }, { deadLetter: {} }] }))
    await using peer = await Peer.connect(running.port())
    await peer.send(line(7, 1)).hear('ERR\n')
    await peer.send(line(7, 3)).hear('ERR\nOK 5\n')
    await peer.send(line(7, 11)).hear('ERR\nOK 5\nOK 5\n')
    expect(rowsOf(running.folder)).toEqual(['7 5'])
  })

  it('waits for the first where both are under way on two connections, and is not answered before it', async () => {
    const gate = new Gate()
    const dataflow = [once24, { held: {}, id: 'held' }, { reply: 'OK ${msg.try}' }]
    await using running = await start(scans({ dataflow }), { registry: registryWith('held', gate.write) })
    await using one = await Peer.connect(running.port())
    one.send(line(7, 1))
    await gate.entered()
    await using two = await Peer.connect(running.port())
    two.send(line(8, 1) + line(7, 2))
    await gate.entered(2)
    expect([one.text, two.text]).toEqual(['', ''])
    gate.open()
    await one.hear('OK 1\n')
    await two.hear('OK 1\nOK 1\n')
    expect(gate.values).toEqual([
      { id: 7, try: 1 },
      { id: 8, try: 1 },
    ])
  })

  it('is known after a reload that changed what is behind', async () => {
    await using running = await start(scans())
    await using peer = await Peer.connect(running.port())
    await peer.send(line(7, 1)).hear('OK 7 1\n')
    await running.server.reload(
      scans({ dataflow: [once24, { sqlite: { file: 'scans.db', table: 'scans' } }, { reply: 'NEW ${msg.try}' }] }),
    )
    await peer.send(line(7, 2) + line(8, 1)).hear('OK 7 1\nOK 7 1\nNEW 1\n')
    expect(rowsOf(running.folder)).toEqual(['7 1', '8 1'])
  })

  it('is another message at another endpoint, though both use one dataflow', async () => {
    const steps = [once24, { sqlite: { file: 'scans.db', table: 'scans' } }, { reply: 'OK ${msg.try}' }]
    const endpoint = { port: 0, format: 'json', key: 'msg.id', dataflow: 'store' }
    const config = { listen: { a: endpoint, b: endpoint }, dataflows: { store: steps } } as unknown as Config
    await using running = await start(config)
    await using a = await Peer.connect(running.port('a'))
    await using b = await Peer.connect(running.port('b'))
    await a.send(line(7, 1)).hear('OK 1\n')
    await b.send(line(7, 2)).hear('OK 2\n')
    await a.send(line(7, 3)).hear('OK 1\nOK 1\n')
    expect(rowsOf(running.folder)).toEqual(['7 1', '7 2'])
  })

  it('counts as dropped and goes through else, which cannot store it by accident', async () => {
    const again = { ...once24, else: [{ log: 'again: ${msg.try}' }] }
    await using running = await start(scans({ dataflow: [again, { reply: 'OK ${msg.try}' }] }))
    await using peer = await Peer.connect(running.port())
    await peer.send(line(7, 1)).hear('OK 1\n')
    await peer.send(line(7, 2)).hear('OK 1\nOK 1\n')
    expect(running.all('part.logged').map(({ text }) => text)).toEqual(['again: 2'])
    expect(running.server.endpoints[0]!.counters.dropped).toBe(1)
  })

  it('is answered in the framing of whoever asks, also with a value and one message at a time', async () => {
    const dataflow = [{ set: { 'state.seen': 'msg.try' } }, once24, { reply: { value: '{"first": state.seen}' } }]
    await using running = await start(scans({ dataflow, framing: { in: 'line', out: { delimiter: '|' } } }))
    await using peer = await Peer.connect(running.port())
    await peer.send(line(7, 1) + line(7, 2) + line(8, 3)).hear('{"first":1}|{"first":1}|{"first":3}|')
  })
})

describe('the key of an endpoint', () => {
  const shown = (more: object) => scans({ dataflow: [{ reply: '${key}' }], ...more })

  it('is what the expression gives, whatever its type', async () => {
    await using running = await start(shown({ key: 'msg.id' }))
    await using peer = await Peer.connect(running.port())
    await peer.send('{"id": 7}\n{"id": "a"}\n{"id": {"b": 1}}\n{"id": true}\n').hear('7\na\n{"b":1}\ntrue\n')
  })

  it('is the default where it gives nothing, and that is counted; events have none', async () => {
    await using running = await start(shown({ key: 'has(msg.id) ? msg.id : null', runOnConnect: true }))
    await using peer = await Peer.connect(running.port())
    await peer.hear('-scans-1-0\n')
    await peer.send('{}\n{"id": ""}\n').hear('-scans-1-2\n')
    expect(peer.text).toMatch(/^(.+)-scans-1-0\n\1-scans-1-1\n\1-scans-1-2\n$/)
    expect(running.server.endpoints[0]!.counters.missingKeys).toBe(2)
  })

  it('that cannot be evaluated fails the message, with its value, in the onError of the endpoint', async () => {
    await using running = await start(shown({ key: 'msg.id * 2', onError: [{ reply: '${error.step} ${msg.id}' }] }))
    await using peer = await Peer.connect(running.port())
    await peer.send('{"id": "x"}\n{"id": 1}\n').hear('listen.scans.key x\n2\n')
  })
})

describe('a retry of a dead letter', () => {
  /** A sink that refuses until it is told otherwise, and what it took. */
  function createMoody() {
    const moody = { refuses: true, taken: [] as string[] }
    const write: Sink['write'] = ({ messages }) => {
      if (moody.refuses) throw new SluiceError('sink_failed', 'not today')
      moody.taken.push(...messages.map(({ msg, key }) => `${key} ${(msg as { try?: number }).try}`))
    }
    return { moody, registry: registryWith('moody', write) }
  }

  /** Sends lines of which so many become dead letters. */
  async function fail(running: Running, lines: string, count = 1): Promise<void> {
    await using peer = await Peer.connect(running.port())
    peer.send(lines)
    await running.event('deadLetter.stored', ({ id }) => id >= count)
  }

  const simple = [once24, { moody: {}, id: 'store' }, { reply: 'OK ${msg.try}' }]

  it('behind it is recorded with its answers, so what the device sends again is answered and not delivered', async () => {
    const { moody, registry } = createMoody()
    await using running = await start(scans({ dataflow: simple }), { registry })
    await fail(running, line(7, 1))
    moody.refuses = false
    expect(await running.server.retryDeadLetters([1])).toEqual({ done: [1], kept: [], repliesSkipped: 1 })
    await using peer = await Peer.connect(running.port())
    await peer.send(line(7, 2)).hear('OK 1\n')
    expect(moody.taken).toEqual(['7 1'])
  })

  it('is recognised as a repeat where the device has sent it again meanwhile, and goes through else', async () => {
    const { moody, registry } = createMoody()
    const [first, ...behind] = simple
    const dataflow = [{ ...first, else: [{ log: 'again: ${key}' }] }, { map: '{"try": msg.try}' }, ...behind]
    await using running = await start(scans({ dataflow }), { registry })
    await fail(running, line(7, 1))
    moody.refuses = false
    await using peer = await Peer.connect(running.port())
    await peer.send(line(7, 2)).hear('OK 2\n')
    expect(await running.server.retryDeadLetters([1])).toMatchObject({ done: [1], kept: [] })
    expect(moody.taken).toEqual(['7 2'])
    expect(running.all('part.logged').map(({ text }) => text)).toEqual(['again: 7'])
    expect(running.server.deadLetters).toMatchObject({ letters: 0 })
  })

  it('that fails again is not recorded, from wherever it entered', async () => {
    const { moody, registry } = createMoody()
    const dataflow = [once24, { route: [{ if: 'true', dataflow: simple.slice(1) }] }, { reply: 'END' }]
    await using running = await start(scans({ dataflow }), { registry })
    await fail(running, line(7, 1))
    expect(await running.server.retryDeadLetters([1])).toMatchObject({ kept: [{ id: 1, reason: 'not today' }] })
    moody.refuses = false
    await using peer = await Peer.connect(running.port())
    await peer.send(line(7, 2)).hear('OK 2\nEND\n')
    expect(await running.server.retryDeadLetters([1])).toMatchObject({ done: [1] })
    expect(moody.taken).toEqual(['7 2'])
  })

  it('of one of several messages made of one is known by itself, and with the whole', async () => {
    const { moody, registry } = createMoody()
    let refused = 0
    addStep(registry, 'split', { run: (message) => [message.with({ try: 1 }), message.with({ try: 2 })] })
    addStep(registry, 'picky', {
      run(message) {
        if (moody.refuses && ++refused) throw new SluiceError('step_failed', 'no')
        return message
      },
    })
    const dataflow = [once24, { split: {} }, { picky: {}, id: 'picky' }, { moody: {} }, { reply: 'OK ${msg.try}' }]
    await using running = await start(scans({ dataflow }), { registry })
    await fail(running, line(7, 0), 2)
    moody.refuses = false
    expect(await running.server.retryDeadLetters([1])).toMatchObject({ done: [1] })
    expect(moody.taken).toEqual(['7.0 1'])
    await using peer = await Peer.connect(running.port())
    await peer.send(line(7, 0)).hear('OK 1\nOK 2\n')
    expect(await running.server.retryDeadLetters([2])).toMatchObject({ done: [2] })
    expect(moody.taken).toEqual(['7.0 1', '7.0 1', '7.1 2'])
    expect(refused).toBe(2)
  })

  it('that was kept on purpose goes on although its key is known, also when it then fails', async () => {
    const { moody, registry } = createMoody()
    const kept = [
      once24,
      { route: [{ if: 'msg.id == 7', dataflow: [{ reply: 'ODD' }, { deadLetter: 'odd', id: 'aside' }] }] },
    ]
    await using running = await start(scans({ dataflow: kept }), { registry })
    await using peer = await Peer.connect(running.port())
    await peer.send(line(7, 1)).hear('ODD\n')
    await peer.send(line(7, 2)).hear('ODD\nODD\n')
    expect(running.all('deadLetter.stored')).toHaveLength(1)
    await running.server.reload(
      scans({ dataflow: [once24, { set: { 'state.x': 'msg.try' }, id: 'aside' }, { moody: {}, id: 'store' }] }),
    )
    expect(await running.server.retryDeadLetters([1])).toMatchObject({ kept: [{ id: 1, reason: 'not today' }] })
    moody.refuses = false
    expect(await running.server.retryDeadLetters([1])).toMatchObject({ done: [1], kept: [] })
    expect(moody.taken).toEqual(['7 1'])
  })

  it('that a deadLetter step keeps again is not recorded, and can be retried once more', async () => {
    const { moody, registry } = createMoody()
    const aside = { route: [{ if: 'msg.id == 7', dataflow: [{ deadLetter: {} }] }] }
    await using running = await start(scans({ dataflow: [once24, { moody: {}, id: 'store' }, aside] }), { registry })
    await fail(running, line(7, 1))
    moody.refuses = false
    expect(await running.server.retryDeadLetters([1])).toMatchObject({
      kept: [{ id: 1, reason: 'kept again as dead letter 2' }],
    })
    await running.server.reload(scans({ dataflow: simple }))
    expect(await running.server.retryDeadLetters([2])).toMatchObject({ done: [2], kept: [] })
    expect(moody.taken).toEqual(['7 1', '7 1'])
  })

  it('that a deadLetter step keeps again finds room, though the dead letters are full', async () => {
    const { moody, registry } = createMoody()
    const dataflow = [once24, { moody: {}, id: 'store' }, { deadLetter: 'later' }]
    const config = { ...scans({ dataflow }), data: { deadLetters: { maxSize: '1KiB' } } } as Config
    await using running = await start(config, { registry })
    await fail(running, `${JSON.stringify({ id: 7, more: 'x'.repeat(2000) })}\n`)
    moody.refuses = false
    expect(await running.server.retryDeadLetters([1])).toMatchObject({
      kept: [{ id: 1, reason: 'kept again as dead letter 2' }],
    })
    expect(running.all('deadLetters.filled')).toEqual([])
    expect(running.server.deadLetters).toMatchObject({ letters: 1 })
    // The store is full, and says so to the next that is no retry.
    await using peer = await Peer.connect(running.port())
    peer.send(line(8, 1))
    await running.event('deadLetters.filled')
    expect(await running.server.retryDeadLetters([2])).toMatchObject({ done: [], kept: [{ id: 2 }] })
  })

  it.each([
    ['behind a buffer', [once24, { moody: { buffer: 'memory' }, id: 'store' }]],
    ['in a branch that nobody waits for', [once24, { fork: { branches: { a: [{ moody: {} }] }, finishedWhen: [] } }]],
  ])('that failed %s is delivered although its key was recorded before it failed', async (_, dataflow) => {
    const { moody, registry } = createMoody()
    await using running = await start(scans({ dataflow: [...dataflow, { reply: 'OK' }] }), { registry })
    await using peer = await Peer.connect(running.port())
    await peer.send(line(7, 1)).hear('OK\n')
    await running.event('deadLetter.stored')
    moody.refuses = false
    expect(await running.server.retryDeadLetters([1])).toMatchObject({ done: [1], kept: [] })
    await expect.poll(() => moody.taken).toEqual(['7 1'])
  })

  it('whose key cannot be looked up stays where it had failed', async () => {
    const { moody, registry } = createMoody()
    await using running = await start(scans({ dataflow: simple }), { registry })
    await fail(running, line(7, 1))
    moody.refuses = false
    const file = new DatabaseSync(join(running.folder, 'sluice-data/dedupe-once.db'))
    // Something under the key, so that it is looked up, in a table that is then gone.
    await using peer = await Peer.connect(running.port())
    await peer.send(line(7, 2)).hear('OK 2\n')
    file.exec('ALTER TABLE keys RENAME TO gone')
    const { kept } = await running.server.retryDeadLetters([1])
    expect(kept).toMatchObject([{ id: 1, tried: true }])
    file.exec('ALTER TABLE gone RENAME TO keys')
    file.close()
    expect(await running.server.retryDeadLetters([1])).toMatchObject({ done: [1] })
    expect(moody.taken).toEqual(['7 2'])
    expect(running.all('message.failed').map(({ step }) => step)).toEqual(['store', 'store'])
  })
})

it('fails a repeat whose answer cannot be written in the framing that is there now', async () => {
  using folder = temporaryFolder()
  const serve = async (framing: object | string, use: (port: number) => Promise<void>) => {
    const dataflow = [once24, { reply: 'OK\n${msg.try}' }]
    const config = scans({ framing: { in: 'line', out: framing }, dataflow, onError: [{ reply: 'ERR ${error.code}' }] })
    await using server = createServer(config, { baseDir: folder.path })
    await server.start()
    await use(server.address('scans')!.port)
  }
  await serve({ 'length-prefix': 1 }, async (port) => {
    await using peer = await Peer.connect(port)
    await peer.send(line(7, 1)).hear('\x04OK\n1')
  })
  await serve('line', async (port) => {
    await using peer = await Peer.connect(port)
    await peer.send(line(7, 2)).hear('ERR frame_not_encodable\n')
  })
  await serve({ 'length-prefix': 1 }, async (port) => {
    await using peer = await Peer.connect(port)
    await peer.send(line(7, 3)).hear('\x04OK\n1')
  })
})

it('delivers again what was delivered and not recorded, and no message is answered twice differently', async () => {
  // The destination confirms, then the server is stopped at once: the run is never finished.
  const destination = createHttpServer((_request, response) => void response)
  await once(destination.listen(0, '127.0.0.1'), 'listening')
  const { port } = destination.address() as AddressInfo
  using folder = temporaryFolder()
  const options = { baseDir: folder.path }
  const store = { sqlite: { file: 'scans.db', table: 'scans' } }
  const hanging = { http: { url: `http://127.0.0.1:${port}/` } }
  const first = createServer(scans({ dataflow: [once24, store, hanging, { reply: 'OK ${msg.try}' }] }), options)
  await first.start()
  await using peer = await Peer.connect(first.address('scans')!.port)
  const asked = once(destination, 'request')
  peer.send(line(7, 1))
  await asked
  await first.stop({ deadline: 0 })
  destination.closeAllConnections()
  destination.close()
  expect(peer.text).toBe('')

  await using second = createServer(scans({ dataflow: [once24, store, { reply: 'OK ${msg.try}' }] }), options)
  await second.start()
  await using again = await Peer.connect(second.address('scans')!.port)
  await again.send(line(7, 2)).hear('OK 2\n')
  await again.send(line(7, 3)).hear('OK 2\nOK 2\n')
  expect(rowsOf(folder.path)).toEqual(['7 1', '7 2'])
})
