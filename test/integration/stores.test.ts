import { copyFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { Batch } from '../../src/contracts/batch.ts'
import { Message } from '../../src/contracts/message.ts'
import { DiskQueue } from '../../src/delivery/disk-queue.ts'
import { checkStores } from '../../src/delivery/store-check.ts'
import { type Exported, exportDeadLetters, exportStep } from '../../src/delivery/store-export.ts'
import { statusOfStores } from '../../src/delivery/store-status.ts'
import { type Config, SluiceError } from '../../src/index.ts'
import { createStorage } from '../../src/storage/storage.ts'
import { createMessages, createTestClock, testSource } from '../../src/testing/part-context.ts'
import { registryWith } from '../support/parts.ts'
import { Peer } from '../support/peer.ts'
import { type Running, start, temporaryFolder } from '../support/server.ts'

/** A server that has a message in its buffer, one among the dead letters, and three keys, and its data folder. */
async function fill(): Promise<{ running: Running; data: string }> {
  const registry = registryWith('held', ({ messages }) =>
    messages.map(({ msg }) => new SluiceError('sink_unavailable', 'down', { retryable: msg !== 'bad' })),
  )
  const config = {
    listen: {
      a: { port: 0, dataflow: [{ held: { buffer: 'disk' }, id: 'store' }, { reply: 'OK' }] },
      b: {
        port: 0,
        key: 'msg',
        dataflow: [{ dedupe: {}, id: 'once' }, { held: {}, id: 'direct', if: 'msg == "bad"' }, { reply: 'OK ${msg}' }],
      },
    },
  } as unknown as Config
  const running = await start(config, { registry })
  await using a = await Peer.connect(running.port('a'))
  await a.send('waits\n').hear('OK\n')
  await using b = await Peer.connect(running.port('b'))
  await b.send(`k1\nk2 ü\nbad\n${'long'.repeat(100)}\n`).hear('OK long')
  await running.event('deadLetter.stored')
  return { running, data: join(running.folder, 'sluice-data') }
}

function exported(run: (give: (one: Exported) => void) => void): Exported[] {
  const given: Exported[] = []
  run((one) => given.push(one))
  return given
}

const keysOf = (data: string, onDamaged: (what: string) => void = () => {}) =>
  exported((give) => exportStep(data, 'once', give, onDamaged))

describe('the files of a data folder', () => {
  it('can be looked into while the server runs: what they hold, since when, and that nothing is damaged', async () => {
    const { running, data } = await fill()
    await using _ = running
    const status = statusOfStores(data)
    expect(status.map(({ name, kind, layout, isNewer }) => [name, kind, layout, isNewer])).toEqual([
      ['buffers.db', 'buffers', 2, false],
      ['dead-letters.db', 'deadLetters', 2, false],
      ['dedupe-once.db', 'keys', 1, false],
    ])
    expect(status.map(({ contents }) => contents.map(({ of, count }) => [of, count]))).toEqual([
      [['store', 1]],
      [['b direct', 1]],
      [
        ['b', 2],
        ['keys kept as hashes', 1],
      ],
    ])
    for (const { contents, size } of status) {
      expect(size).toBeGreaterThan(0)
      for (const { oldest } of contents) expect(Math.abs(Date.now() - oldest)).toBeLessThan(60_000)
    }
    expect(checkStores(data)).toEqual({ checked: ['buffers.db', 'dead-letters.db', 'dedupe-once.db'], damage: [] })
  })

  it('are exported with what a broker has filed a message under', async () => {
    using folder = temporaryFolder()
    const storage = createStorage()
    const told = { onDamaged: expect.fail, onSuspected: () => expect.fail('nothing is suspected') }
    const queue = new DiskQueue(storage, {
      file: join(folder.path, 'buffers.db'),
      step: 's',
      clock: createTestClock(),
      ...told,
    })
    await queue.open()
    const raw = Buffer.from('on')
    const message = new Message('on', testSource(), 'message', 5, 1, raw, 0, 2, undefined, { topic: 'lamp/1' })
    await queue.add(Batch.of([message, ...createMessages(['off'])]))
    await queue.close()
    await storage.close()
    const topics = exported((give) => exportStep(folder.path, 's', give, () => {})).map(({ topic }) => topic)
    expect(topics).toEqual(['lamp/1', undefined])
  })

  it('can be exported: messages that wait, dead letters, and keys with their answers', async () => {
    const { running, data } = await fill()
    await using _ = running
    expect(exported((give) => exportStep(data, 'store', give, () => {}))).toMatchObject([
      { step: 'store', endpoint: 'a', text: 'waits', raw: Buffer.from('waits').toString('base64') },
    ])
    expect(exported((give) => exportDeadLetters(data, give))).toMatchObject([
      { endpoint: 'b', text: 'bad', value: 'bad' },
    ])
    const answer = (text: string) => ({ kind: 'text', raw: Buffer.from(text).toString('base64'), text })
    const recorded = expect.stringMatching(/^\d{4}-.*Z$/)
    expect(keysOf(data)).toEqual([
      { step: 'once', endpoint: 'b', key: 'k1', recorded, answers: [answer('OK k1')] },
      { step: 'once', endpoint: 'b', key: 'k2 ü', recorded, answers: [answer('OK k2 ü')] },
      { step: 'once', hash: expect.any(String), recorded, answers: [answer(`OK ${'long'.repeat(100)}`)] },
    ])
    expect(() =>
      exportStep(
        data,
        'nobody',
        () => {},
        () => {},
      ),
    ).toThrow('nothing is kept for a step nobody')
  })

  it('that are damaged, of a newer version or no databases are told of, and the others are read', async () => {
    const { running, data } = await fill()
    await running.server.stop()
    const keys = new DatabaseSync(join(data, 'dedupe-once.db'))
    keys.exec("UPDATE keys SET answers = '[[' WHERE id = 2")
    keys.close()
    copyFileSync(join(data, 'dedupe-once.db'), join(data, 'dedupe-later.db'))
    const later = new DatabaseSync(join(data, 'dedupe-later.db'))
    later.exec('PRAGMA user_version = 99')
    later.close()
    writeFileSync(join(data, 'dedupe-other.db'), 'no database'.repeat(100))
    writeFileSync(join(data, 'dedupe-.db'), 'no step')
    expect(checkStores(data).damage).toEqual([
      'dedupe-later.db: its layout is newer than this version of Sluice',
      'dedupe-once.db: key 2: its answers cannot be read',
      expect.stringMatching(/^dedupe-other\.db: .* cannot be read: file is not a database$/),
    ])
    const damaged: string[] = []
    expect(keysOf(data, (what) => damaged.push(what)).map(({ key }) => key)).toEqual(['k1', undefined])
    expect(damaged).toEqual(['key 2'])
    expect(() =>
      exportStep(
        data,
        'later',
        () => {},
        () => {},
      ),
    ).toThrow('was written by a newer version of Sluice (layout 99)')
    await running[Symbol.asyncDispose]()
  })

  it('that are not there, or empty, hold nothing', () => {
    using folder = temporaryFolder()
    expect(statusOfStores(join(folder.path, 'nowhere'))).toEqual([])
    for (const name of ['buffers.db', 'dedupe-once.db']) writeFileSync(join(folder.path, name), '')
    expect(statusOfStores(folder.path).map(({ contents }) => contents)).toEqual([[], []])
    expect(checkStores(folder.path).damage).toEqual([])
    expect(() => keysOf(folder.path)).toThrow('nothing is kept for a step once')
  })
})
