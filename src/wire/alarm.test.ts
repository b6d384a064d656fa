import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Alarm } from './alarm.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

test('rings at the earliest time, and then at that which it is told', () => {
  const rung: number[] = []
  const times = [30, Number.POSITIVE_INFINITY]
  const alarm = new Alarm((now) => {
    rung.push(now)
    return times.shift()!
  })
  const start = performance.now()
  alarm.at(start + 50)
  alarm.at(start + 10)
  alarm.at(start + 40)
  times[0] = start + 30
  vi.advanceTimersByTime(100)
  expect(rung.map((time) => time - start)).toEqual([10, 30])
  expect(vi.getTimerCount()).toBe(0)
})

test('does not ring once it is stopped, and can be set again', () => {
  const ring = vi.fn(() => Number.POSITIVE_INFINITY)
  const alarm = new Alarm(ring)
  alarm.at(performance.now() + 10)
  alarm.stop()
  vi.advanceTimersByTime(20)
  expect(ring).not.toHaveBeenCalled()
  alarm.at(performance.now() + 10)
  vi.advanceTimersByTime(10)
  expect(ring).toHaveBeenCalledOnce()
})

test('rings for what was set while it rang', () => {
  const alarm: Alarm = new Alarm(() => {
    if (++rung === 1) alarm.at(performance.now() + 5)
    return Number.POSITIVE_INFINITY
  })
  let rung = 0
  alarm.at(performance.now() + 1)
  vi.advanceTimersByTime(10)
  expect(rung).toBe(2)
})
