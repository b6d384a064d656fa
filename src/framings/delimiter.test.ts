import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { NEED_MORE } from '../contracts/framing.ts'
import { decodeAll, encodeOne, NO_LIMIT, singleBytes } from '../testing/framing-run.ts'
import { Framer } from '../wire/framer.ts'
import { delimiter } from './delimiter.ts'

const create = (...any: string[]) => delimiter.create({ any: any.map((one) => Buffer.from(one, 'latin1')) })
const reads = (...texts: string[]) => texts.map((text) => Buffer.from(text, 'latin1'))

describe('CR LF or CR alone', () => {
  for (const framing of [create('\r\n', '\r'), create('\r', '\r\n'), create('\r', '\r\n', '\n')]) {
    test('a CR that ends a read gives its frame at once', () => {
      const framer = new Framer(framing.createDecoder(NO_LIMIT), NO_LIMIT)
      expect(framer.push(Buffer.from('one\r')).count).toBe(1)
      expect(framer.unread).toBe(0)
    })

    test('the LF that follows in the next read makes no frame and is not left unread', () => {
      const framer = new Framer(framing.createDecoder(NO_LIMIT), NO_LIMIT)
      framer.push(Buffer.from('one\r'))
      expect(framer.push(Buffer.from('\n')).count).toBe(0)
      expect(framer.unread).toBe(0)
      const frames = framer.push(Buffer.from('two\r\r'))
      expect([frames.at(0).toString(), frames.at(1).toString()]).toEqual(['two', ''])
    })
  }

  test('LF is data where it follows no CR', () => {
    expect(decodeAll(create('\r\n', '\r'), reads('\na\r\n\nb\r'))).toEqual(['=\na', '=\nb'])
  })
})

test('the longest wins, and a shorter one inside a longer one waits for it', () => {
  const framing = create('abc', 'b')
  expect(decodeAll(framing, reads('xabcyb'))).toEqual(['=x', '=y'])
  expect(decodeAll(framing, reads('xab', 'cyb'))).toEqual(['=x', '=y'])
  expect(decodeAll(framing, reads('xab', 'dyb'))).toEqual(['=xa', '=dy'])
})

test('the end of the input ends what a longer delimiter was waited for', () => {
  expect(decodeAll(create('abc', 'b'), reads('xab'))).toEqual(['=xa'])
  expect(decodeAll(create('\r', '\r\r\n'), reads('x\r', '\r'))).toEqual(['=x', '='])
  expect(decodeAll(create('|'), reads('a|b'))).toEqual(['=a', 'frame_truncated'])
})

test('a payload that could not be read back is refused', () => {
  expect(encodeOne(create('|'), 'a|')).toBeUndefined()
  expect(encodeOne(create('aa'), 'xa')).toBeUndefined()
  expect(encodeOne(create('\r', '\r\n'), '\nx'), 'its LF would end the frame before').toBeUndefined()
  expect(encodeOne(create('\r\n', '\r'), '\nx')).toEqual(Buffer.from('\nx\r\n'))
})

test('any list of delimiters gives the same frames for any split', () => {
  const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 3 })
  const words = fc.uniqueArray(word, { minLength: 1, maxLength: 3 })
  const stream = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', 'c', 'd'), maxLength: 6 }), { maxLength: 6 })
  fc.assert(
    fc.property(words, stream, (any, texts) => {
      const framing = create(...any)
      const whole = decodeAll(framing, reads(texts.join('')))
      expect(decodeAll(framing, reads(...texts))).toEqual(whole)
      expect(decodeAll(framing, singleBytes(Buffer.from(texts.join(''))))).toEqual(whole)
    }),
    { numRuns: 5000 },
  )
})

test('bytes behind the end of what was read do not count', () => {
  const found = { start: 0, end: 0, payload: undefined, error: undefined, skipped: false }
  expect(create('|').createDecoder(9).next(Buffer.from('ab|'), 0, 2, found)).toBe(NEED_MORE)
})

test('two equal delimiters and an empty one are refused', () => {
  expect(delimiter.options.safeParse({ any: ['|', { hex: '7c' }] }).success).toBe(false)
  expect(delimiter.options.safeParse({ any: [] }).success).toBe(false)
  expect(delimiter.options.safeParse({ any: '' }).success).toBe(false)
})
