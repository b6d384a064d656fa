import { Decoder, Encoder } from 'cbor-x'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { cbor } from './cbor.ts'

const create = (maxDepth?: number) => cbor.create(cbor.options.parse({ maxDepth }))
const format = create()
const parse = (bytes: Uint8Array) => format.parse(Buffer.from(bytes), 0, bytes.length)
const hex = (digits: string) => parse(Buffer.from(digits.replaceAll(' ', ''), 'hex'))
const print = (value: unknown) => Buffer.from(format.print(value))
/** The other implementation, as a referee. */
const decoder = new Decoder({ mapsAsObjects: true, useRecords: false, int64AsNumber: true } as object)
const encoder = new Encoder({ useRecords: false, tagUint8Array: false })

const time = fc.date({ min: new Date('0001-01-01'), max: new Date('9999-12-31'), noInvalidDate: true })
const bytes = fc.uint8Array({ maxLength: 300 }).map((value) => Buffer.from(value))
const text = fc.string({ unit: 'binary', maxLength: 300 })
const number = fc.oneof(fc.double(), fc.maxSafeInteger(), fc.integer({ min: -70_000, max: 70_000 }))
const plain = fc.jsonValue().filter((value) => !JSON.stringify(value).includes('__proto__'))
const { value: anyValue } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.oneof(fc.constant(null), fc.boolean(), number, text, bytes, time),
    fc.array(tie('value'), { maxLength: 30 }),
    fc.dictionary(
      text.filter((key) => key !== '__proto__'),
      tie('value'),
      { maxKeys: 30, noNullPrototype: true },
    ),
  ),
}))

describe('any value', () => {
  it('survives the way there and back', () => {
    fc.assert(
      fc.property(anyValue, (value) => {
        expect(parse(print(value))).toEqual(value)
      }),
    )
  })

  it('is read by cbor-x as it was written here', () => {
    const common = fc.oneof(plain, text, bytes, fc.double(), fc.integer())
    fc.assert(
      fc.property(common, (value) => {
        expect(decoder.decode(print(value))).toEqual(value)
      }),
    )
  })

  it('is read here as cbor-x has written it', () => {
    const common = fc.oneof(plain, text, bytes, number)
    fc.assert(
      fc.property(common, (value) => {
        const written = encoder.encode(value)
        // It writes 0 for -0.
        expect(parse(written)).toEqual(decoder.decode(written))
      }),
    )
  })

  it('that is cut anywhere is refused', () => {
    fc.assert(
      fc.property(anyValue, fc.nat(), (value, cut) => {
        const whole = print(value)
        const part = whole.subarray(0, cut % whole.length)
        expect(() => parse(part)).toThrow(expect.objectContaining({ code: 'format_invalid' }))
      }),
    )
  })
})

/** RFC 8949, appendix A, where this format has the same value. */
describe('the examples of the RFC', () => {
  it.each<[string, unknown]>([
    ['00', 0],
    ['17', 23],
    ['18 18', 24],
    ['19 03e8', 1000],
    ['1a 000f4240', 1_000_000],
    ['1b 000000e8d4a51000', 1_000_000_000_000],
    ['1b ffffffffffffffff', '18446744073709551615'],
    ['c2 49 010000000000000000', '18446744073709551616'],
    ['3b ffffffffffffffff', '-18446744073709551616'],
    ['c3 49 010000000000000000', '-18446744073709551617'],
    ['20', -1],
    ['39 03e7', -1000],
    ['f9 0000', 0],
    ['f9 8000', -0],
    ['f9 3c00', 1],
    ['f9 3e00', 1.5],
    ['f9 7bff', 65_504],
    ['f9 0001', 2 ** -24],
    ['f9 0400', 0.00006103515625],
    ['f9 c400', -4],
    ['f9 7c00', Number.POSITIVE_INFINITY],
    ['f9 7e00', Number.NaN],
    ['f9 fc00', Number.NEGATIVE_INFINITY],
    ['fa 47c35000', 100_000],
    ['fb 3ff199999999999a', 1.1],
    ['f4', false],
    ['f5', true],
    ['f6', null],
    ['f7', null],
    ['c0 74 323031332d30332d32315432303a30343a30305a', new Date('2013-03-21T20:04:00Z')],
    ['c1 1a 514b67b0', new Date('2013-03-21T20:04:00Z')],
    ['c1 fb 41d452d9ec200000', new Date('2013-03-21T20:04:00.500Z')],
    ['d8 20 76 687474703a2f2f7777772e6578616d706c652e636f6d', { tag: 32, value: 'http://www.example.com' }],
    ['d9 d9f7 01', 1],
    ['40', Buffer.alloc(0)],
    ['44 01020304', Buffer.from([1, 2, 3, 4])],
    ['62 c3bc c3'.slice(0, 8), 'ü'],
    ['80', []],
    ['83 01 82 02 03 82 04 05', [1, [2, 3], [4, 5]]],
    ['a2 01 02 03 04', { '1': 2, '3': 4 }],
    ['5f 42 0102 43 030405 ff', Buffer.from([1, 2, 3, 4, 5])],
    ['7f 65 7374726561 64 6d696e67 ff', 'streaming'],
    ['9f ff', []],
    ['9f 01 82 02 03 9f 04 05 ff ff', [1, [2, 3], [4, 5]]],
    ['bf 61 61 01 61 62 9f 02 03 ff ff', { a: 1, b: [2, 3] }],
  ])('%s', (digits, value) => {
    expect(hex(digits)).toStrictEqual(value)
  })
})

