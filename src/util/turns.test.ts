import { expect, test } from 'vitest'
import { Share, Turns } from './turns.ts'

test('who asks in one turn waits for the same end, and what is asked for later for another', async () => {
  const turns = new Turns()
  const first = turns.next()
  expect(turns.next()).toBe(first)
  await first
  const second = turns.next()
  expect(second).not.toBe(first)
  await second
})

test('an end does not come before what the turn has still to do', async () => {
  const turns = new Turns()
  const order: string[] = []
  const next = turns.next().then(() => order.push('next turn'))
  for (let i = 0; i < 100; i++) await Promise.resolve()
  process.nextTick(() => order.push('this turn'))
  await next
  expect(order).toEqual(['this turn', 'next turn'])
})

test('a share is used when it has taken long, and is whole again when others have had their turn', async () => {
  let time = 100
  const share = new Share({ elapsed: () => time })
  time += 9
  expect(share.isUsed).toBe(false)
  time += 1
  expect(share.isUsed).toBe(true)
  let turns = 0
  setImmediate(() => turns++)
  await share.next()
  expect([turns, share.isUsed]).toEqual([1, false])
})
