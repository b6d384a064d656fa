import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import fc from 'fast-check'
import library from 'protobufjs'
import { afterAll, describe, expect, it } from 'vitest'
import { protobuf } from './protobuf.ts'

const folder = mkdtempSync(join(tmpdir(), 'sluice-protobuf-'))
afterAll(() => rmSync(folder, { recursive: true }))

function write(name: string, text: string): string {
  mkdirSync(dirname(join(folder, name)), { recursive: true })
  writeFileSync(join(folder, name), text)
  return name
}

type Options = Parameters<typeof protobuf.options.parse>[0]

function create(options: Options) {
  const resolvePackage = (name: string) => name
  return protobuf.create(protobuf.options.parse(options), { resolvePath: (path) => join(folder, path), resolvePackage })
}

const ALL = `syntax = "proto3";
package test;
import "google/protobuf/timestamp.proto";
enum Kind { NONE = 0; ONE = 1; }
message All {
  int32 a_int32 = 1; uint32 a_uint32 = 2; sint32 a_sint32 = 3; fixed32 a_fixed32 = 4; sfixed32 a_sfixed32 = 5;
  int64 a_int64 = 6; uint64 a_uint64 = 7; sint64 a_sint64 = 8; fixed64 a_fixed64 = 9; sfixed64 a_sfixed64 = 10;
  double a_double = 11; float a_float = 12; bool a_bool = 13; string a_string = 14; bytes a_bytes = 15;
  Kind kind = 16; repeated Kind kinds = 17; repeated int64 longs = 18; repeated string texts = 19;
  All inner = 20; repeated All inners = 21;
  map<string, int32> by_text = 22; map<int64, All> by_long = 23; map<bool, string> by_bool = 24; map<uint32, bytes> by_int = 25;
  oneof choice { string left = 26; int32 right = 27; }
  optional int32 maybe = 28;
  google.protobuf.Timestamp time = 29;
}
message Other { string name = 1; }
`
const file = write('all.proto', ALL)
const format = create({ file, message: 'All', defaults: false })
const withDefaults = create({ file, message: 'test.All' })
const parse = (bytes: Uint8Array, one = format) => one.parse(Buffer.from(bytes), 0, bytes.length)
const print = (value: unknown) => Buffer.from(format.print(value))

const INT64 = { min: -(2n ** 63n), max: 2n ** 63n - 1n }
const UINT64 = { min: 0n, max: 2n ** 64n - 1n }
const long = (range: { min: bigint; max: bigint }) =>
  fc.bigInt(range).map((value) => (Number.isSafeInteger(Number(value)) ? Number(value) : String(value)))
const bytes = fc.uint8Array({ minLength: 1 }).map((value) => Buffer.from(value))
const text = fc.string({ unit: 'binary', minLength: 1 })
const notZero = <T>(values: fc.Arbitrary<T>) => values.filter((value) => !Object.is(value, 0) && String(value) !== '0')
const kind = fc.constantFrom('NONE', 'ONE', 7)
/** What is not sent in proto3, such as 0 and empty texts, is left out. */
const { all: anyAll } = fc.letrec<{ all: Record<string, unknown> }>((tie) => ({
  all: fc.record(
    {
      a_int32: notZero(fc.integer()),
      a_uint32: notZero(fc.nat()),
      a_sint32: notZero(fc.integer()),
      a_fixed32: notZero(fc.nat()),
      a_sfixed32: notZero(fc.integer()),
      a_int64: notZero(long(INT64)),
      a_uint64: notZero(long(UINT64)),
      a_sint64: notZero(long(INT64)),
      a_fixed64: notZero(long(UINT64)),
      a_sfixed64: notZero(long(INT64)),
      a_double: notZero(fc.double()),
      a_float: notZero(fc.float()),
      a_bool: fc.constant(true),
      a_string: text,
      a_bytes: bytes,
      kind: fc.constantFrom('ONE', 7),
      kinds: fc.array(kind, { minLength: 1 }),
      longs: fc.array(long(INT64), { minLength: 1 }),
      texts: fc.array(fc.string({ unit: 'binary' }), { minLength: 1 }),
      inner: fc.oneof({ maxDepth: 1 }, fc.constant({}), tie('all')),
      by_text: fc
        .dictionary(text, fc.integer(), { minKeys: 1, noNullPrototype: true })
        .filter((map) => !('__proto__' in { ...map }) || !Object.hasOwn(map, '__proto__')),
      by_long: fc.dictionary(fc.bigInt(INT64).map(String), fc.constant({}), { minKeys: 1, noNullPrototype: true }),
      by_bool: fc.constantFrom({ true: 'a' }, { true: 'a', false: '' }),
      by_int: fc.constant({ '7': Buffer.from('x') }),
      right: fc.integer(),
      maybe: fc.integer(),
      time: fc.constant({ seconds: 5, nanos: 1 }),
    },
    { requiredKeys: [], noNullPrototype: true },
  ),
}))

