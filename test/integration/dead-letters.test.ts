import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { readDeadLetters } from '../../src/delivery/dead-letter-files.ts'
import { type Batch, type Config, type Registry, type Sink, SluiceError } from '../../src/index.ts'
import { addStep, Gate, registryWith } from '../support/parts.ts'
import { Peer } from '../support/peer.ts'
import { type Running, start } from '../support/server.ts'

/** A sink that refuses everything until it is told otherwise, and remembers what it took. */
class Moody {
  refuses = true
  readonly taken: { readonly msg: unknown; readonly key: string; readonly error: unknown }[] = []

  readonly write: Sink['write'] = ({ messages }: Batch) => {
    if (this.refuses) return messages.map(() => new SluiceError('sink_failed', 'not today'))
    for (const { msg, key, error } of messages) this.taken.push({ msg, key, error: error?.code })
    return undefined
  }

  get values(): unknown[] {
    return this.taken.map(({ msg }) => msg)
  }
}

const parts = (moody: Moody): Registry => registryWith('moody', moody.write)

function lettersOf({ folder }: Running, data = 'sluice-data') {
  return readDeadLetters(join(folder, data, 'dead-letters.db')).reverse()
}

const listen = (dataflow: readonly unknown[], more: object = {}): Config =>
  ({ listen: { lines: { host: '127.0.0.1', port: 0, dataflow, ...more } } }) as Config

/** Sends lines, and waits until so many dead letters are there. */
async function fail(running: Running, lines: readonly string[], count = lines.length): Promise<void> {
  await using peer = await Peer.connect(running.port())
  peer.send(lines.map((line) => `${line}\n`).join(''))
  await running.event('deadLetter.stored', ({ id }) => id >= count)
}

