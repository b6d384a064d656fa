import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { create, invalid, notPrintable, problems, read, type Written, write } from '../../test/support/struct.ts'
import { createRandom, sampledLayout } from '../../test/support/struct-samples.ts'
import { struct } from './struct.ts'

describe('layouts of all kinds', () => {
  test('100,000 frames of 500 layouts are read as their bytes say, and written as they were', () => {
    for (let layout = 0; layout < 500; layout++) {
      const random = createRandom(layout)
      const endian = layout % 2 === 0 ? 'big' : 'little'
      const { fields, sample } = sampledLayout(random, endian)
      const format = create(fields, endian)
      for (let i = 0; i < 200; i++) {
        const { bytes, row } = sample(random)
        // Frames stand anywhere in what was read.
        const before = random(3)
        const all = Buffer.concat([Buffer.alloc(before, 0xee), bytes, Buffer.alloc(random(3), 0xee)])
        const value = format.parse(all, before, before + bytes.length)
        if (!isDeepStrictEqual(value, row)) expect(value, JSON.stringify(fields)).toEqual(row)
        const printed = format.print(value) as Buffer
        if (!printed.equals(bytes)) expect(printed, JSON.stringify(fields)).toEqual(bytes)
      }
    }
  })

  test('a frame that is cut anywhere is refused, and garbage breaks nothing', () => {
    for (let layout = 0; layout < 100; layout++) {
      const random = createRandom(layout)
      const { fields, sample } = sampledLayout(random, 'big')
      const format = create(fields)
      const { bytes } = sample(random)
      for (let end = 0; end < bytes.length; end++) {
        expect(() => format.parse(bytes, 0, end), JSON.stringify(fields)).toThrow(/ at byte \d+, near "/)
      }
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 80 }), (given) => {
          try {
            format.parse(Buffer.from(given), 0, given.length)
          } catch (error) {
            expect(error).toMatchObject({ code: 'format_invalid' })
          }
        }),
        { numRuns: 20 },
      )
    }
  })

  test('a value that is no such record is refused', () => {
    const { fields } = sampledLayout(createRandom(7), 'big')
    const format = create(fields)
    fc.assert(
      fc.property(fc.anything(), (value) => {
        expect(() => format.print(value as never)).toThrow(expect.objectContaining({ code: 'format_not_printable' }))
      }),
    )
  })
})

describe('names and texts of a user are never code', () => {
  const hostile = [
    '"]; process.exit(1); //',
    "'); process.exit(1) //",
    '`${process.exit(1)}`',
    '*/ process.exit(1) /*',
    '\\"',
    '\u2028process.exit(1)\u2029',
    '\r\nprocess.exit(1)\n',
    '__proto__',
    'constructor',
    'k0',
    'v1',
    'row',
  ]
  const text = fc.oneof(
    fc.constantFrom(...hostile),
    fc.string({ unit: 'grapheme', minLength: 1 }),
    fc.string({ unit: 'grapheme-composite', minLength: 1 }),
  )
  const examples = hostile.map((one): [string] => [one])

  /** Without what refuses such names in a configuration. */
  const createUnchecked = (fields: readonly Written[]) => struct.create({ endian: 'big', fields } as never)

  test('a field of any name is a key of the value, and nothing else', () => {
    fc.assert(
      fc.property(text, (name) => {
        const format = createUnchecked([
          { name: 'list', type: 'array', count: 1, of: [{ name, type: 'u8' }] },
          { name: 'flags', type: 'bits', of: [{ name, bits: 8 }] },
          { name: `${name}!`, type: 'text', length: 1, encoding: 'utf-8' },
        ])
        const row = format.parse(Buffer.from('\x07\x08A'), 0, 3)
        const inner = (value: number) => Object.fromEntries([[name, value]])
        expect(Object.entries(row)).toEqual([
          ['list', [inner(7)]],
          ['flags', inner(8)],
          [`${name}!`, 'A'],
        ])
        expect(Object.getPrototypeOf((row['list'] as object[])[0])).toBe(Object.prototype)
        expect(format.print(row)).toEqual(Buffer.from('\x07\x08A'))
        expect(() => format.parse(Buffer.from('\x07\x08'), 0, 2)).toThrow(invalid(`${name}! has 1 bytes`))
        expect(() => format.print({ ...row, [`${name}!`]: 5 })).toThrow(notPrintable(`${name}! is 5`))
      }),
      { examples },
    )
  })

  test('a text of a layout stands for itself', () => {
    fc.assert(
      fc.property(text, (given) => {
        const fields = [
          { name: 'kind', type: 'u8', names: { 1: given } },
          { type: 'text', equals: given },
          { name: 'same', type: 'text', equals: given },
          { name: 't', type: 'text', length: 'rest' },
        ]
        const frame = Buffer.from(`\x01${given}${given}${given}`)
        const value = { kind: given, same: given, t: given }
        expect(read(fields, frame.toString('hex'))).toEqual(value)
        expect(write(fields, value)).toBe(frame.toString('hex'))
        expect(write(fields, { ...value, kind: 1 })).toBe(frame.toString('hex'))
      }),
      { examples },
    )
  })

  test('a text of a condition is compared', () => {
    const quotable = text.filter((one) => !one.includes('"'))
    fc.assert(
      fc.property(quotable, (given) => {
        const fields = [
          { name: 'kind', type: 'u8', names: { 1: given } },
          { name: 'x', type: 'u8', if: `kind == "${given}"` },
        ]
        expect(read(fields, '0107')).toEqual({ kind: given, x: 7 })
        expect(read(fields, '02')).toEqual({ kind: 2, x: null })
      }),
      { examples: examples.filter(([one]) => !one.includes('"')) },
    )
  })
})

describe('several layouts at once', () => {
  test('with the same names and other types, read in turns, do not mix', () => {
    const types = ['u8', 'i8', 'u16', 'f32', 'u64', 'bits', 'text'] as const
    const formats = types.map((type) => {
      const more = type === 'bits' ? { of: [{ name: 'a', bits: 8 }] } : type === 'text' ? { length: 1 } : {}
      return create([{ name: 'a', type, ...more }])
    })
    const frames = ['ff', 'ff', 'ffff', '3f800000', 'ffffffffffffffff', 'ff', '41'].map((hex) =>
      Buffer.from(hex, 'hex'),
    )
    const values = [255, -1, 65535, 1, '18446744073709551615', { a: 255 }, 'A']
    for (let round = 0; round < 100; round++) {
      for (const [i, format] of formats.entries()) {
        expect(format.parse(frames[i]!, 0, frames[i]!.length)).toEqual({ a: values[i] })
        expect(format.print({ a: values[i] })).toEqual(frames[i])
      }
    }
  })

  test('a format reads frames of different memory in turns', () => {
    const format = create([{ name: 'a', type: 'u16' }])
    const memory = Buffer.from('000100020003', 'hex')
    const frames = [memory.subarray(2, 4), memory, Buffer.from('0007', 'hex'), memory.subarray(4)]
    expect(frames.map((bytes) => format.parse(bytes, 0, 2).a)).toEqual([2, 1, 7, 3])
  })
})

test('a constant text that its encoding cannot hold is a mistake', () => {
  expect(problems({ type: 'text', equals: '€', encoding: 'latin1' })).toEqual([
    'fields.0.equals: this is no text in latin1',
  ])
})
