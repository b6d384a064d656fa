import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isTimeZone, nextDaily } from './daily.ts'

const at = (...times: string[]) => times.map((time) => Date.parse(`1970-01-01T${time}:00Z`))
const next = (now: string, times: number[], zone: string) =>
  new Date(nextDaily(Date.parse(now), times, zone)).toISOString()

describe('the next time of day', () => {
  test.each([
    ['later today', '2026-01-10T01:00:00Z', 'UTC', '2026-01-10T02:30:00.000Z'],
    ['at that moment: tomorrow', '2026-01-10T02:30:00Z', 'UTC', '2026-01-11T02:30:00.000Z'],
    ['in winter', '2026-01-10T00:00:00Z', 'Europe/Berlin', '2026-01-10T01:30:00.000Z'],
    ['in summer', '2026-07-10T00:00:00Z', 'Europe/Berlin', '2026-07-10T00:30:00.000Z'],
    ['where it is tomorrow already', '2026-01-10T23:00:00Z', 'Asia/Tokyo', '2026-01-11T17:30:00.000Z'],
    ['where it is still yesterday', '2026-01-10T01:00:00Z', 'America/Los_Angeles', '2026-01-10T10:30:00.000Z'],
    ['where the offset has half an hour', '2026-01-10T00:00:00Z', 'Asia/Kolkata', '2026-01-10T21:00:00.000Z'],
    [
      'in the gap of spring: an hour later on the clock',
      '2026-03-28T12:00:00Z',
      'Europe/Berlin',
      '2026-03-29T01:30:00.000Z',
    ],
    ['after the gap', '2026-03-29T01:30:00Z', 'Europe/Berlin', '2026-03-30T00:30:00.000Z'],
    ['in the hour that comes twice: the first', '2026-10-24T12:00:00Z', 'Europe/Berlin', '2026-10-25T00:30:00.000Z'],
    ['between the two: tomorrow', '2026-10-25T00:30:00Z', 'Europe/Berlin', '2026-10-26T01:30:00.000Z'],
    ['in the gap of New York', '2026-03-08T00:00:00Z', 'America/New_York', '2026-03-08T07:30:00.000Z'],
  ])('%s', (_, now, zone, expected) => {
    expect(next(now, at('02:30'), zone)).toBe(expected)
  })

  test('is the first of several', () => {
    const shifts = at('22:00', '06:00', '14:00')
    expect(next('2026-01-10T05:00:00Z', shifts, 'UTC')).toBe('2026-01-10T06:00:00.000Z')
    expect(next('2026-01-10T06:00:00Z', shifts, 'UTC')).toBe('2026-01-10T14:00:00.000Z')
    expect(next('2026-01-10T22:00:00Z', shifts, 'UTC')).toBe('2026-01-11T06:00:00.000Z')
  })

  test('comes once a day, also through all changes of the clocks', () => {
    const zones = fc.constantFrom('Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kolkata', 'UTC')
    const start = fc.integer({ min: Date.UTC(2020, 0, 1), max: Date.UTC(2035, 0, 1) })
    fc.assert(
      fc.property(zones, start, fc.integer({ min: 0, max: 86_399 }), (zone, from, second) => {
        const moment = nextDaily(from, [second * 1000], zone)
        const after = nextDaily(moment, [second * 1000], zone)
        expect(moment).toBeGreaterThan(from)
        expect(moment - from).toBeLessThanOrEqual(26 * 3_600_000)
        expect(Math.abs(after - moment - 86_400_000)).toBeLessThanOrEqual(2 * 3_600_000)
        expect(nextDaily(moment - 1, [second * 1000], zone)).toBe(moment)
      }),
      { numRuns: 50 },
    )
  })
})

test('knows the names of time zones', () => {
  expect(['UTC', 'Europe/Berlin', 'Mars/Olympus', ''].map(isTimeZone)).toEqual([true, true, false, false])
})
