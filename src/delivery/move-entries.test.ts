import { existsSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { temporaryFolder } from '../../test/support/server.ts'
import { text } from '../formats/text.ts'
import { createStorage } from '../storage/storage.ts'
import { createBatch, createTestClock } from '../testing/part-context.ts'
import { CREATE_BUFFERS } from './buffers-file.ts'
import { DiskQueue } from './disk-queue.ts'
import { holdsNothing, moveEntries, stepsWaitingIn } from './move-entries.ts'
import { exportStep } from './store-export.ts'
import { statusOfStores } from './store-status.ts'

/** Stores entries as a queue does, without its thread. */
function store(file: string, step: string, values: readonly string[]): void {
  mkdirSync(dirname(file), { recursive: true })
  using database = new DatabaseSync(file)
  database.exec(CREATE_BUFFERS)
  const insert = database.prepare(
    'INSERT INTO entries (step, time, messages, bytes, crc, data) VALUES (?, 1, 2, ?, 0, ?)',
  )
  for (const value of values) insert.run(step, value.length, Buffer.from(value))
}

function read(file: string, step: string): string[] {
  using database = new DatabaseSync(file, { readOnly: true })
  const rows = database.prepare('SELECT data FROM entries WHERE step = ? ORDER BY id').all(step)
  return rows.map(({ data }) => Buffer.from(data as Uint8Array).toString())
}

function files(folder: string) {
  return { from: join(folder, 'worker-2/buffers.db'), to: join(folder, 'buffers.db') }
}

it('moves what waits for one step behind what waits there already, and leaves the others', () => {
  const values = fc.array(fc.string({ unit: 'binary' }).filter((value) => value.isWellFormed()))
  fc.assert(
    fc.property(values, values, (here, there) => {
      using folder = temporaryFolder()
      const { from, to } = files(folder.path)
      store(from, 'a', here)
      store(from, 'b', ['other'])
      store(to, 'a', there)
      expect(moveEntries(from, to, 'a')).toBe(2 * here.length)
      expect(read(to, 'a')).toEqual([...there, ...here])
      expect(stepsWaitingIn(from)).toEqual(['b'])
      expect(holdsNothing(from)).toBe(false)
      expect(moveEntries(from, to, 'a')).toBe(0)
    }),
    { numRuns: 10 },
  )
})

it('moves what a queue has stored to where another finds it, more than it takes at once', async () => {
  using folder = temporaryFolder()
  const { from, to } = files(folder.path)
  const format = text.create({ encoding: 'utf-8' })
  const storage = createStorage()
  const open = async (file: string) => {
    const told = { onDamaged: expect.fail, onSuspected: () => expect.fail('nothing is suspected') }
    const queue = new DiskQueue(storage, { file, step: 'a', clock: createTestClock(), ...told })
    await queue.open()
    return queue
  }
  const values = Array.from({ length: 1100 }, (_, i) => String(i))
  const before = await open(from)
  const added: Promise<void>[] = []
  for (const value of values) {
    added.push(before.add(createBatch([value], { format })))
    // What comes in one turn is one entry.
    await new Promise(setImmediate)
  }
  await Promise.all(added)
  await before.close()
  expect(moveEntries(from, to, 'a')).toBe(1100)
  expect(holdsNothing(from)).toBe(true)
  const after = await open(to)
  expect(after.messages).toBe(1100)
  const entries = await after.take(2000, 1024 * 1024, () => format)
  expect(entries.flatMap(({ batch }) => batch.messages.map(({ msg }) => msg))).toEqual(values.slice(0, entries.length))
  await after.close()
  await storage.close()
})

it('moves how far an entry is along with it, also to a file that an older version has written', async () => {
  using folder = temporaryFolder()
  const { from, to } = files(folder.path)
  const format = text.create({ encoding: 'utf-8' })
  store(to, 'a', ['x'])
  const storage = createStorage()
  const told = { onDamaged() {}, onSuspected: () => expect.fail('nothing is suspected') }
  const open = async (file: string) => {
    const queue = new DiskQueue(storage, { file, step: 'a', clock: createTestClock(), ...told })
    await queue.open()
    return queue
  }
  const before = await open(from)
  for (const letter of ['b', 'c', 'd']) await before.add(createBatch([`${letter}1`, `${letter}2`], { format }))
  const entries = await before.take(100, 1 << 20, () => format)
  before.note(entries[0]!.id, [1])
  before.note(entries[2]!.id, [0])
  await before.close()
  expect(exported(dirname(from))).toEqual(['b1', 'c1', 'c2', 'd2'])
  expect(statusOfStores(dirname(from))[0]!.contents).toMatchObject([{ of: 'a', count: 4 }])
  expect(moveEntries(from, to, 'a')).toBe(6)
  const after = await open(to)
  expect(after.messages).toBe(2 + 4)
  const moved = await after.take(100, 1 << 20, () => format)
  expect(moved.flatMap(({ batch }) => batch.messages.map(({ msg }) => msg))).toEqual(['b1', 'c1', 'c2', 'd2'])
  await after.close()
  await storage.close()
})

/** The texts that wait for the step in the files of a folder. */
function exported(folder: string): unknown[] {
  const texts: unknown[] = []
  exportStep(folder, 'a', ({ text: one }) => texts.push(one), expect.fail)
  return texts
}

it('has nothing to do where there is no file', () => {
  using folder = temporaryFolder()
  const { from, to } = files(folder.path)
  expect([moveEntries(from, to, 'a'), holdsNothing(from), stepsWaitingIn(from)]).toEqual([0, true, []])
  expect(existsSync(to)).toBe(false)
})

it('loses nothing when it cannot go on: what is there is not yet removed here', () => {
  using folder = temporaryFolder()
  const { from, to } = files(folder.path)
  store(from, 'a', ['x', 'y'])
  {
    using database = new DatabaseSync(from)
    database.exec(`CREATE TRIGGER no BEFORE DELETE ON entries BEGIN SELECT raise(ABORT, 'no room'); END`)
  }
  expect(() => moveEntries(from, to, 'a')).toThrow(`what waits in ${from} cannot be moved to ${to}: no room`)
  expect(read(to, 'a')).toEqual(['x', 'y'])
  expect(read(from, 'a')).toEqual(['x', 'y'])
})

it('touches no file of a newer version', () => {
  using folder = temporaryFolder()
  const { from, to } = files(folder.path)
  store(from, 'a', ['x'])
  store(to, 'a', ['y'])
  const upgrade = (file: string) => {
    using database = new DatabaseSync(file)
    database.exec('PRAGMA user_version = 99')
  }
  upgrade(to)
  expect(() => moveEntries(from, to, 'a')).toThrow('were written by a newer version of Sluice (layout 99)')
  upgrade(from)
  expect(stepsWaitingIn(from)).toEqual([])
  expect(holdsNothing(from)).toBe(false)
})
