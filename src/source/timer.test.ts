import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Delivery, Receiver } from '../contracts/subscription.ts'
import { createTimer, type Timing } from './timer.ts'

beforeEach(() => vi.useFakeTimers({ now: Date.UTC(2026, 0, 10) }))
afterEach(() => vi.useRealTimers())

/** Runs end at once, unless they are held. */
function begin(timing: Timing) {
  const runs: string[] = []
  const held: Delivery[] = []
  let skipped = 0
  let hold = false
  const receiver: Receiver = {
    opened() {},
    failed() {},
    take(deliveries) {
      for (const delivery of deliveries) {
        expect(delivery).toMatchObject({ event: 'timer', topic: '', id: '' })
        runs.push(new Date().toISOString().slice(0, 19))
        if (hold) held.push(delivery)
        else delivery.settle!()
      }
    },
  }
  const timer = createTimer(timing, { now: Date.now }, () => skipped++)
  timer.start(receiver)
  return {
    timer,
    runs,
    skipped: () => skipped,
    hold: () => (hold = true),
    release() {
      hold = false
      for (const delivery of held.splice(0)) delivery.settle!()
    },
  }
}

const every = (milliseconds: number, runAtStart = false): Timing => ({ when: { every: milliseconds }, runAtStart })

test('runs when its time has passed, and again and again', () => {
  const { runs } = begin(every(60_000))
  vi.advanceTimersByTime(59_999)
  expect(runs).toEqual([])
  vi.advanceTimersByTime(120_001)
  expect(runs).toEqual(['2026-01-10T00:01:00', '2026-01-10T00:02:00', '2026-01-10T00:03:00'])
})

test('runs at the start where it is told to', () => {
  const { runs } = begin(every(60_000, true))
  expect(runs).toEqual(['2026-01-10T00:00:00'])
  vi.advanceTimersByTime(60_000)
  expect(runs).toHaveLength(2)
})

test('skips what comes while a run has not ended, and goes on then', () => {
  const { runs, hold, release, skipped } = begin(every(1000))
  hold()
  vi.advanceTimersByTime(3500)
  expect([runs.length, skipped()]).toEqual([1, 2])
  release()
  vi.advanceTimersByTime(1000)
  expect([runs.length, skipped()]).toEqual([2, 2])
})

test('runs at times of day, and does so over months', () => {
  const { runs } = begin({ when: { at: [9_000_000], timezone: 'Europe/Berlin' }, runAtStart: false })
  vi.advanceTimersByTime(2 * 86_400_000)
  expect(runs).toEqual(['2026-01-10T01:30:00', '2026-01-11T01:30:00'])
  vi.advanceTimersByTime(180 * 86_400_000)
  expect(runs).toHaveLength(182)
  expect(runs.at(-1)).toBe('2026-07-10T00:30:00')
})

test('finds its time again when the clock is set', () => {
  const { runs } = begin({ when: { at: [12 * 3_600_000], timezone: 'UTC' }, runAtStart: false })
  vi.setSystemTime(Date.UTC(2026, 0, 10, 11, 59, 30))
  vi.advanceTimersByTime(60_000)
  expect(runs).toHaveLength(1)
  // Set back: not a second time at the same moment of the clock that it has had.
  vi.setSystemTime(Date.UTC(2026, 0, 10, 12, 5))
  vi.advanceTimersByTime(3_600_000)
  expect(runs).toHaveLength(1)
})

test('does nothing after a stop', async () => {
  const { runs, timer } = begin(every(1000))
  await timer.stop()
  vi.advanceTimersByTime(5000)
  expect(runs).toEqual([])
  await timer.close()
})