describe('a retry', () => {
  it('delivers in order and with the same key, removes what it delivered, and skips the answers', async () => {
    const moody = new Moody()
    await using running = await start(listen([{ map: '"<" + msg + ">"' }, { moody: {} }, { reply: 'OK' }]), {
      registry: parts(moody),
    })
    await fail(running, ['a', 'b', 'c'])
    const before = lettersOf(running)
    expect(before.map(({ attempts }) => attempts)).toEqual([1, 1, 1])
    expect(await running.server.retryDeadLetters([1, 2, 3])).toMatchObject({
      done: [],
      kept: [1, 2, 3].map((id) => ({ id, reason: 'not today', tried: true })),
    })
    // What failed again is where it was, with its attempts counted on.
    const again = lettersOf(running)
    expect(again.map(({ attempts }) => attempts)).toEqual([2, 2, 2])
    expect(again.map(({ key, id, time }) => ({ key, id, time }))).toEqual(
      before.map(({ key, id, time }) => ({ key, id, time })),
    )
    moody.refuses = false
    expect(await running.server.retryDeadLetters([1, 2, 3])).toEqual({ done: [1, 2, 3], kept: [], repliesSkipped: 3 })
    expect(moody.values).toEqual(['<a>', '<b>', '<c>'])
    expect(moody.taken.map(({ key }) => key)).toEqual(before.map(({ key }) => key))
    expect(lettersOf(running)).toEqual([])
    expect(running.server.endpoints[0]!.counters.repliesLost).toBe(3)
    expect(running.server.deadLetters).toMatchObject({ letters: 0, bytes: 0 })
    expect(await running.server.retryDeadLetters([1])).toMatchObject({
      kept: [{ id: 1, reason: 'there is no such dead letter', tried: false }],
    })
  })

  it('outlives the server, and the message enters the configuration that is then in force', async () => {
    const moody = new Moody()
    const first = await start(listen([{ moody: {}, id: 'store' }]), { registry: parts(moody) })
    await fail(first, ['a'])
    await first.server.stop()
    const key = lettersOf(first)[0]!.key
    moody.refuses = false
    const options = { registry: parts(moody), baseDir: first.folder }
    await using second = await start(listen([{ log: 'x' }, { moody: {}, id: 'store' }]), options)
    expect(second.server.deadLetters).toMatchObject({ letters: 1 })
    expect(await second.server.retryDeadLetters([1])).toMatchObject({ done: [1] })
    expect(moody.taken).toMatchObject([{ msg: 'a', key }])
    expect(second.all('part.logged')).toEqual([])
    await first[Symbol.asyncDispose]()
  })

  it('changes nothing when the step or the endpoint is gone', async () => {
    const moody = new Moody()
    await using running = await start(listen([{ moody: {}, id: 'store' }]), { registry: parts(moody) })
    await fail(running, ['a'])
    const before = lettersOf(running)
    await running.server.reload(listen([{ moody: {}, id: 'other' }]))
    expect((await running.server.retryDeadLetters([1])).kept).toEqual([
      { id: 1, reason: 'there is no step store in the configuration any more', tried: false },
    ])
    await running.server.reload({ listen: { else: { port: 0, dataflow: [{ log: 'x' }] } } })
    expect((await running.server.retryDeadLetters([1])).kept).toEqual([
      { id: 1, reason: 'there is no endpoint lines in the configuration any more', tried: false, elsewhere: true },
    ])
    expect(lettersOf(running)).toEqual(before)
  })

  it('runs no onError, and a message that is kept again is in one place', async () => {
    const moody = new Moody()
    const onError = [{ log: 'handled' }, { deadLetter: {} }]
    await using running = await start(listen([{ moody: {}, onError }]), { registry: parts(moody) })
    await fail(running, ['a'])
    await running.server.retryDeadLetters([1])
    expect(running.all('part.logged')).toHaveLength(1)
    expect(lettersOf(running)).toMatchObject([{ id: 1, attempts: 2 }])
  })

  it('parses a rejected frame again, and leaves alone what is no whole frame', async () => {
    await using running = await start(listen([{ reply: '${msg.a}' }], { format: 'json' }))
    await fail(running, ['{"a":1'])
    {
      await using peer = await Peer.connect(running.port())
      peer.send('{"a"').finish()
      await running.event('deadLetter.stored', ({ id }) => id === 2)
    }
    const { kept } = await running.server.retryDeadLetters([1, 2])
    expect(kept).toMatchObject([
      { id: 1, tried: true },
      { id: 2, tried: false, reason: 'it is no whole frame (frame_truncated)' },
    ])
    expect(lettersOf(running)).toMatchObject([{ attempts: 2, step: '' }, { attempts: 1 }])
    await running.server.reload(listen([{ log: '${msg}' }]))
    expect(await running.server.retryDeadLetters([1])).toMatchObject({ done: [1] })
    expect(running.all('part.logged')).toMatchObject([{ text: '{"a":1' }])
  })

  it('fails at a later step when the first one works, and then goes on from there', async () => {
    const moody = new Moody()
    const second = new Moody()
    const registry = addStep(parts(moody), 'picky', {
      run: (message) => {
        if (second.refuses) throw new Error('picky')
        return message
      },
    })
    await using running = await start(listen([{ moody: {} }, { picky: {} }]), { registry })
    await fail(running, ['a'])
    moody.refuses = false
    await running.server.retryDeadLetters([1])
    expect(lettersOf(running)).toMatchObject([{ id: 1, step: 'listen.lines.dataflow[1]', attempts: 2 }])
    second.refuses = false
    expect(await running.server.retryDeadLetters([1])).toMatchObject({ done: [1] })
    expect(moody.values).toEqual(['a'])
  })
})

