import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { json } from './json.ts'

const format = json.create(json.options.parse({}))
const parse = (text: string) => {
  const bytes = Buffer.from(text)
  return format.parse(bytes, 0, bytes.length)
}
/** fast-check likes to use the one key that is refused. */
const anyJson = fc.json({ maxDepth: 6 }).filter((text) => !text.includes('__proto__'))
const notPrintable = expect.objectContaining({ code: 'format_not_printable' })

test('reads what JSON.parse reads', () => {
  fc.assert(
    fc.property(anyJson, (text) => {
      expect(parse(text)).toEqual(JSON.parse(text))
    }),
  )
})

test('any JSON value survives the way there and back', () => {
  const value = fc.jsonValue({ noUnicodeString: false }).filter((some) => !JSON.stringify(some).includes('__proto__'))
  fc.assert(
    fc.property(value, (some) => {
      const text = format.print(some) as string
      expect(parse(text)).toEqual(JSON.parse(JSON.stringify(some)))
    }),
  )
})

describe('a mistake is named with its place', () => {
  test.each([
    ['{"a": x}', 'not valid JSON: expected a value at byte 6, near "{"a": x}"'],
    ['{"ä": x}', 'expected a value at byte 7'],
    ['{"a":1', 'the text ends, expected , or } at byte 6'],
    ['{"a":1 "b":2}', 'expected , or } at byte 7'],
    ["{'a':1}", 'expected a key in double quotes at byte 1'],
    ['', 'the text ends, expected a value at byte 0'],
    ['1 2', 'unexpected text after the value at byte 2'],
    [`{"a":"${'x'.repeat(100)}"`, 'at byte 107, near "…xxxxxxxxxxxxxxx""'],
  ])('%s', (text, message) => {
    expect(() => parse(text)).toThrow(message)
  })

  test('and invalid UTF-8 is refused, never replaced', () => {
    expect(() => format.parse(Buffer.from('"a\xffb"', 'latin1'), 0, 5)).toThrow('not valid UTF-8 at byte 2')
    expect(parse('"\ufffd"')).toBe('\ufffd')
  })
})

describe('maxDepth', () => {
  const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)

  test('counts nested objects and lists, not brackets', () => {
    expect(() => parse(nested(64))).not.toThrow()
    expect(() => parse(nested(65))).toThrow('nested deeper than maxDepth, 64')
    expect(() => parse(`[${'[],{},'.repeat(500)}"${'['.repeat(500)}"]`)).not.toThrow()
  })

  test('a very deep frame is refused without trouble', () => {
    expect(() => parse(nested(400_000))).toThrow('nested deeper')
    expect(() => parse('['.repeat(400_000))).toThrow('the text ends')
    expect(() => parse('{"a":'.repeat(200_000))).toThrow('the text ends')
  })

  test('is an option', () => {
    const flat = json.create(json.options.parse({ maxDepth: 1 }))
    const read = (text: string) => flat.parse(Buffer.from(text), 0, text.length)
    expect(read('{"a":1}')).toEqual({ a: 1 })
    expect(() => read('{"a":[]}')).toThrow('maxDepth, 1')
    expect(json.options.safeParse({ maxDepth: 0 }).success).toBe(false)
  })

  test('agrees with a look at the value, for any JSON', () => {
    const flat = json.create(json.options.parse({ maxDepth: 3 }))
    fc.assert(
      fc.property(anyJson, (text) => {
        const bytes = Buffer.from(text)
        const read = () => flat.parse(bytes, 0, bytes.length)
        if (depthOf(JSON.parse(text)) > 3) expect(read).toThrow('nested deeper')
        else expect(read).not.toThrow('nested deeper')
      }),
    )
  })
})

describe('the key __proto__', () => {
  test.each(['{"__proto__":{}}', '{"a":[1,{"__proto__":1}]}', '{"\\u005f_proto__":1}', '{"__pr\\u006ft\\u006F__":1}'])(
    'is refused: %s',
    (text) => {
      expect(() => parse(text)).toThrow('__proto__')
    },
  )

  test('is only a key', () => {
    expect(parse('{"a":"__proto__","b":"\\u005f_proto__","__proto":1}')).toEqual({
      a: '__proto__',
      b: '__proto__',
      __proto: 1,
    })
  })

  test('constructor is an ordinary key', () => {
    const value = parse('{"constructor":{"prototype":{"polluted":1}}}')
    expect(Object.hasOwn(value as object, 'constructor')).toBe(true)
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
  })
})

describe('print', () => {
  test('is the shortest form; keys without a value are left out', () => {
    expect(format.print({ a: [1, undefined, 'é'], b: undefined, c: null })).toBe('{"a":[1,null,"é"],"c":null}')
    expect(format.print('half \ud800')).toBe('"half \\ud800"')
    expect(format.print({ at: new Date(0) })).toBe('{"at":"1970-01-01T00:00:00.000Z"}')
  })

  test('writes bytes as base64', () => {
    const bytes = Buffer.from([1, 2, 255])
    expect(format.print(bytes)).toBe('"AQL/"')
    expect(format.print({ raw: bytes, list: [new Uint8Array(bytes), Buffer.alloc(0), new Uint8Array(0)] })).toBe(
      '{"raw":"AQL/","list":["AQL/","",""]}',
    )
    const lookalike = { type: 'Buffer', data: [1], 0: {} }
    expect(format.print(lookalike)).toBe(JSON.stringify(lookalike))
  })

  test('refuses what JSON does not have', () => {
    const cycle: Record<string, unknown> = {}
    cycle['self'] = cycle
    expect(() => format.print(undefined)).toThrow(notPrintable)
    expect(() => format.print(() => 1)).toThrow(notPrintable)
    expect(() => format.print({ n: 1n })).toThrow(notPrintable)
    expect(() => format.print(cycle)).toThrow(notPrintable)
  })
})

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  return 1 + Math.max(0, ...Object.values(value).map(depthOf))
}
