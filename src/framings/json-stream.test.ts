import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeAll, encodeOne, singleBytes } from '../testing/framing-run.ts'
import { Framer } from '../wire/framer.ts'
import { jsonStream } from './json-stream.ts'

const framing = jsonStream.create({ maxDepth: 128 })
const decode = (...texts: string[]) =>
  decodeAll(
    framing,
    texts.map((text) => Buffer.from(text)),
  )

test('an object, a list and a text are there with their last byte', () => {
  for (const text of ['{}', '[1,{"a":[]}]', '"a\\"b"']) {
    const framer = new Framer(framing.createDecoder(100), 100)
    expect(framer.push(Buffer.from(text)).count).toBe(1)
    expect(framer.unread).toBe(0)
  }
})

test('brackets and quotes in a text do not count', () => {
  expect(decode('{"a":"}]\\"{"}["\\\\"]')).toEqual(['={"a":"}]\\"{"}', '=["\\\\"]'])
})

test('a number ends with what follows it, or with the input', () => {
  expect(decode('12', '3 4', '.5')).toEqual(['=123', '=4.5'])
  expect(decode('1{}')).toEqual(['=1', '={}'])
})

test('a record separator may stand before a value (RFC 7464)', () => {
  expect(decode('\x1e{"a":1}\n\x1e2\n')).toEqual(['={"a":1}', '=2'])
})

test('what begins no value is given up to the next line or bracket', () => {
  expect(decode('?? 1 "a"{"b":2}')).toEqual(['!?? 1 "a"', '={"b":2}'])
  expect(decode('?\n1\n')).toEqual(['!?', '=1'])
  expect(decode('}{}')).toEqual(['!}', '={}'])
})

test('brackets that do not match fail their value alone', () => {
  expect(decode('{"a":[1}{"b":2}')).toEqual(['!{"a":[1}', '={"b":2}'])
})

test('what is cut off was no value', () => {
  expect(decode('{"a":1')).toEqual(['frame_truncated'])
  expect(decode('"a')).toEqual(['frame_truncated'])
})

test('too deep nesting closes', () => {
  const shallow = jsonStream.create({ maxDepth: 2 })
  expect(decodeAll(shallow, [Buffer.from('[[]][[[')])).toEqual(['=[[]]', 'frame_invalid'])
})

test('exactly one value can be written', () => {
  expect(encodeOne(framing, '{"a":1}')).toEqual(Buffer.from('{"a":1}\n'))
  for (const text of ['', ' 1', '1 ', '1 2', '{}{}', '{', '?', '[}', '['.repeat(200)]) {
    expect(encodeOne(framing, text)).toBeUndefined()
  }
})

test('any values, with anything that may stand between them, come out for any split', () => {
  const value = fc.oneof(
    fc.dictionary(fc.string(), fc.jsonValue()),
    fc.array(fc.jsonValue()),
    fc.string({ unit: 'binary' }),
  )
  const printed = fc.tuple(value, fc.constantFrom(0, 2)).map(([one, indent]) => JSON.stringify(one, null, indent))
  const between = fc.constantFrom('', ' ', '\n', '\r\n\t')
  fc.assert(
    fc.property(fc.array(fc.tuple(printed, between), { maxLength: 5 }), fc.nat(), (all, cut) => {
      const stream = Buffer.from(all.flat().join(''))
      const expected = all.map(([text]) => `=${Buffer.from(text).toString('latin1')}`)
      const at = cut % (stream.length + 1)
      expect(decodeAll(framing, [stream.subarray(0, at), stream.subarray(at)])).toEqual(expected)
      expect(decodeAll(framing, singleBytes(stream))).toEqual(expected)
    }),
    { numRuns: 300 },
  )
})
