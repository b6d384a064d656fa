import fc from 'fast-check'
import { expect, test } from 'vitest'
import { toArrayLiteral, toColumnText } from '../brokers/postgres-values.ts'
import { readerOf, readList } from './query-postgres-read.ts'

const text = fc.string().filter((one) => !one.includes('\0'))

test('a list is read as it was written', () => {
  fc.assert(
    fc.property(fc.array(fc.option(text)), (items) => {
      expect(readList(toArrayLiteral(items), (item) => item)).toEqual(items)
    }),
  )
  fc.assert(
    fc.property(fc.array(fc.array(text)), (rows) => {
      expect(readList(toColumnText(rows, { listOf: 'text' })!, (item) => item)).toEqual(rows)
    }),
  )
})

test('a list as the server writes it', () => {
  expect(readerOf(1007)('{1,2,NULL,-3}')).toEqual([1, 2, null, -3])
  expect(readerOf(1007)('{}')).toEqual([])
  expect(readerOf(1007)('[0:1]={1,2}')).toEqual([1, 2])
  expect(readerOf(1007)('{{1,2},{3,4}}')).toEqual([
    [1, 2],
    [3, 4],
  ])
  expect(readerOf(1009)('{a b,"NULL","c,\\"d\\"\\\\",""}')).toEqual(['a b', 'NULL', 'c,"d"\\', ''])
  expect(readerOf(1000)('{t,f}')).toEqual([true, false])
})

test('whatever a text is, reading it as a list comes to an end', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('{', '}', ',', '"', '\\', 'a', ' ') }), (garbage) => {
      expect(readList(garbage, (item) => item)).toBeInstanceOf(Array)
    }),
  )
})

test.each([
  [20, '9007199254740991', 2 ** 53 - 1],
  [20, '-9007199254740993', '-9007199254740993'],
  [1700, '12.50', 12.5],
  [1700, '-0.000000000000001', -1e-15],
  [1700, '1234567890.123456', '1234567890.123456'],
  [1700, '9007199254740990.7', '9007199254740990.7'],
  [1700, 'NaN', 'NaN'],
  [701, '1e-300', 1e-300],
  [16, 'f', false],
  [17, '\\x00ff', Buffer.from([0, 255])],
  [3802, '{"a": [1, null]}', { a: [1, null] }],
  [1184, '2026-01-02 03:04:05.678+00', new Date('2026-01-02T03:04:05.678Z')],
  [1184, '2026-01-02 03:04:05+05:30', new Date('2026-01-01T21:34:05Z')],
  [1184, 'infinity', 'infinity'],
  [1082, '2026-01-02', '2026-01-02'],
  [1114, '2026-01-02 03:04:05', '2026-01-02 03:04:05'],
  [99_999, 'red', 'red'],
])('type %i: %s', (type, written, expected) => {
  expect(readerOf(type)(written)).toEqual(expected)
})