describe('a retry that is under way', () => {
  /** A server with two dead letters, whose sink then holds what it is given. */
  async function held() {
    const gate = new Gate()
    let write: Sink['write'] = ({ messages }) => messages.map(() => new SluiceError('sink_failed', 'not today'))
    const registry = registryWith('held', (batch) => write(batch))
    const running = await start(listen([{ held: {}, id: 'store' }]), { registry })
    await fail(running, ['a', 'b'])
    write = gate.write
    return { running, gate }
  }

  it('does not meet another one: nothing is delivered twice', async () => {
    const { running, gate } = await held()
    await using _ = running
    const retries = [running.server.retryDeadLetters([1, 2]), running.server.retryDeadLetters([2, 1])]
    await gate.entered()
    gate.open()
    expect(await Promise.all(retries)).toMatchObject([
      { done: [1, 2] },
      { done: [], kept: [{ tried: false }, { id: 1 }] },
    ])
    expect(gate.values).toEqual(['a', 'b'])
  })

  it('ends in the parts in which it began, and the next message takes those of a reload', async () => {
    const { running, gate } = await held()
    await using _ = running
    const retry = running.server.retryDeadLetters([1, 2])
    await gate.entered()
    await running.server.reload(listen([{ log: 'new ${msg}', id: 'store' }]))
    gate.open()
    expect(await retry).toMatchObject({ done: [1, 2] })
    expect(gate.values).toEqual(['a'])
    expect(running.all('part.logged')).toMatchObject([{ text: 'new b' }])
  })

  it('is waited for by a stop, which begins no other message', async () => {
    const { running, gate } = await held()
    await using _ = running
    const retry = running.server.retryDeadLetters([1, 2])
    await gate.entered()
    const stopped = running.server.stop()
    gate.open()
    expect(await retry).toMatchObject({ done: [1], kept: [{ id: 2, reason: 'the server is stopping', tried: false }] })
    await stopped
    expect(lettersOf(running)).toMatchObject([{ id: 2 }])
    await expect(running.server.retryDeadLetters([2])).rejects.toThrow('this one is stopped')
  })
})

describe('a retry inside', () => {
  const cases: [string, unknown[], unknown[], string[]][] = [
    [
      'route goes on behind it',
      [{ route: [{ if: 'msg == "a"', dataflow: [{ map: '"b"' }, { moody: {} }, { log: 'in' }] }] }, { log: 'behind' }],
      ['b'],
      ['in', 'behind'],
    ],
    [
      'dataflow goes on behind it',
      [{ dataflow: [{ map: '"b"' }, { moody: {} }], if: 'msg == "a"' }, { log: 'behind' }],
      ['b'],
      ['behind'],
    ],
    ['else ends there', [{ filter: 'false', else: [{ moody: {} }, { log: 'in' }] }, { log: 'behind' }], ['a'], ['in']],
    [
      'a branch of fork that is waited for begins with the fork',
      [{ fork: { branches: { one: [{ map: '"b"' }, { moody: {} }], two: [{ log: 'two' }] } } }, { log: 'behind' }],
      ['b'],
      ['two', 'two', 'behind'],
    ],
    [
      'a branch of fork that is not waited for ends there',
      [
        { fork: { branches: { one: [{ map: '"b"' }, { moody: {} }, { log: 'in' }] }, finishedWhen: [] } },
        { log: 'behind' },
      ],
      ['b'],
      ['behind', 'in'],
    ],
  ]
  it.each(cases)('%s', async (_, dataflow, delivered, logged) => {
    const moody = new Moody()
    await using running = await start(listen(dataflow), { registry: parts(moody) })
    {
      await using peer = await Peer.connect(running.port())
      peer.send('a\n')
      await expect.poll(() => running.server.deadLetters?.letters).toBe(1)
    }
    moody.refuses = false
    expect(await running.server.retryDeadLetters([1])).toMatchObject({ done: [1], kept: [] })
    expect(moody.values).toEqual(delivered)
    expect(running.all('part.logged').flatMap(({ text }) => (text.includes(' ') ? [] : [text]))).toEqual(logged)
    expect(lettersOf(running)).toEqual([])
  })

  it('a sink behind a buffer does not repeat the steps behind it', async () => {
    const moody = new Moody()
    await using running = await start(listen([{ moody: { buffer: 'memory' }, id: 'store' }, { log: 'behind' }]), {
      registry: parts(moody),
    })
    await fail(running, ['a'])
    moody.refuses = false
    expect(await running.server.retryDeadLetters([1])).toMatchObject({ done: [1] })
    await expect.poll(() => moody.values).toEqual(['a'])
    expect(running.all('part.logged')).toHaveLength(1)
  })
})

