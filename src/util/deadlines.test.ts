import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Deadlines, TICK_MS, toTicks } from './deadlines.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

test('asks those who are watched at every tick, until nothing of theirs is timed any more', () => {
  const deadlines = new Deadlines()
  const asked: number[] = []
  deadlines.watch({ checkDeadlines: (tick) => asked.push(tick) < 3 })
  vi.advanceTimersByTime(TICK_MS * 10)
  expect(asked).toEqual([2, 3, 4])
})

test('stands still while nobody is watched, and costs no timer', () => {
  const deadlines = new Deadlines()
  expect(vi.getTimerCount()).toBe(0)
  const timed = { checkDeadlines: () => true }
  deadlines.watch(timed)
  deadlines.watch({ checkDeadlines: () => false })
  expect(vi.getTimerCount()).toBe(1)
  vi.advanceTimersByTime(TICK_MS)
  deadlines.forget(timed)
  vi.advanceTimersByTime(TICK_MS)
  expect(vi.getTimerCount()).toBe(0)
  const { tick } = deadlines
  vi.advanceTimersByTime(TICK_MS * 5)
  expect(deadlines.tick).toBe(tick)
  deadlines.watch({ checkDeadlines: () => false })
  vi.advanceTimersByTime(TICK_MS)
  expect(deadlines.tick).toBe(tick + 1)
})

test.each([
  [0, 0],
  [1, 2],
  [TICK_MS, 2],
  [TICK_MS + 1, 3],
])('%i ms are at least as long in ticks, and at most one longer', (milliseconds, ticks) => {
  expect(toTicks(milliseconds)).toBe(ticks)
})
