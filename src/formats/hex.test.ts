import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hex } from './hex.ts'

const format = hex.create({})
const parse = (text: string) => format.parse(Buffer.from(text, 'latin1'), 0, text.length)

test('any bytes survive the way there and back', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      const digits = format.print(Buffer.from(bytes)) as string
      expect(digits).toMatch(/^([0-9a-f]{2})*$/)
      expect(parse(digits)).toEqual(Buffer.from(bytes))
    }),
  )
})

test('takes exactly what is pairs of hexadecimal digits', () => {
  for (let high = 0; high < 256; high++) {
    for (let low = 0; low < 256; low++) {
      const digits = String.fromCharCode(high, low)
      const valid = /^[0-9a-f]{2}$/i.test(digits)
      let taken = true
      try {
        parse(digits)
      } catch {
        taken = false
      }
      if (taken !== valid) expect.unreachable(`"${digits}" is ${taken ? '' : 'not '}taken`)
    }
  }
})

test('says where the mistake is', () => {
  expect(() => parse('0d 0a')).toThrow('not a hexadecimal digit at byte 2, near "0d 0a"')
  expect(() => parse('0d0')).toThrow('an odd number of hexadecimal digits at byte 2')
  expect(() => format.parse(Buffer.from('xx0g'), 2, 4)).toThrow('at byte 1, near "0g"')
})

test.each(['0d0a', 7, null, undefined, {}])('cannot write %o', (value) => {
  expect(() => format.print(value as unknown as Buffer)).toThrow(
    expect.objectContaining({ code: 'format_not_printable' }),
  )
})
