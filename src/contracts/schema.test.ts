import { expect, test } from 'vitest'
import { duration } from './schema.ts'

test('a duration is milliseconds, and not longer than a timer can be', () => {
  const parse = (text: string) => {
    const { data, error } = duration().safeParse(text)
    return data ?? error?.issues[0]?.message
  }
  expect(parse('1.5h')).toBe(5_400_000)
  expect(parse('24d')).toBe(24 * 86_400_000)
  expect(parse('24d')).toBeLessThan(2 ** 31)
  for (const long of ['25d', '577h', '99999999999999999999d']) expect(parse(long)).toContain('at most 24 days')
  expect(parse('soon')).toBe('expected a duration with a unit, such as 30s')
})

test('an age may be longer, for no timer waits for it', () => {
  expect(duration({ age: true }).parse('30d')).toBe(30 * 86_400_000)
  expect(duration({ age: true }).safeParse('10001d').success).toBe(false)
})
