import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { keyValue } from './key-value.ts'

type Options = Parameters<typeof keyValue.options.parse>[0]

const create = (options: Options = {}) => keyValue.create(keyValue.options.parse(options))
function parse(text: string, options: Options = {}): unknown {
  const bytes = Buffer.from(text)
  return create(options).parse(bytes, 0, bytes.length)
}
const print = (value: unknown, options: Options = {}) => create(options).print(value)
const problems = (options: Options) => keyValue.options.safeParse(options).error?.issues.map(({ message }) => message)

const anyText = fc.string({ unit: fc.constantFrom('a', '1', '"', '=', ';', ':', '&', ' ', '\t', 'é'), maxLength: 6 })
const variants: Options[] = [
  {},
  { separator: ' ' },
  { separator: ';;', equals: '::' },
  { separator: '\\t', equals: ':' },
  { trim: false },
  { separator: '&', quote: '' },
  { separator: '-;', equals: '=-' },
]

describe('pairs', () => {
  it.each(variants)('survive the way there and back with %o, or cannot be written', (options) => {
    fc.assert(
      fc.property(fc.dictionary(anyText, anyText, { noNullPrototype: true }), (pairs) => {
        let text: string
        try {
          text = print(pairs, options).toString()
        } catch (error) {
          expect(error).toMatchObject({ code: 'format_not_printable' })
          return
        }
        expect(parse(text, options)).toEqual(pairs)
      }),
      { numRuns: 1000 },
    )
  })

  it.each(variants)('of garbage are an object or refused, with %o', (options) => {
    fc.assert(
      fc.property(anyText, anyText, (a, b) => {
        try {
          const value = parse(`${a}=${b};${a}`, options)
          expect(parse(print(value, options).toString(), options)).toEqual(value)
        } catch (error) {
          expect(error).toMatchObject({ code: expect.stringMatching(/^format_/) })
        }
      }),
    )
  })

  it('are trimmed, unless they shall not be', () => {
    expect(parse(' a = 1 ;  b=" 2 " ;; ')).toEqual({ a: '1', b: ' 2 ' })
    expect(parse(' a = 1 ', { trim: false })).toEqual({ ' a ': ' 1 ' })
    expect(parse('')).toEqual({})
    expect(parse('a=')).toEqual({ a: '' })
    expect(parse('a=1=2;b="x""y;"')).toEqual({ a: '1=2', b: 'x"y;' })
  })

  it('that come again are refused, or the last counts, or they are a list', () => {
    expect(() => parse('a=1;b=2;a=3')).toThrow('the key a comes twice at byte 8, in a, near "a=1;b=2;a=3"')
    expect(parse('a=1;b=2;a=3', { repeated: 'last' })).toEqual({ a: '3', b: '2' })
    expect(parse('a=1;b=2;a=3;a=4', { repeated: 'list' })).toEqual({ a: ['1', '3', '4'], b: '2' })
    expect(print({ a: [1, 2], b: 3 }, { repeated: 'list' })).toBe('a=1;a=2;b=3')
  })

  it('may be numbers', () => {
    expect(parse('a=1.5;b=007;c="2"', { numbers: true })).toEqual({ a: 1.5, b: '007', c: 2 })
    expect(() => parse('id=7;kg=x', { numbers: ['kg'] })).toThrow('"x" is not a number at byte 8, in kg')
  })

  it('keep clear of prototypes', () => {
    expect(() => parse('a=1; __proto__=2')).toThrow('the key __proto__, which is refused, at byte 4')
    expect(parse('constructor=1;toString=2')).toEqual({ constructor: '1', toString: '2' })
    expect(() => parse('constructor=1;constructor=2')).toThrow('the key constructor comes twice')
  })

  it.each([
    ['é;a=1', 'a piece without "=" at byte 0'],
    ['a=1;é;b', 'a piece without "=" at byte 4'],
    ['a=1;=2', 'a value without a key at byte 4'],
    ['a="1', 'a quote that is not closed at byte 2, in a'],
    ['a="1"2', 'something behind the closing quote at byte 5, in a'],
  ])('%j is refused with the place', (text, message) => {
    expect(() => parse(text)).toThrow(message)
  })
})

describe('what is written', () => {
  it('are texts of all kinds', () => {
    const time = new Date('2026-01-01T00:00:00Z')
    expect(print({ a: 1, b: true, c: null, d: undefined, e: time, f: { x: 1 } })).toBe(
      'a=1;b=true;c=;e=2026-01-01T00:00:00.000Z;f={"x":1}',
    )
  })

  it.each([
    ['a', 'key-value writes an object, and this is none'],
    [['a'], 'key-value writes an object, and this is none'],
    [{ '': 1 }, 'the key "" cannot be written'],
    [{ 'a=b': 1 }, 'the key "a=b" cannot be written'],
    [{ a: '\udc00' }, 'a has half a surrogate pair'],
    [{ a: Buffer.from('a') }, 'a is bytes'],
  ])('cannot be %j', (value, message) => {
    expect(() => print(value)).toThrow(expect.objectContaining({ code: 'format_not_printable', message }))
  })
})

it('separators that cannot be told apart are refused', () => {
  expect(problems({ separator: '=' })).toEqual(['equals and separator hold each other'])
  expect(problems({ separator: '==' })).toEqual(['equals and separator hold each other'])
  expect(problems({ separator: '"' })).toEqual(['the quote is a separator too'])
  expect(problems({ separator: '' })).not.toBeUndefined()
  expect(problems({ separator: '\\q' })).toEqual(['expected a text, in which \\t may be written for a tab'])
})
