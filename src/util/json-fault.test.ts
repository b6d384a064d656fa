import fc from 'fast-check'
import { expect, test } from 'vitest'
import { findJsonFault } from './json-fault.ts'

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

test('finds a fault exactly where JSON.parse finds one', () => {
  const pieces = fc.constantFrom(
    ...'{}[]:,"\\ \n\t-+.0123eE',
    '1.5',
    'true',
    'null',
    '"a"',
    '\\u00e9',
    '\\n',
    'é',
    '\u0001',
  )
  const near = fc.array(pieces, { maxLength: 12 }).map((list) => list.join(''))
  const damaged = fc
    .tuple(fc.json(), fc.nat(), pieces)
    .map(
      ([text, at, piece]) => text.slice(0, at % (text.length + 1)) + piece + text.slice((at + 1) % (text.length + 1)),
    )
  fc.assert(
    fc.property(fc.oneof(near, damaged, fc.json(), fc.string()), (text) => {
      const fault = findJsonFault(text)
      if ((fault === undefined) !== isJson(text)) expect.unreachable(`"${text}": ${JSON.stringify(fault)}`)
    }),
    { numRuns: 20_000 },
  )
})

test('what stands before the fault can be completed', () => {
  const completions = ['', '0', '"', '":0}', '0}', ']', '}', '"}', 'ull', 'rue']
  fc.assert(
    fc.property(fc.json({ maxDepth: 1 }), fc.nat(), (text, at) => {
      const cut = text.slice(0, at % (text.length + 1))
      const fault = findJsonFault(`${cut}\u0001`)
      expect(fault?.index).toBeLessThanOrEqual(cut.length)
      if (cut.trim() === text.trim()) expect(completions.some((end) => isJson(cut + end))).toBe(true)
    }),
  )
})

test.each([
  ['[1,]', 3],
  ['{"a"}', 4],
  ['{,}', 1],
  ['[01]', 2],
  ['-', 0],
  ['1.', 1],
  ['"\\x"', 1],
  ['"a\nb"', 2],
  ['"abc', 4],
  ['tru', 0],
  ['[1}', 2],
])('%s', (text, index) => {
  expect(findJsonFault(text)?.index).toBe(index)
})
