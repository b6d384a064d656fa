import { describe, expect, test } from 'vitest'
import { bytesOf, notPrintable, problems, read, type Written, write } from '../../test/support/struct.ts'

describe('conditions', () => {
  const named = { name: 'kind', type: 'u8', names: { 1: 'alarm' } }
  const flags = { name: 'flags', type: 'bits', of: [{ name: 'a' }, { bits: 3 }, { name: 'b', bits: 4 }] }
  const header = [named, flags, { name: 'n', type: 'i16' }]
  test.each<[string, string, boolean]>([
    ['kind == "alarm"', '01 00 0000', true],
    ["kind == 'alarm'", '02 00 0000', false],
    ['kind != "alarm"', '02 00 0000', true],
    ['flags.a', '01 80 0000', true],
    ['flags.a', '01 7f 0000', false],
    ['flags.a && flags.b > 3', '01 84 0000', true],
    ['flags.a && flags.b > 3', '01 83 0000', false],
    ['flags.a == 1 || n < -1', '01 00 fffe', true],
    ['flags.a == 1 || n < -1', '01 00 ffff', false],
    ['n <= 5 && n >= 5', '01 00 0005', true],
    ['n & 0x0101', '01 00 0100', true],
    ['n & 0x0101 == 1', '01 00 0100', false],
    ['kind > 1', '01 00 0000', false],
    ['kind & 1', '01 00 0000', false],
  ])('%s, for %s: %s', (condition, hex, there) => {
    const fields = [...header, { name: 'extra', type: 'u8', if: condition }]
    const value = read(fields, `${hex} ${there ? '07' : ''}`)
    expect(value).toMatchObject({ extra: there ? 7 : null })
    expect(write(fields, value)).toBe(
      bytesOf(hex + (there ? '07' : ''))
        .toString('hex')
        .replace(/^(..)./, (all, kind) => kind + (flagsOf(all) & 8 ? '8' : '0')),
    )
    if (!there)
      expect(() => write(fields, { ...(value as object), extra: 7 })).toThrow(
        notPrintable('extra has a value, and its condition is not met'),
      )
  })

  /** Bits without a name are written as 0. */
  function flagsOf(hex: string): number {
    return Number.parseInt(hex[2]!, 16)
  }

  test.each<[string, string]>([
    ['q', 'no field q stands before this one'],
    ['knd == 1', 'no field knd stands before this one; did you mean kind?'],
    ['flags.c', 'no field flags.c stands before this one'],
    ['kind.a', 'no field kind.a stands before this one'],
    ['n = 1', '= 1 is no part of a condition'],
    ['n ==', 'the condition ends too early'],
    ['n &&', 'the condition ends too early'],
    ['', 'the condition ends too early'],
    ['1 == n', 'there is 1 where the name of a field is needed'],
    ['n == kind', 'there is kind where a number or a text in quotes is needed'],
    ['n kind', 'there is kind where && or || is needed'],
    ['n & "x"', '& needs a whole number behind it, such as 0x80'],
    ['extra', 'no field extra stands before this one'],
  ])('%j is a mistake: %s', (condition, message) => {
    expect(problems(...header, { name: 'extra', type: 'u8', if: condition })).toEqual([
      expect.stringMatching(`fields.3.if: ${message.replaceAll(/[?|$]/g, '.')}`),
    ])
  })
})