describe('the bound of the dead letters', () => {
  it('holds senders back when it is reached, loses nothing, and goes on when there is room', async () => {
    const moody = new Moody()
    const config = {
      ...listen([{ moody: {} }], { limits: { maxQueued: '1KiB' } }),
      data: { deadLetters: { maxSize: '8KiB' } },
    }
    await using running = await start(config as Config, { registry: parts(moody) })
    await using peer = await Peer.connect(running.port())
    const line = `${'x'.repeat(1000)}\n`
    let sent = 0
    const send = () => {
      sent++
      peer.send(line)
    }
    for (let i = 0; i < 10; i++) send()
    await running.event('deadLetters.filled')
    // Its run is not over before its failures are kept, so the lane fills and reading stops.
    while (running.server.endpoints[0]!.counters.readsPaused === 0) {
      send()
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(running.server.deadLetters!.bytes).toBeLessThan(8 * 1024 + 4 * 1024)
    expect(lettersOf(running).length).toBeLessThan(sent)
    // Another program makes room, as sluice dead drop does, again and again until all have been kept once.
    let removed = 0
    const file = new DatabaseSync(join(running.folder, 'sluice-data/dead-letters.db'), { timeout: 5000 })
    peer.finish()
    while (removed < sent) {
      removed += Number(file.prepare('DELETE FROM dead_letters').run().changes)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    file.close()
    expect(removed).toBe(sent)
    await running.event('deadLetters.emptied')
    expect(running.all('deadLetter.lost')).toEqual([])
  }, 60_000)

  it('removes what is too old', async () => {
    const moody = new Moody()
    const config = { ...listen([{ moody: {} }]), data: { deadLetters: { maxAge: '1d' } } }
    const first = await start(config as Config, { registry: parts(moody) })
    await fail(first, ['a', 'b'])
    await first.server.stop()
    const file = new DatabaseSync(join(first.folder, 'sluice-data/dead-letters.db'))
    file.exec(`UPDATE dead_letters SET time = '2020-01-01T00:00:00.000Z' WHERE id = 1`)
    file.close()
    await using second = await start(config as Config, { registry: parts(moody), baseDir: first.folder })
    expect(second.all('deadLetters.expired')).toEqual([{ count: 1, maxAge: 86_400_000 }])
    expect(readDeadLetters(join(first.folder, 'sluice-data/dead-letters.db')).map(({ id }) => id)).toEqual([2])
    expect(second.server.deadLetters).toMatchObject({ letters: 1, expired: 1 })
    await first[Symbol.asyncDispose]()
  })
})

describe('the file of an older version', () => {
  it('is upgraded; its letters can be seen and not retried', async () => {
    const moody = new Moody()
    const first = await start(listen([{ moody: {} }]), { registry: parts(moody) })
    await first.server.stop()
    const path = join(first.folder, 'sluice-data/dead-letters.db')
    mkdirSync(join(first.folder, 'sluice-data'), { recursive: true })
    const old = new DatabaseSync(path)
    old.exec(`CREATE TABLE dead_letters (
      id INTEGER PRIMARY KEY AUTOINCREMENT, time TEXT NOT NULL, received TEXT NOT NULL, endpoint TEXT NOT NULL,
      client TEXT NOT NULL, peer TEXT NOT NULL, step TEXT NOT NULL, code TEXT NOT NULL, reason TEXT NOT NULL,
      attempts INTEGER NOT NULL, event TEXT NOT NULL, raw BLOB NOT NULL, value TEXT) STRICT;
      PRAGMA user_version = 1;
      INSERT INTO dead_letters VALUES (7, '2999-01-01T00:00:00.000Z', '2999-01-01T00:00:00.000Z', 'lines', 'lines-1',
        '127.0.0.1:1', 'listen.lines.dataflow[0]', 'sink_failed', 'no', 1, 'message', x'61', '"a"')`)
    old.close()
    expect(readDeadLetters(path)).toMatchObject([{ id: 7, key: '', packed: null }])
    await using second = await start(listen([{ moody: {} }]), { registry: parts(moody), baseDir: first.folder })
    expect(second.server.deadLetters).toMatchObject({ letters: 1, bytes: 256 + 1 + 2 + 3 })
    expect((await second.server.retryDeadLetters([7])).kept).toEqual([
      { id: 7, tried: false, reason: 'an older version of Sluice has kept it, without what a retry needs' },
    ])
    await using peer = await Peer.connect(second.port())
    peer.send('b\n')
    await second.event('deadLetter.stored')
    moody.refuses = false
    expect(await second.server.retryDeadLetters([8])).toMatchObject({ done: [8] })
    expect(readDeadLetters(path)).toMatchObject([{ id: 7, raw: Buffer.from('a'), value: '"a"' }])
    await first[Symbol.asyncDispose]()
  })
})
