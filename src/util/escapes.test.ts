import fc from 'fast-check'
import { describe, expect, it, test } from 'vitest'
import { EscapeError, formatBytes, parseBytes, parseText } from './escapes.ts'

test.each([
  ['a\\r\\n', '610d0a'],
  ['\\x02A\\xff', '0241ff'],
  ['\\0\\t\\\\', '00095c'],
  ['\u00ff', 'ff'],
  ['€', 'e282ac'],
  ['😀!', 'f09f988021'],
])('the bytes %j are %s', (text, hex) => {
  expect(parseBytes(text).toString('hex')).toBe(hex)
})

test.each([
  ['ab\\q', 2],
  ['\\x0', 0],
  ['\\xzz', 0],
  ['end\\', 3],
])('%j is refused at %i', (text, index) => {
  expect(() => parseBytes(text)).toThrow(EscapeError)
  expect(() => parseText(text)).toThrow(expect.objectContaining({ index }))
})

describe('a text with escapes', () => {
  it('is decoded and otherwise left as it is', () => {
    expect(parseText('größe €')).toBe('größe €')
    expect(parseText('a\\tb\\x1bä\\\\')).toBe('a\tb\u001bä\\')
  })

  it('holds no single bytes', () => {
    expect(() => parseText('ok \\xff')).toThrow('\\xff is a single byte, which a text cannot hold; use raw:')
  })
})

describe('bytes that are shown', () => {
  it('are read back, whatever they are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        expect(parseBytes(formatBytes(bytes))).toEqual(Buffer.from(bytes))
      }),
    )
  })

  it('are cut where they are too many', () => {
    expect(formatBytes(Buffer.from('a\r\nbcd'), 3)).toBe('a\\r\\n… (6 bytes)')
  })
})