describe('mistakes in the fields', () => {
  const a = { name: 'a', type: 'u8' }
  test.each<[string, readonly Written[], string]>([
    ['a type', [{ name: 'a', type: 'u17' }], 'fields.0.type: '],
    ['__proto__', [{ name: '__proto__', type: 'u8' }], 'fields.0.name: __proto__ cannot be used as a name'],
    ['a name', [{ name: 'a b', type: 'u8' }], 'fields.0.name: expected a name of letters'],
    ['an unknown key', [{ name: 'a', type: 'u8', scael: 2 }], 'fields.0: Unrecognized key: "scael"'],
    ['two names', [a, a], 'fields.1.name: there are two fields a'],
    ['no name', [{ type: 'u8' }], 'fields.0: a field of type u8 needs a name'],
    ['a constant', [{ ...a, equals: 256 }], 'fields.0.equals: 256 is no u8'],
    ['a scaled constant', [{ ...a, equals: 1, scale: 2 }], 'fields.0.equals: a number that is always the same'],
    ['a named number', [{ ...a, names: { 300: 'x' } }], 'fields.0.names.300: 300 is no u8'],
    [
      'a text with a scale',
      [{ name: 'a', type: 'bcd', length: 2, as: 'text', scale: 2 }],
      'fields.0.as: a text has no scale',
    ],
    ['names of names', [{ ...a, names: { x: 'y' } }], 'fields.0.names.x: '],
    ['equal names', [{ ...a, names: { 1: 'x', 2: 'x' } }], 'fields.0.names: two numbers have the name x'],
    ['names with a scale', [{ ...a, names: { 1: 'x' }, scale: 2 }], 'fields.0.names: a number has names or a scale'],
    ['no scale', [{ ...a, scale: 0 }], 'fields.0.scale: expected a number other than 0'],
    ['a text', [{ name: 't', type: 'text' }], 'fields.0: a text needs one of length and until'],
    ['a constant text', [{ type: 'text', equals: 'a', length: 1 }], 'fields.0.equals: a text that is always the same'],
    [
      'padding',
      [{ name: 't', type: 'text', until: '\0', padding: ' ' }],
      'fields.0.padding: only a text of a fixed length',
    ],
    ['padding of two', [{ name: 't', type: 'text', length: 2, padding: 'ab' }], 'fields.0.padding: expected one byte'],
    ['bytes', [{ name: 'b', type: 'bytes' }], 'fields.0: bytes need one of length and equals'],
    ['a length', [{ name: 'b', type: 'bytes', length: 'b' }], 'fields.0.length: no field b stands before this one'],
    [
      'a length of words',
      [a, { name: 'b', type: 'bytes', length: '2 * a' }],
      'fields.1.length: expected a number, the name',
    ],
    [
      'a length with a scale',
      [
        { ...a, scale: 2 },
        { name: 'b', type: 'bytes', length: 'a' },
      ],
      'fields.1.length: a is no whole number',
    ],
    [
      'a length that is a text',
      [
        { name: 't', type: 'text', length: 1 },
        { name: 'b', type: 'text', length: 't' },
      ],
      'fields.1.length: t is no whole number',
    ],
    [
      'bits',
      [{ name: 'f', type: 'bits', of: [{ name: 'x', bits: 7 }] }],
      'fields.0.of: the groups have 7 bits together',
    ],
    [
      'two groups',
      [{ name: 'f', type: 'bits', of: [{ name: 'x', bits: 7 }, { name: 'x' }] }],
      'fields.0.of.1.name: there are two groups x',
    ],
    ['an array', [{ name: 'l', type: 'array', of: 'u8' }], 'fields.0: an array needs one of count and length'],
    ['a count', [{ name: 'l', type: 'array', of: 'u8', count: 'x' }], 'fields.0.count: no field x stands before'],
    ['a count of the rest', [{ name: 'l', type: 'array', of: 'u8', count: 'rest' }], 'fields.0: an array needs one of'],
    [
      'an empty item',
      [a, { name: 'l', type: 'array', count: 'a', of: [{ ...a, if: 'a > 3' }] }],
      'fields.1.of: an item can be empty',
    ],
    [
      'rest in an array',
      [{ name: 'l', type: 'array', count: 2, of: [a, { name: 't', type: 'text', length: 'rest' }] }],
      'fields.0.of.1.length: rest means nothing inside an array',
    ],
    [
      'rest before what varies',
      [
        { name: 't', type: 'text', length: 'rest' },
        { name: 'u', type: 'text', until: '\0' },
      ],
      'fields.0.length: rest needs fields of fixed size behind it',
    ],
    [
      'rest in a struct before what varies',
      [
        { name: 's', type: 'struct', of: [{ name: 't', type: 'text', length: 'rest' }] },
        { ...a, if: 's' },
      ],
      'fields.0: rest needs fields of fixed size behind it',
    ],
    [
      'a checksum from',
      [a, { type: 'checksum', algorithm: 'crc8', from: 'aa' }],
      'fields.1.from: there is no field aa beside this one; did you mean a?',
    ],
    ['a checksum of nothing', [{ type: 'checksum', algorithm: 'crc8' }], 'fields.0: the checksum is of no field'],
    [
      'a checksum of itself',
      [a, { name: 'c', type: 'checksum', algorithm: 'crc8', to: 'c' }],
      'fields.1: a checksum cannot be of itself',
    ],
    [
      'a length of nothing',
      [
        { ...a, lengthOf: { from: 'c', to: 'b' } },
        { ...a, name: 'b' },
        { ...a, name: 'c' },
      ],
      'fields.0.lengthOf: the length is of no field',
    ],
    [
      'a constant length',
      [{ ...a, equals: 1, lengthOf: { from: 'a', to: 'a' } }],
      'fields.0.lengthOf: a length has no equals',
    ],
  ])('%s', (_title, fields, message) => {
    expect(problems(...fields)).toContainEqual(expect.stringContaining(message))
  })

  test('structs can be nested, but not for ever', () => {
    const nest = (depth: number): Written => ({ name: 'a', type: 'struct', of: [depth === 0 ? a : nest(depth - 1)] })
    expect(problems(nest(6))).toEqual([])
    expect(problems(nest(7))).toEqual([expect.stringContaining('there can be 8 structs inside each other')])
  })
})
