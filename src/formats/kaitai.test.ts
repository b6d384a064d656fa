import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Format } from '../contracts/format.ts'
import { kaitai } from './kaitai.ts'

const folder = mkdtempSync(join(tmpdir(), 'sluice-kaitai-'))
afterAll(() => rmSync(folder, { recursive: true }))

function write(name: string, text: string): string {
  mkdirSync(dirname(join(folder, name)), { recursive: true })
  writeFileSync(join(folder, name), text)
  return name
}

const { resolve: resolvePackage } = createRequire(import.meta.url)
const create = (file: string) => kaitai.create({ file }, { resolvePath: (path) => join(folder, path), resolvePackage })

const TELEGRAM = `
meta: { id: telegram, endian: be, imports: [ parts/station ] }
seq:
  - { id: magic_no, contents: [0x4b] }
  - { id: stamp, type: u8 }
  - { id: old_stamp, type: s8le }
  - { id: kind, type: u1, enum: kinds }
  - { id: more, type: u1, if: kind == kinds::second }
  - { id: n, type: u1 }
  - { id: item_list, type: item, repeat: expr, repeat-expr: n }
  - { id: where_1, type: station, size: 2 }
types:
  item:
    seq:
      - { id: len, type: u1 }
      - { id: full_name, type: str, size: len, encoding: UTF-8 }
instances:
  twice: { value: n * 2 }
  last_byte: { pos: _io.size - 1, type: u1 }
  far: { pos: 30, type: u1, if: n == 9 }
enums:
  kinds: { 1: first, 2: second }
`
const STATION = `
meta: { id: station }
seq:
  - { id: no, type: u1 }
  - { id: level, type: u1, valid: { max: 5 } }
`
const frame = (digits: string) => Buffer.from(digits.replaceAll(' ', ''), 'hex')
const GOOD = '4b 0000000000000007 ffffffffffffffff 01 02 01 61 02 c3bc 07 05'

