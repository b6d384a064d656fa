import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { create as createStruct } from '../../test/support/struct.ts'
import type { Format } from '../contracts/format.ts'
import { cbor } from './cbor.ts'
import { csv } from './csv.ts'
import { json } from './json.ts'
import { keyValue } from './key-value.ts'
import { msgpack } from './msgpack.ts'
import { nmea } from './nmea.ts'
import { protobuf } from './protobuf.ts'
import { syslog } from './syslog.ts'
import { text } from './text.ts'
import { xml } from './xml.ts'

const folder = mkdtempSync(join(tmpdir(), 'sluice-times-'))
afterAll(() => rmSync(folder, { recursive: true }))

writeFileSync(
  join(folder, 'times.proto'),
  `syntax = "proto3";
import "google/protobuf/timestamp.proto";
message Times {
  google.protobuf.Timestamp at = 1; repeated google.protobuf.Timestamp all = 2; Times inner = 3;
  map<string, string> names = 4; int64 number = 5; string text = 6;
}`,
)

const time = new Date('2026-01-31T12:00:00.250Z')
const written = '2026-01-31T12:00:00.250Z'
const never = new Date(Number.NaN)
const map = new Map([['a', 1]])
const formats = {
  json: json.create(json.options.parse({})),
  text: text.create(text.options.parse({})),
  msgpack: msgpack.create(msgpack.options.parse({})),
  cbor: cbor.create(cbor.options.parse({})),
  xml: xml.create(xml.options.parse({})),
  csv: csv.create(csv.options.parse({ columns: ['a'] })),
  'key-value': keyValue.create(keyValue.options.parse({})),
  syslog: syslog.create(syslog.options.parse({})),
  nmea: nmea.create(nmea.options.parse({})),
  protobuf: protobuf.create(protobuf.options.parse({ file: 'times.proto' }), {
    resolvePath: (path) => join(folder, path),
    resolvePackage: (name) => name,
  }),
  struct: createStruct([
    { name: 'kind', type: 'u8', equals: 1 },
    { name: 's', type: 'struct', of: [{ name: 'kind', type: 'u8', equals: 2 }] },
  ]),
}
const print = (name: keyof typeof formats, value: unknown) => Buffer.from((formats[name] as Format).print(value))
const read = (name: keyof typeof formats, bytes: Buffer) => (formats[name] as Format).parse(bytes, 0, bytes.length)
const refused = (message: string) =>
  expect.objectContaining({ code: 'format_not_printable', message: expect.stringContaining(message) })

test.each<[keyof typeof formats, unknown, string]>([
  ['json', time, `"${written}"`],
  ['json', { at: time }, `{"at":"${written}"}`],
  ['text', time, written],
  ['xml', { r: time }, `<r>${written}</r>`],
  ['xml', { r: { '@at': time, '#text': time } }, `<r at="${written}">${written}</r>`],
  ['csv', [time], written],
  ['key-value', { at: time }, `at=${written}`],
  ['syslog', { timestamp: time, message: 'x' }, `<13>1 ${written} - - - - - x`],
])('%s writes a time in %o', (name, value, expected) => {
  expect(print(name, value).toString()).toBe(expected)
})

test.each(['msgpack', 'cbor'] as const)('%s keeps a time', (name) => {
  for (const value of [time, new Date(-1), new Date(0)])
    expect(read(name, print(name, { at: value }))).toEqual({ at: value })
})

describe('protobuf', () => {
  test.each([
    [time, 1_769_860_800, 250_000_000],
    [new Date(0), 0, 0],
    // Nanoseconds count forward, before 1970 too.
    [new Date(-1), -1, 999_000_000],
    [new Date(-1000), -1, 0],
    [new Date('0001-01-01T00:00:00Z'), -62_135_596_800, 0],
    [new Date('9999-12-31T23:59:59.999Z'), 253_402_300_799, 999_000_000],
  ])('writes %o as a Timestamp', (value, seconds, nanos) => {
    const bytes = print('protobuf', { at: value, all: [value] })
    const found = read('protobuf', bytes) as object
    expect(found).toMatchObject({ at: { seconds, nanos }, all: [{ seconds, nanos }] })
    expect(print('protobuf', { at: { seconds, nanos }, all: [{ seconds, nanos }] })).toEqual(bytes)
  })

  test.each([[never], [new Date('0000-12-31T23:59:59.999Z')], [new Date('+010000-01-01T00:00:00Z')]])(
    'does not write %o',
    (value) => {
      expect(() => print('protobuf', { at: value })).toThrow(
        refused('a time that is not in the years 1 to 9999, in at'),
      )
    },
  )
})

