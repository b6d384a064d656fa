import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Storage } from '../contracts/storage.ts'
import { json } from '../formats/json.ts'
import { text } from '../formats/text.ts'
import { createStorage } from '../storage/storage.ts'
import { createBatch, createFramesBatch, createTestClock } from '../testing/part-context.ts'
import { DiskQueue } from './disk-queue.ts'
import { MemoryQueue } from './memory-queue.ts'
import { type Entry, placeOf, type Queue } from './queue.ts'

const utf8 = text.create({ encoding: 'utf-8' })
const asJson = json.create(json.options.parse({}))
const clock = createTestClock()
const formatOf = () => utf8

let folder: string
let file: string
let storage: Storage
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-progress-'))
  file = join(folder, 'buffers.db')
  storage = createStorage()
})
afterEach(async () => {
  await storage.close()
  rmSync(folder, { recursive: true })
})

async function openDisk(): Promise<DiskQueue> {
  const told = { onDamaged: expect.fail, onSuspected: () => expect.fail('nothing is suspected') }
  const queue = new DiskQueue(storage, { file, step: 'store', clock, ...told })
  await queue.open()
  return queue
}

const textsOf = (entries: readonly Entry[]) => entries.flatMap(({ batch }) => batch.messages.map(({ msg }) => msg))
const take = async (queue: Queue) => textsOf(await queue.take(1000, 1 << 20, formatOf))

function rows(sql: string) {
  using database = new DatabaseSync(file, { readOnly: true })
  return database.prepare(sql).all()
}

describe.each([
  ['on disk', openDisk],
  ['in memory', () => Promise.resolve(new MemoryQueue(clock))],
])('%s', (_, open) => {
  test('what is noted as dealt with is not given again, and does not count', async () => {
    const queue: Queue = await open()
    await queue.add(createBatch(['a', 'b', 'c', 'd']))
    await queue.add(createBatch(['e', 'f']))
    const [first, second] = await queue.take(10, 1 << 20, formatOf)
    queue.note(first!.id, [1, 3])
    queue.note(second!.id, [0])
    expect(queue.messages).toBe(3)
    queue.giveBack()
    const [again] = await queue.take(1, 1, formatOf)
    expect([textsOf([again!]), again!.places]).toEqual([
      ['a', 'c'],
      [0, 2],
    ])
    queue.note(again!.id, [0])
    queue.giveBack()
    expect(await take(queue)).toEqual(['c', 'f'])
    expect(queue.messages).toBe(2)
    queue.settle(first!.id)
    expect(queue.messages).toBe(1)
    queue.settle(second!.id)
    expect([queue.messages, queue.bytes]).toEqual([0, 0])
    await queue.close()
  })
})

describe('on disk', () => {
  test('what is noted as dealt with is known after a clean end, and forgotten with its entry', async () => {
    const queue = await openDisk()
    await queue.add(createBatch(['a', 'b', 'c']))
    const [entry] = await queue.take(10, 1 << 20, formatOf)
    queue.note(entry!.id, [0, 2])
    await queue.close()
    const again = await openDisk()
    expect(again.messages).toBe(1)
    expect(await take(again)).toEqual(['b'])
    again.settle(entry!.id)
    expect([again.messages, again.bytes]).toEqual([0, 0])
    await again.close()
    expect(rows('SELECT * FROM progress')).toEqual([])
  })

  test('what is noted about an entry and damaged since is not believed', async () => {
    const queue = await openDisk()
    await queue.add(createBatch(['a', 'b', 'c']))
    queue.note((await queue.take(10, 1 << 20, formatOf))[0]!.id, [0, 2])
    await queue.close()
    const database = new DatabaseSync(file)
    database.exec("UPDATE progress SET places = '[0,1]'")
    database.close()
    const again = await openDisk()
    expect(await take(again)).toEqual(['a', 'b', 'c'])
    await again.close()
  })

  test('what is noted belongs to one message, whatever the format of its endpoint can read meanwhile', async () => {
    const queue = await openDisk()
    const frames = ['"a"', 'b', '"c"', '"d"']
    await queue.add(createFramesBatch(frames, utf8))
    const [entry] = await queue.take(10, 1 << 20, () => asJson)
    expect(entry!.failed.map(({ message }) => message.raw.toString())).toEqual(['b'])
    expect(textsOf([entry!])).toEqual(['a', 'c', 'd'])
    queue.note(entry!.id, [placeOf(entry!, 1)])
    queue.giveBack()
    expect(await take(queue)).toEqual(['"a"', 'b', '"d"'])
    queue.note(entry!.id, [1])
    queue.giveBack()
    const [last] = await queue.take(10, 1 << 20, () => asJson)
    expect([textsOf([last!]), last!.failed]).toEqual([['a', 'd'], []])
    await queue.close()
  })
})
