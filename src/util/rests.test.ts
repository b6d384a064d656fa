import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { REST_MS, type Resting, Rests } from './rests.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

/** Writes down what it is told. */
class Reader implements Resting {
  readonly calls: string[] = []

  rest(): void {
    this.calls.push('rest')
  }

  wake(): void {
    this.calls.push('wake')
  }
}

test('a reader rests until its rest is ended, which is told once', () => {
  const rests = new Rests()
  const reader = new Reader()
  rests.begin(reader)
  rests.end(reader)
  rests.end(reader)
  vi.advanceTimersByTime(REST_MS * 10)
  expect(reader.calls).toEqual(['rest', 'wake'])
})

test('who is not woken wakes by itself, after once to twice the time', () => {
  const rests = new Rests()
  const early = new Reader()
  const late = new Reader()
  rests.begin(early)
  vi.advanceTimersByTime(REST_MS - 1)
  rests.begin(late)
  vi.advanceTimersByTime(REST_MS)
  expect([early.calls, late.calls]).toEqual([['rest'], ['rest']])
  vi.advanceTimersByTime(1)
  expect([early.calls, late.calls]).toEqual([
    ['rest', 'wake'],
    ['rest', 'wake'],
  ])
})

test('beginning again in mid-rest makes it no longer', () => {
  const rests = new Rests()
  const reader = new Reader()
  rests.begin(reader)
  vi.advanceTimersByTime(REST_MS)
  rests.begin(reader)
  vi.advanceTimersByTime(REST_MS)
  expect(reader.calls).toEqual(['rest', 'wake'])
})

test('one that has ended can begin another', () => {
  const rests = new Rests()
  const reader = new Reader()
  for (let i = 0; i < 3; i++) {
    rests.begin(reader)
    vi.advanceTimersByTime(REST_MS)
    rests.end(reader)
  }
  expect(reader.calls).toEqual(['rest', 'wake', 'rest', 'wake', 'rest', 'wake'])
})

test('costs no timer when nobody rests', () => {
  const rests = new Rests()
  rests.begin({})
  expect(vi.getTimerCount()).toBe(0)
  rests.begin(new Reader())
  expect(vi.getTimerCount()).toBe(1)
  vi.advanceTimersByTime(REST_MS * 3)
  expect(vi.getTimerCount()).toBe(0)
})
