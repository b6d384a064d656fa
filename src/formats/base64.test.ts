import fc from 'fast-check'
import { expect, test } from 'vitest'
import { base64 } from './base64.ts'

const create = (options: object = {}) => base64.create(base64.options.parse(options))
const parseWith = (options: object, text: string) => create(options).parse(Buffer.from(text, 'latin1'), 0, text.length)

test.each([{}, { url: true }, { blanks: true }])('any bytes survive the way there and back with %o', (options) => {
  const format = create(options)
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      const printed = Buffer.from(format.print(Buffer.from(bytes)))
      expect(format.parse(printed, 0, printed.length)).toEqual(Buffer.from(bytes))
    }),
  )
})

test('each value has one way to be written, and nothing else is taken', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'ABQgwz09+/-_= \n'), maxLength: 9 }), (text) => {
      for (const [options, name] of [
        [{}, 'base64'],
        [{ url: true }, 'base64url'],
      ] as const) {
        let value: Buffer | undefined
        try {
          value = parseWith(options, text)
        } catch (error) {
          expect(error).toMatchObject({ code: 'format_invalid' })
        }
        if (value !== undefined) expect(value.toString(name)).toBe(text)
      }
    }),
  )
})

test('says where the mistake is, and what it is', () => {
  expect(() => parseWith({}, 'AAA!')).toThrow('not a digit of base64 at byte 3, near "AAA!"')
  expect(() => parseWith({}, 'AA=A')).toThrow('not a digit of base64 at byte 2')
  expect(() => parseWith({}, 'AAAA\n')).toThrow('not a digit of base64 at byte 4')
  expect(() => parseWith({}, 'AAA')).toThrow('cut off: its length is no multiple of 4 at byte 2')
  expect(() => parseWith({}, 'AB==')).toThrow('bits behind the last byte that are not zero at byte 3')
  expect(() => parseWith({ url: true }, 'AAAAA')).toThrow('one digit is too few for a byte at byte 4')
  expect(() => parseWith({ url: true }, 'AA+A')).toThrow('not a digit of base64 at byte 2')
  expect(() => parseWith({ blanks: true }, 'AA AA\n!')).toThrow('not a digit of base64 at byte 6')
  expect(() => base64.create({ url: false, blanks: false }).parse(Buffer.from('xxA'), 2, 3)).toThrow(
    'at byte 0, near "A"',
  )
})

test.each(['0d0a', 7, null, undefined, {}])('cannot write %o', (value) => {
  expect(() => create().print(value as unknown as Buffer)).toThrow(
    expect.objectContaining({ code: 'format_not_printable', hint: 'Make bytes of it: bytes(…).' }),
  )
})

test('writes what is bytes by another name', () => {
  expect(create().print(new Uint8Array([1, 2, 3]) as Buffer)).toBe('AQID')
})
