import fc from 'fast-check'
import { expect, test } from 'vitest'
import { showBytes, showLines, showValue } from './safe-text.ts'
import { typedBytes } from './wire.ts'

test.each([
  ['hello\r\n', 'hello\\r\\n'],
  ['20 °C', '20 °C'],
  ['\x1b[31mred\x07', '\\x1b[31mred\\x07'],
  ['C:\\a', 'C:\\\\a'],
  // What turns the direction of a text, and C1 control characters.
  ['a\u202eb\u0085', 'a\\xe2\\x80\\xaeb\\xc2\\x85'],
])('shows %j', (text, shown) => {
  expect(showBytes(Buffer.from(text))).toBe(shown)
})

test('shows bytes that are no UTF-8, among text that is', () => {
  expect(showBytes(Buffer.from([0x61, 0xff, 0xc3, 0xbc, 0xc3]))).toBe('a\\xffü\\xc3')
})

test('shows values as JSON, and texts and bytes as they are', () => {
  expect(showValue({ a: 'b\x1b\u202e' })).toBe('{"a":"b\\u001b\\xe2\\x80\\xae"}')
  expect(showValue('a\n')).toBe('a\\n')
  expect(showValue(Buffer.from([7]))).toBe('\\x07')
  expect(showValue(undefined)).toBe('undefined')
})

test('whatever bytes are shown as can be typed, and never moves a cursor', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (list) => {
      const shown = showBytes(Buffer.from(list))
      expect(shown).not.toMatch(/\p{C}/u)
      expect(typedBytes(shown)).toEqual(Buffer.from(list))
    }),
  )
})

test('shows lines as lines, and a backslash before an n as what it is', () => {
  expect(showLines(Buffer.from('a\r\nb\n\\n\\\n\x1bc\rd'))).toBe('a\nb\n\\\\n\\\\\n\\x1bc\\rd')
})