describe('what is hostile', () => {
  it.each([
    ['9b ffffffffffffffff', 'a list of 18446744073709552000 items in a frame that has 0 more bytes at byte 9'],
    ['ba ffffffff 01', 'a map of 4294967295 pairs in a frame that has 1 more bytes at byte 5'],
    ['7a ffffffff 61', 'the frame ends in the middle of a text: 4294967295 bytes needed, 1 left at byte 5'],
    ['a1 61 61 82 01 1c', 'a byte that begins no value of CBOR at byte 5, in a[1]'],
    ['a1 61 61 82 01 61 ff', 'not valid UTF-8 at byte 6, in a[1]'],
    ['01 02', '1 more byte behind the value at byte 1'],
    ['a2 01 02 61 31 03', 'a key that comes twice at byte 3, in 1'],
    ['a1 f6 01', 'a key that is no text, number or boolean at byte 1, in [0]'],
    ['9f 01', 'the frame ends before the break of a value without length at byte 2, in [0]'],
    ['ff', 'a break with nothing to end at byte 0'],
    ['f8 ff', 'a simple value that has no meaning at byte 0'],
    ['5f 61 61 ff', 'a part of a string that is of another kind at byte 1'],
    ['7f 7f ff ff', 'a byte that begins no value of CBOR at byte 1'],
    ['c0 01', 'a time that is none at byte 0'],
    ['c1 fb 7ff8000000000000', 'a time that is none at byte 0'],
    ['c1 1b 001fffffffffffff', 'a time that is none at byte 0'],
    ['c2 01', 'a bignum that is no bytes at byte 0'],
  ])('%s is refused: %s', (digits, message) => {
    expect(() => hex(digits)).toThrow(message)
  })

  it('is a number with a million digits', () => {
    const bignum = (length: number) => Buffer.concat([print([Buffer.alloc(length, 0xff)]).subarray(1)])
    const tagged = (length: number) => Buffer.concat([Buffer.from([0xc2]), bignum(length)])
    expect(parse(tagged(1024))).toHaveLength(2467)
    expect(() => parse(tagged(1025))).toThrow('a bignum of more than 1024 bytes at byte 0')
    expect(() => parse(tagged(10_000_000))).toThrow('a bignum of more than 1024 bytes')
    expect(parse(Buffer.from('c240', 'hex'))).toBe(0)
  })

  it('names the prototype, or is nested deeper than it may be', () => {
    const proto = Buffer.concat([
      Buffer.from([0xa1, 0x61, 0x61, 0xa1, 0x69]),
      Buffer.from('__proto__'),
      Buffer.from([0xa0]),
    ])
    expect(() => parse(proto)).toThrow('the key __proto__, which is refused, at byte 4, in a[0]')
    for (const initial of [0x81, 0x9f, 0xc6]) {
      expect(() => parse(Buffer.alloc(1_000_000, initial))).toThrow('nested deeper than maxDepth, 64 at byte 65')
    }
  })
})

it('times are written as seconds, with a fraction where there is one', () => {
  expect(print(new Date(1000))).toEqual(Buffer.from('c101', 'hex'))
  expect(print(new Date(-1000))).toEqual(Buffer.from('c120', 'hex'))
  expect(print(new Date(1500))).toEqual(Buffer.from('c1fb3ff8000000000000', 'hex'))
})
