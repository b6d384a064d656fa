import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ScriptLines } from './script-lines.ts'

test('lines come out whole, however the text was cut', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: fc.constantFrom('a', 'b', '\n') })), (pieces) => {
      const lines = new ScriptLines()
      const found = [...pieces.flatMap((piece) => lines.push(piece)), ...lines.end()]
      const expected = pieces.join('').split('\n')
      if (expected.at(-1) === '') expected.pop()
      expect(found).toEqual(expected)
      expect(lines.end()).toEqual([])
    }),
  )
})

test('a line without an end is not kept for ever', () => {
  const lines = new ScriptLines()
  expect(lines.push('x'.repeat(64 * 1024))).toEqual([])
  expect(lines.push('y')).toEqual([`${'x'.repeat(64 * 1024)}y`])
  expect(lines.push('z\n')).toEqual(['z'])
})
