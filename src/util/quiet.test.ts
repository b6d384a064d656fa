import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Quiet } from './quiet.ts'

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setImmediate'] }))
afterEach(() => void vi.useRealTimers())

const listener = (results: boolean[] = []) => ({ onQuiet: vi.fn(() => results.shift() ?? false) })

test('tells once, when the time has passed since the last thing that happened', () => {
  const quiet = new Quiet(50)
  const one = listener()
  quiet.restart(one)
  vi.advanceTimersByTime(40)
  quiet.restart(one)
  vi.advanceTimersByTime(40)
  expect(one.onQuiet).not.toHaveBeenCalled()
  vi.advanceTimersByTime(20)
  expect(one.onQuiet).toHaveBeenCalledTimes(1)
  vi.advanceTimersByTime(1000)
  expect(one.onQuiet).toHaveBeenCalledTimes(1)
})

test('tells again after the same time when it did not count', () => {
  const quiet = new Quiet(50)
  const one = listener([true, true, false])
  quiet.restart(one)
  vi.advanceTimersByTime(1000)
  expect(one.onQuiet).toHaveBeenCalledTimes(3)
})

test('what is read between the timer and the check counts', () => {
  const quiet = new Quiet(50)
  const one = listener()
  quiet.restart(one)
  setTimeout(() => quiet.restart(one), 50)
  vi.advanceTimersByTime(90)
  expect(one.onQuiet).not.toHaveBeenCalled()
  vi.advanceTimersByTime(30)
  expect(one.onQuiet).toHaveBeenCalledTimes(1)
})