describe('a description', () => {
  let format: Format
  const parse = (digits: string) => format.parse(frame(digits), 0, frame(digits).length)

  beforeAll(async () => {
    write('parts/station.ksy', STATION)
    format = create(write('telegram.ksy', TELEGRAM))
    expect(await format.ready).toBeUndefined()
    // The compiler takes a second of its own, and more on a machine that has other work.
  }, 60_000)

  it('gives an object with its own ids, instances included', () => {
    expect(parse(GOOD)).toStrictEqual({
      magic_no: Buffer.from([0x4b]),
      stamp: 7,
      old_stamp: -1,
      kind: 1,
      n: 2,
      item_list: [
        { len: 1, full_name: 'a' },
        { len: 2, full_name: 'ü' },
      ],
      where_1: { no: 7, level: 5 },
      twice: 4,
      last_byte: 5,
    })
  })

  it('keeps all digits of numbers with eight bytes', () => {
    expect(parse('4b ffffffffffffffff 0000000000000080 02 08 00 07 05')).toMatchObject({
      stamp: '18446744073709551615',
      old_stamp: '-9223372036854775808',
      more: 8,
      item_list: [],
    })
  })

  it.each([
    ['', 'requested 1 bytes, but only 0 bytes available at byte 0, in magic_no'],
    ['4c', 'at byte 0, in magic_no, near "L"'],
    ['4b 00', 'requested 8 bytes, but only 1 bytes available at byte 1, in stamp'],
    [
      '4b 0000000000000007 ffffffffffffffff 01 02 01 61 09 c3',
      'but only 1 bytes available at byte 22, in item_list[1].full_name',
    ],
    [
      '4b 0000000000000007 ffffffffffffffff 01 01 01 ff 07 05',
      'a text that is not valid in its encoding at byte 20, in item_list[0].full_name',
    ],
    ['4b 0000000000000007 ffffffffffffffff 01 00 07 06', 'at byte 20, in where_1.level'],
    [`4b 0000000000000007 ffffffffffffffff 01 09 ${'00'.repeat(9)} 07 05`, 'at byte 30, in far'],
  ])('refuses %j, and names the place', (digits, message) => {
    expect(() => parse(digits)).toThrow(expect.objectContaining({ code: 'format_invalid' }))
    expect(() => parse(digits)).toThrow(message)
  })

  it('takes any frame or refuses it, and never reads beside it', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(255), fc.nat(), (place, byte, cut) => {
        const bytes = frame(GOOD)
        bytes[place % bytes.length] = byte
        const end = cut % (bytes.length + 1)
        const alone = outcome(bytes.subarray(0, end), 0, end)
        const around = Buffer.concat([Buffer.alloc(3, 0x4b), bytes.subarray(0, end), Buffer.alloc(3, 5)])
        expect(outcome(around, 3, 3 + end)).toEqual(alone)
      }),
    )
    function outcome(bytes: Buffer, start: number, end: number): unknown {
      try {
        return format.parse(bytes, start, end)
      } catch (error) {
        expect(error).toMatchObject({ code: 'format_invalid' })
        return (error as Error).message
      }
    }
  })

  it('reads all digits in both orders of bytes, signed and unsigned', async () => {
    const eight = `meta: { id: eight }
seq: [ { id: ube, type: u8be }, { id: ule, type: u8le }, { id: sbe, type: s8be }, { id: sle, type: s8le } ]`
    const all = create(write('eight.ksy', eight))
    expect(await all.ready).toBeUndefined()
    const edges = [
      2n ** 53n - 1n,
      2n ** 53n,
      2n ** 64n - 1n,
      1n - 2n ** 53n,
      -(2n ** 53n),
      -(2n ** 63n),
      2n ** 63n - 1n,
    ]
    const given = fc.oneof(fc.constantFrom(...edges), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }))
    fc.assert(
      fc.property(given, (value) => {
        const unsigned = BigInt.asUintN(64, value)
        const signed = BigInt.asIntN(64, value)
        const bytes = Buffer.alloc(32)
        bytes.writeBigUInt64BE(unsigned, 0)
        bytes.writeBigUInt64LE(unsigned, 8)
        bytes.writeBigInt64BE(signed, 16)
        bytes.writeBigInt64LE(signed, 24)
        const [u, s] = [unsigned, signed].map((digits) =>
          Number.isSafeInteger(Number(digits)) ? Number(digits) : String(digits),
        )
        expect(all.parse(bytes, 0, 32)).toEqual({ ube: u, ule: u, sbe: s, sle: s })
      }),
    )
  })

  it('cannot write', () => {
    expect(() => format.print({})).toThrow(
      expect.objectContaining({ code: 'format_not_printable', message: 'the format kaitai only reads' }),
    )
  })

  it('refuses what is nested deeper than there is room for', async () => {
    const nested = 'meta: { id: nested }\nseq:\n  - { id: no, type: u1 }\n  - { id: inner, type: nested, if: no != 0 }'
    const deep = create(write('nested.ksy', nested))
    expect(await deep.ready).toBeUndefined()
    expect(deep.parse(Buffer.from([1, 0]), 0, 2)).toEqual({ no: 1, inner: { no: 0 } })
    expect(() => deep.parse(Buffer.alloc(500_000, 1), 0, 500_000)).toThrow('nested too deep at byte')
  })
})

describe('a file that cannot be used', () => {
  it.each<[string, string | undefined, string | RegExp]>([
    ['none.ksy', undefined, /none\.ksy cannot be used: ENOENT/],
    ['yaml.ksy', 'meta: [', /yaml\.ksy cannot be used: /],
    [
      'type.ksy',
      'meta: { id: x, endian: be }\nseq:\n  - { id: a, type: nope }',
      "x: /seq/0/type: error: unable to find type 'nope'",
    ],
    ['above.ksy', 'meta: { id: x, imports: [ ../../etc/x ] }', 'and there is no such file in'],
  ])('%s says why', async (name, text, message) => {
    if (text !== undefined) write(name, text)
    const error = await create(name).ready
    expect(error).toMatchObject({ code: 'schema_invalid' })
    expect(error!.message).toMatch(message)
  })

  it('is not asked before it is ready', async () => {
    const format = create('telegram.ksy')
    expect(() => format.parse(Buffer.alloc(1), 0, 1)).toThrow('a format is used before it is ready')
    await format.ready
  })
})
