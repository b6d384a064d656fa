import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { changed } from '../../test/support/storage.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Storage } from '../contracts/storage.ts'
import { text } from '../formats/text.ts'
import { createStorage } from '../storage/storage.ts'
import { createBatch, createTestClock } from '../testing/part-context.ts'
import { DiskQueue } from './disk-queue.ts'
import type { Entry } from './queue.ts'

const utf8 = text.create({ encoding: 'utf-8' })
const clock = createTestClock()
const formatOf = () => utf8

let folder: string
let file: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-deeds-'))
  file = join(folder, 'buffers.db')
})
afterEach(() => rmSync(folder, { recursive: true }))

async function openDisk(step: string, storage: Storage): Promise<DiskQueue> {
  const queue = new DiskQueue(storage, { file, step, clock, onDamaged() {}, onSuspected() {} })
  await queue.open()
  return queue
}

const textsOf = (entries: readonly Entry[]) => entries.flatMap(({ batch }) => batch.messages.map(({ msg }) => msg))

/** What is done to a queue, one after the other, without waiting for what it does behind that. */
const deed = fc.oneof(
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('take'), messages: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 3, arbitrary: fc.constant({ kind: 'takeAll' as const }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('settle'), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
  },
  fc.constant({ kind: 'takeUntold' as const }),
  fc.constant({ kind: 'giveBack' as const }),
  { weight: 2, arbitrary: fc.constant({ kind: 'add' as const }) },
  { weight: 2, arbitrary: fc.constant({ kind: 'addUntold' as const }) },
  fc.constant({ kind: 'pause' as const }),
)

/** It syncs some thousand times. */
const TIMEOUT = 240_000

test('whatever is done to it: nothing that is whole is lost, and the order stays', { timeout: TIMEOUT }, async () => {
  const large = 'x'.repeat(100_000)
  let fails = false
  // As if the storage thread had ended behind a commit, before it could say so.
  const failing = changed(createStorage(), (database) => ({
    async insert(sql, rows) {
      const ids = await database.insert(sql, rows)
      if (fails) throw new SluiceError('storage_failed', 'not told', { retryable: true })
      return ids
    },
    async write(sql, rows) {
      const outcomes = await database.write(sql, rows)
      if (fails && sql.startsWith('DELETE FROM entries WHERE id')) throw new SluiceError('storage_failed', 'not told')
      return outcomes
    },
  }))
  let round = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.boolean(), { minLength: 3, maxLength: 12 }),
      fc.array(deed, { maxLength: 25, size: 'max' }),
      async (isWhole, deeds) => {
        const step = `step-${round++}`
        const before = await openDisk(step, failing)
        for (const i of isWhole.keys()) await before.add(createBatch([`${i} ${large}`]))
        await before.close()
        breakEntries(step, isWhole)
        const queue = await openDisk(step, failing)
        const expected = isWhole.flatMap((whole, i) => (whole ? [`${i}`] : []))
        const settled: string[] = []
        let taken: Entry[] = []
        let next = isWhole.length
        const add = async () => {
          expected.push(`${next}`)
          await queue.add(createBatch([`${next++} ${large}`])).catch(() => {})
        }
        /** @returns whether there was something */
        const take = async (messages: number) => {
          const entries = await queue.take(messages, 1 << 20, formatOf)
          taken.push(...entries)
          return entries.length > 0
        }
        const settle = (count: number) => {
          const over = taken.splice(0, count)
          if (over.length === 0) return
          settled.push(...textsOf(over).map((one) => String(one).split(' ')[0]!))
          queue.settle(over.at(-1)!.id)
        }
        const giveBack = () => {
          queue.giveBack()
          taken = []
        }
        for (const one of deeds) {
          if (one.kind === 'take') await take(one.messages)
          else if (one.kind === 'takeAll') while (await take(4));
          else if (one.kind === 'settle') settle(Math.ceil(one.share * taken.length))
          else if (one.kind === 'add') await add()
          else if (one.kind === 'pause') await new Promise(setImmediate)
          else if (one.kind === 'giveBack') giveBack()
          else if (one.kind === 'takeUntold') {
            fails = true
            // As who delivers does when the queue cannot be read.
            await take(4).catch(giveBack)
            fails = false
          } else {
            fails = true
            await add()
            fails = false
          }
        }
        giveBack()
        while (await take(3)) settle(taken.length)
        expect(settled).toEqual(expected)
        expect([queue.messages, queue.bytes]).toEqual([0, 0])
        await queue.close()
      },
    ),
    { numRuns: 80 },
  )
  await failing.close()
})

/** Changes a byte of each entry that is not to be whole. */
function breakEntries(step: string, isWhole: readonly boolean[]): void {
  const database = new DatabaseSync(file)
  const ids = database.prepare('SELECT id FROM entries WHERE step = ? ORDER BY id').all(step)
  for (const [i, { id }] of ids.entries()) {
    if (!isWhole[i]) database.prepare('UPDATE entries SET crc = crc + 1 WHERE id = ?').run(id!)
  }
  database.close()
}