test.each<[keyof typeof formats, unknown, string]>([
  ['xml', time, 'a document has one outermost element'],
  ['csv', time, 'a row is an object or a list'],
  ['key-value', time, 'key-value writes an object, and this is none'],
  ['syslog', time, 'a syslog message is written from an object'],
  ['syslog', { data: time }, 'data is no object of elements'],
  ['syslog', { data: { a: time } }, 'data.a is no object of parameters'],
  ['nmea', time, 'a sentence is written from an object'],
  ['nmea', { talker: 'GP', type: 'XXX', fields: [time] }, 'field 1 is no text and no number'],
  ['protobuf', time, 'Times is written from an object, and this is none'],
  ['protobuf', { inner: time }, 'Times is written from an object, and this is none, in inner'],
  ['protobuf', { names: time }, 'an object is needed, in names'],
  ['protobuf', { number: time }, 'a whole number is needed'],
  ['protobuf', { text: time }, 'a text is needed, in text'],
  ['struct', time, 'the value is a time, and takes an object'],
  ['struct', { s: time }, 's is a time, and takes an object'],
  ['text', never, 'a time that is none'],
  ['xml', { r: never }, 'a time that is none'],
  ['csv', [never], 'a time that is none'],
  ['key-value', { at: never }, 'a time that is none'],
])('%s refuses a time in %o', (name, value, message) => {
  expect(() => print(name, value)).toThrow(refused(message))
})

const COLLECTION = 'a Map or a Set cannot be written'

test.each<[keyof typeof formats, (collection: unknown) => unknown, string]>([
  ['json', (collection) => collection, COLLECTION],
  ['json', (collection) => ({ a: [collection] }), COLLECTION],
  ['text', (collection) => collection, COLLECTION],
  ['text', (collection) => ({ a: [collection] }), COLLECTION],
  ['msgpack', (collection) => collection, COLLECTION],
  ['msgpack', (collection) => ({ a: collection }), `${COLLECTION}, in a`],
  ['cbor', (collection) => ({ a: collection }), `${COLLECTION}, in a`],
  ['xml', (collection) => collection, 'a document has one outermost element'],
  ['xml', (collection) => ({ r: { a: collection } }), `${COLLECTION}, in r.a`],
  ['xml', (collection) => ({ r: { '@a': collection } }), `${COLLECTION}, in r.@a`],
  ['csv', (collection) => collection, 'a row is an object or a list'],
  ['csv', (collection) => [collection], COLLECTION],
  ['key-value', (collection) => collection, 'key-value writes an object, and this is none'],
  ['key-value', (collection) => ({ a: collection }), COLLECTION],
  ['syslog', (collection) => collection, 'a syslog message is written from an object'],
  ['syslog', (collection) => ({ data: collection }), 'data is no object of elements'],
  ['syslog', (collection) => ({ message: collection }), COLLECTION],
  ['nmea', (collection) => collection, 'a sentence is written from an object'],
  ['protobuf', (collection) => collection, 'Times is written from an object, and this is none'],
  ['protobuf', (collection) => ({ names: collection }), 'an object is needed, in names'],
  ['protobuf', (collection) => ({ at: collection }), 'Timestamp is written from an object, and this is none, in at'],
  ['struct', (collection) => collection, 'the value is a Map or a Set, and takes an object'],
])('%s refuses a Map and a Set: %s', (name, around, message) => {
  expect(() => print(name, around(map))).toThrow(refused(message))
  expect(() => print(name, around(new Set(['a'])))).toThrow(refused(message))
})
