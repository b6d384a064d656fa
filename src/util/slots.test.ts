import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Slots } from './slots.ts'

const never = new AbortController().signal

test('so many at a time, and the others in the order in which they came', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 4 }),
      fc.array(fc.boolean(), { maxLength: 20 }),
      async (count, later) => {
        const slots = new Slots(count)
        const begun: number[] = []
        let having = 0
        let most = 0
        await Promise.all(
          later.map(async (waits, i) => {
            await slots.take(never)
            begun.push(i)
            most = Math.max(most, ++having)
            if (waits) await new Promise(setImmediate)
            having--
            slots.give()
          }),
        )
        expect(begun).toEqual(later.map((_, i) => i))
        expect(most).toBeLessThanOrEqual(count)
      },
    ),
  )
})

test('who has given up takes no turn, and a signal that comes too late changes nothing', async () => {
  const slots = new Slots(1)
  await slots.take(never)
  const [first, second] = [new AbortController(), new AbortController()]
  const refused = slots.take(first.signal)
  const served = slots.take(second.signal)
  first.abort(new Error('enough'))
  await expect(refused).rejects.toThrow('enough')
  slots.give()
  second.abort(new Error('too late'))
  await served
  const third = slots.take(never)
  slots.give()
  await third
  await expect(slots.take(first.signal)).rejects.toThrow('enough')
})