describe('any message', () => {
  it('survives the way there and back', () => {
    fc.assert(
      fc.property(anyAll, (value) => {
        expect(parse(print(value))).toEqual(value)
      }),
    )
  })

  it('is the same with its defaults', () => {
    fc.assert(
      fc.property(anyAll, (value) => {
        const whole = parse(print(value), withDefaults)
        expect(whole).toMatchObject(value)
        expect(parse(Buffer.from(withDefaults.print(whole)), withDefaults)).toEqual(whole)
      }),
    )
  })

  it('that is damaged anywhere is a message or refused', () => {
    fc.assert(
      fc.property(anyAll, fc.nat(), fc.nat(255), (value, place, byte) => {
        const damaged = print(value)
        if (damaged.length > 0) damaged[place % damaged.length] = byte
        for (const one of [damaged, damaged.subarray(0, place % (damaged.length + 1))]) {
          try {
            parse(one)
          } catch (error) {
            expect(error).toMatchObject({ code: 'format_invalid', message: expect.stringMatching(/ at byte \d+/) })
          }
        }
      }),
    )
  })

  it('is what the library makes of it', () => {
    const { root } = library.parse(ALL.replace(/import .*/, '').replace(/.*Timestamp.*/, ''), { keepCase: true })
    const type = root.lookupType('test.All')
    const value = {
      a_int32: -5,
      a_string: 'é',
      texts: ['a', ''],
      kind: 'ONE',
      inner: { a_double: 1.5 },
      by_text: { a: 1 },
    }
    expect(print(value)).toEqual(Buffer.from(type.encode(type.fromObject(value)).finish()))
  })
})

it('fields that were not sent have their default, but those that have none', () => {
  const empty = parse(Buffer.alloc(0), withDefaults) as Record<string, unknown>
  expect(empty).toMatchObject({ a_int32: 0, a_int64: 0, a_double: 0, a_bool: false, a_string: '', kind: 'NONE' })
  expect(empty).toMatchObject({ a_bytes: Buffer.alloc(0), kinds: [], by_text: {} })
  for (const name of ['inner', 'left', 'right', 'maybe', 'time']) expect(empty).not.toHaveProperty(name)
  const own =
    'syntax = "proto2"; message M { optional int32 a = 1 [default = 7]; optional bytes b = 2 [default = "hi"]; }'
  const proto2 = create({ file: write('two.proto', own) })
  expect(parse(Buffer.alloc(0), proto2)).toEqual({ a: 7, b: Buffer.from('hi') })
})

describe('what is hostile', () => {
  const hex = (digits: string) => parse(Buffer.from(digits.replaceAll(' ', ''), 'hex'))
  it.each([
    ['72 05 61', 'a length or a value reaches behind its end at byte 2, in a_string'],
    ['72 ff ff ff ff 0f', 'at byte 6, in a_string'],
    ['72 01 ff', 'a string that is not UTF-8 at byte 2, in a_string'],
    ['a2 01 03 72 05 61', 'at byte 5, in inner.a_string'],
    ['a2 01 04 72 02 61 ff', 'a string that is not UTF-8 at byte 6, in inner.a_string'],
    ['08 ff', 'at byte 2, in a_int32'],
    ['00', 'at byte 1'],
    ['0f', 'at byte 1'],
  ])('%s is refused: %s', (digits, message) => {
    expect(() => hex(digits)).toThrow(message)
    expect(() => hex(digits)).toThrow('not a message test.All: ')
  })

  it('is nested deeper than the library takes', () => {
    let message = Buffer.alloc(0)
    for (let i = 0; i < 200; i++) {
      const { length } = message
      const head = length < 128 ? [0xa2, 1, length] : [0xa2, 1, (length & 127) | 128, length >> 7]
      message = Buffer.concat([Buffer.from(head), message])
    }
    expect(() => parse(message)).toThrow('max depth exceeded at byte')
    const ring: Record<string, unknown> = {}
    ring['inner'] = ring
    expect(() => print(ring)).toThrow('nested too deep, in inner.inner')
  })

  it('is the prototype as a key', () => {
    const entry = Buffer.concat([Buffer.from([0x0a, 9]), Buffer.from('__proto__'), Buffer.from([0x10, 1])])
    const map = Buffer.concat([Buffer.from([0xb2, 1, entry.length]), entry])
    expect(() => parse(map)).toThrow('the key __proto__ in by_text, which is refused')
  })

  it('is not a field that the type does not have', () => {
    expect(hex('fa 3f 01 61 08 05')).toEqual({ a_int32: 5 })
  })
})

