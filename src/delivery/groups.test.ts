import { expect, test } from 'vitest'
import { createBatch } from '../testing/part-context.ts'
import { Groups } from './groups.ts'

test('writes of one turn are stored together; those of the next apart, in order', async () => {
  const stored: number[] = []
  const groups = new Groups(async (_, messages) => void stored.push(messages))
  const first = ['a', 'b'].map((one) => groups.add(createBatch([one])))
  await new Promise(setImmediate)
  await Promise.all([...first, groups.add(createBatch(['c', 'd', 'e']))])
  expect(stored).toEqual([2, 3])
})

test('what one cannot store fails all of its writes and no other', async () => {
  const groups = new Groups((_, messages) => (messages === 2 ? Promise.reject(new Error('full')) : Promise.resolve()))
  const failing = Promise.allSettled(['a', 'b'].map((one) => groups.add(createBatch([one]))))
  await new Promise(setImmediate)
  await groups.add(createBatch(['c']))
  expect((await failing).map(({ status }) => status)).toEqual(['rejected', 'rejected'])
})

test('settled waits for the group that is open, and for none that is not', async () => {
  const { promise, resolve } = Promise.withResolvers<void>()
  const groups = new Groups(() => promise)
  await groups.settled()
  const added = groups.add(createBatch(['a']))
  const settled = groups.settled()
  resolve()
  await Promise.all([added, settled])
})

test('memory of a group is used again, but not while it is being stored', async () => {
  const seen: { packed: Buffer; copy: Buffer }[] = []
  const waiting: (() => void)[] = []
  const groups = new Groups((packed) => {
    seen.push({ packed, copy: Buffer.from(packed) })
    return new Promise((resolve) => waiting.push(resolve))
  })
  const added: Promise<void>[] = []
  for (const one of ['a', 'b', 'c']) {
    added.push(groups.add(createBatch([one])))
    await new Promise(setImmediate)
  }
  for (const { packed, copy } of seen) expect(packed).toEqual(copy)
  for (const resolve of waiting) resolve()
  await Promise.all(added)
  const buffers = new Set(seen.map(({ packed }) => packed.buffer))
  expect(buffers.size).toBe(3)
  const last = groups.add(createBatch(['d']))
  await new Promise(setImmediate)
  expect(buffers).toContain(seen.at(-1)!.packed.buffer)
  waiting.at(-1)!()
  await last
})
