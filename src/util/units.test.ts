import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatDuration, formatSize, parseDuration, parseSize } from './units.ts'

test.each([
  ['30s', 30_000],
  ['1.5h', 5_400_000],
  ['250ms', 250],
  ['2 min', 120_000],
  [' 1d ', 86_400_000],
  ['30', undefined],
  ['s', undefined],
  ['-1s', undefined],
  ['30S', undefined],
  ['1constructor', undefined],
])('the duration %s is %s ms', (text, milliseconds) => {
  expect(parseDuration(text)).toBe(milliseconds)
})

test.each([
  ['64KiB', 65_536],
  ['1MB', 1_000_000],
  ['200B', 200],
  ['0.5KiB', 512],
  ['0.3B', undefined],
  ['64', undefined],
  ['64KIB', undefined],
])('the size %s is %s bytes', (text, bytes) => {
  expect(parseSize(text)).toBe(bytes)
})

test('what is written is read back', () => {
  fc.assert(
    fc.property(fc.nat(), (n) => {
      expect(parseDuration(formatDuration(n))).toBe(n)
      expect(parseSize(formatSize(n))).toBe(n)
    }),
  )
  expect([formatDuration(90_000), formatDuration(7_200_000), formatSize(65_536)]).toEqual(['90s', '2h', '64KiB'])
})
