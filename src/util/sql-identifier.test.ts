import { describe, expect, test } from 'vitest'
import { identifierProblem, MAX_IDENTIFIER_LENGTH, quoteIdentifier } from './sql-identifier.ts'

describe('quoteIdentifier', () => {
  test.each([
    ['temp', '"temp"'],
    ['two words', '"two words"'],
    ['a"); DROP TABLE t; --', '"a""); DROP TABLE t; --"'],
    ['"', '""""'],
  ])('%s', (name, quoted) => expect(quoteIdentifier(name)).toBe(quoted))
})

describe('identifierProblem', () => {
  test('takes any ordinary name', () => {
    for (const name of ['temp', 'Größe', 'a b', '"', 'x'.repeat(MAX_IDENTIFIER_LENGTH)]) {
      expect(identifierProblem(name)).toBeUndefined()
    }
  })

  test('says what is wrong', () => {
    expect(identifierProblem('')).toBe('is empty')
    expect(identifierProblem('a\0b')).toBe('contains a NUL character')
    expect(identifierProblem('\ud800')).toBe('is not valid Unicode')
    expect(identifierProblem('x'.repeat(MAX_IDENTIFIER_LENGTH + 1))).toBe('is longer than 128 characters')
  })
})