describe('what is written', () => {
  it('may be texts and names where numbers are meant', () => {
    expect(parse(print({ a_int32: '-5', a_int64: '9223372036854775807', kind: 1, a_bool: null }))).toEqual({
      a_int32: -5,
      a_int64: '9223372036854775807',
      kind: 'ONE',
    })
  })

  it.each([
    ['a', 'All is written from an object, and this is none'],
    [{ a_strin: 'a' }, 'All has no field a_strin'],
    [{ a_string: 5 }, 'a text is needed, in a_string'],
    [{ a_string: '\ud800' }, 'a text is needed, in a_string'],
    [{ a_bytes: 'a' }, 'bytes are needed, in a_bytes'],
    [{ a_bool: 1 }, 'true or false is needed, in a_bool'],
    [{ a_float: '1' }, 'a number is needed, in a_float'],
    [{ a_float: 1e300 }, '1e+300 does not fit into float, in a_float'],
    [{ a_float: -3.5e38 }, '-3.5e+38 does not fit into float, in a_float'],
    [{ a_int32: 1.5 }, 'a whole number is needed, above 2^53 as a text, in a_int32'],
    [{ a_int64: '9'.repeat(1_000_000) }, 'a whole number is needed, above 2^53 as a text, in a_int64'],
    [{ a_int32: 2 ** 31 }, '2147483648 does not fit into int32, in a_int32'],
    [{ a_uint32: -1 }, '-1 does not fit into uint32, in a_uint32'],
    [{ a_uint64: '18446744073709551616' }, '18446744073709551616 does not fit into uint64, in a_uint64'],
    [{ kind: 'TWO' }, 'a name of Kind is needed, in kind'],
    [{ kinds: ['ONE', 'constructor'] }, 'a name of Kind is needed, in kinds[1]'],
    [{ texts: 'a' }, 'a list is needed, in texts'],
    [{ inner: { inners: [{ a_bool: 'x' }] } }, 'true or false is needed, in inner.inners[0].a_bool'],
    [{ by_text: [1] }, 'an object is needed, in by_text'],
    [{ by_bool: { yes: 'a' } }, 'a key that is true or false is needed, in by_bool.yes'],
    [{ by_int: { x: Buffer.alloc(0) } }, 'a whole number is needed, above 2^53 as a text, in by_int.x'],
    [{ left: 'a', right: 1 }, 'only one of left and right can be written, in right'],
  ])('cannot be %o', (value, message) => {
    expect(() => print(value)).toThrow(expect.objectContaining({ code: 'format_not_printable', message }))
  })

  it('has all that is required', () => {
    const required = create({ file: write('req.proto', 'syntax = "proto2"; message M { required int32 a = 1; }') })
    expect(() => required.print({})).toThrow('M needs the field a')
    expect(() => parse(Buffer.alloc(0), required)).toThrow("missing required 'a' at byte 0")
  })
})

describe('the file', () => {
  const mistake = (options: Options) => {
    try {
      create(options)
    } catch (error) {
      return error
    }
    return undefined
  }

  it('is there, can be read, and has the message', () => {
    const code = 'schema_invalid'
    const near = 'did you mean Other?'
    expect(mistake({ file: 'none.proto' })).toMatchObject({
      code,
      message: expect.stringContaining('there is no such file'),
    })
    expect(mistake({ file: write('bad.proto', 'syntax = "proto3"; mesage M {}') })).toMatchObject({
      code,
      message: expect.stringMatching(/bad.proto cannot be used: illegal token 'mesage'.*line 1/),
    })
    expect(mistake({ file, message: 'Othr' })).toMatchObject({ code, message: 'there is no message Othr', hint: near })
    expect(mistake({ file })).toMatchObject({
      message: 'the file has 2 messages',
      hint: 'write message: with one of test.All, test.Other',
    })
    const empty = write('empty.proto', 'syntax = "proto3";')
    expect(mistake({ file: empty })).toMatchObject({
      message: 'the file has no message',
      hint: 'declare one: message Name { … }',
    })
  })

  it('imports from its own folder, and from nowhere else', () => {
    write('parts/unit.proto', 'syntax = "proto3"; package parts; import "kg.proto"; message Unit { Kg kg = 1; }')
    write('parts/kg.proto', 'syntax = "proto3"; package parts; message Kg { double kg = 1; }')
    const good = write('good.proto', 'syntax = "proto3"; import "parts/unit.proto"; message M { parts.Unit unit = 1; }')
    const nested = create({ file: good })
    expect(parse(Buffer.from(nested.print({ unit: { kg: { kg: 1.5 } } })), nested)).toEqual({
      unit: { kg: { kg: 1.5 } },
    })
    const above = write('parts/above.proto', 'syntax = "proto3"; import "../all.proto"; message M {}')
    expect(mistake({ file: above })).toMatchObject({
      message: expect.stringContaining('imports ../all.proto, which is not in the folder'),
    })
    const absolute = write('abs.proto', `syntax = "proto3"; import "/etc/passwd"; message M {}`)
    expect(mistake({ file: absolute })).toMatchObject({ code: 'schema_invalid' })
    symlinkSync('/etc/hostname', join(folder, 'parts', 'link.proto'))
    const linked = write('parts/linked.proto', 'syntax = "proto3"; import "link.proto"; message M {}')
    expect(mistake({ file: linked })).toMatchObject({ message: expect.stringContaining('which is not in the folder') })
    const missing = write('missing.proto', 'syntax = "proto3"; import "no.proto"; message M {}')
    expect(mistake({ file: missing })).toMatchObject({
      message: expect.stringContaining('imports no.proto, and there is no such file'),
    })
  })
})
