import fc from 'fast-check'
import Papa from 'papaparse'
import { describe, expect, it } from 'vitest'
import { csv } from './csv.ts'

type Options = Parameters<typeof csv.options.parse>[0]

const create = (options: Options = {}) => csv.create(csv.options.parse(options))
function parse(text: string, options: Options = {}): unknown {
  const bytes = Buffer.from(text)
  return create(options).parse(bytes, 0, bytes.length)
}
const print = (value: unknown, options: Options = {}) => create(options).print(value)
const problems = (options: Options) => csv.options.safeParse(options).error?.issues.map(({ message }) => message)

const anyText = fc.string({
  unit: fc.constantFrom('a', '0', '"', ',', ';', '\t', '\n', '\r', ' ', 'é', '😀'),
  maxLength: 5,
})
const anyRow = fc.array(anyText, { minLength: 1, maxLength: 5 })

describe('a row', () => {
  it.each([{}, { delimiter: ';' }, { delimiter: '\t' }, { delimiter: '\\t' }, { quote: "'" }])(
    'survives the way there and back with %o, whatever is in it',
    (options) => {
      const property = fc.property(anyRow, (row) => {
        expect(parse(print(row, options).toString(), options)).toEqual(row)
      })
      fc.assert(property)
    },
  )

  it('gives papaparse nothing to object to when it is taken', () => {
    const unit = fc.constantFrom('a', '"', ',', '\n', ' ', '1')
    fc.assert(
      fc.property(fc.string({ unit, minLength: 1, maxLength: 12 }), (text) => {
        let ours: unknown
        try {
          ours = parse(text, { rows: 'many' })
        } catch {
          return
        }
        const { data, errors } = Papa.parse<string[]>(text, { delimiter: ',', newline: '\n' })
        // papaparse takes a last line end for the beginning of a row.
        const theirs = text.endsWith('\n') ? data.slice(0, -1) : data
        expect([ours, errors]).toEqual([theirs, []])
      }),
      { numRuns: 2000 },
    )
  })

  it('keeps texts as they are, unless numbers are asked for', () => {
    expect(parse('007,1.50, x ')).toEqual(['007', '1.50', ' x '])
    const numbers = true
    expect(parse('007,1.50,-0,+5,1e3,.5,1., 1,0x10,NaN,', { numbers })).toEqual([
      '007',
      1.5,
      0,
      5,
      1000,
      '.5',
      '1.',
      ' 1',
      '0x10',
      'NaN',
      '',
    ])
    expect(parse('9007199254740991,9007199254740993,1e999', { numbers })).toEqual([
      9007199254740991,
      '9007199254740993',
      '1e999',
    ])
    expect(parse(`1${'0'.repeat(1_000_000)}`, { numbers })).toHaveLength(1)
  })

  it('names the column that is no number', () => {
    const options: Options = { columns: ['id', 'kg'], numbers: ['kg'] }
    expect(parse('007,5', options)).toEqual({ id: '007', kg: 5 })
    expect(() => parse('7,5 kg', options)).toThrow('"5 kg" is not a number at byte 2, in kg, near "7,5 kg"')
    expect(() => parse('7,', options)).toThrow('"" is not a number at byte 2, in kg')
  })

  it('is refused when it has not as many fields as there are columns', () => {
    const options: Options = { columns: ['a', 'b'] }
    expect(() => parse('1', options)).toThrow('the row has 1 field, and there are 2 columns: b is missing at byte 1')
    expect(() => parse('1,2,3', options)).toThrow(
      '3 fields, and there are 2 columns: nothing has a name behind b at byte 4',
    )
    expect(() => parse('', options)).toThrow('b is missing at byte 0')
    expect(parse('', { columns: ['a'] })).toEqual({ a: '' })
  })

  it.each([
    ['a,"b', 'a quote that is not closed at byte 2'],
    ['"a""b', 'a quote that is not closed at byte 0'],
    ['"a" ,b', 'something between a closing quote and the end of its field at byte 3'],
    ['"a",b"c"', 'a quote inside a field that does not begin with one at byte 5'],
    ['"a"\rb', 'something between a closing quote and the end of its field at byte 3'],
    ['\ufeffä"b', 'a quote inside a field that does not begin with one at byte 5'],
    ['"a"b', 'something between a closing quote and the end of its field at byte 3'],
    ['ä"b', 'a quote inside a field that does not begin with one at byte 2'],
    ['a\rb', 'a CR that ends no line at byte 1'],
    ['a\r', 'a CR that ends no line at byte 1'],
    ['a\nb', 'a second row in the frame, and rows is one at byte 2'],
  ])('that is %j is refused with the place', (text, message) => {
    expect(() => parse(text)).toThrow(message)
  })

  it('is counted as it was written, up to the mistake', () => {
    const options: Options = { columns: ['a', 'b'], numbers: ['b'], rows: 'many' }
    const before = '\ufeffé,1\r\n"x\r\n""y""",2\n\n"""",3\r\n'
    expect(parse(before, options)).toEqual([
      { a: 'é', b: 1 },
      { a: 'x\r\n"y"', b: 2 },
      { a: '"', b: 3 },
    ])
    const at = Buffer.byteLength(before)
    expect(() => parse(`${before}"1,""",x`, options)).toThrow(`"x" is not a number at byte ${at + 7}, in b`)
    expect(() => parse(`${before}"1"`, options)).toThrow(`b is missing at byte ${at + 3}`)
    expect(() => parse(`${before}"1",2,3`, options)).toThrow(`nothing has a name behind b at byte ${at + 6}`)
  })

  it('may stand behind a byte order mark, which is no part of it', () => {
    expect(parse('\ufeff"a",b')).toEqual(['a', 'b'])
    expect(parse('\ufeffid\n1\n', { header: true })).toEqual([{ id: '1' }])
    for (const row of [['\ufeffa', 'b'], ['\ufeff\ufeff']]) expect(parse(print(row).toString())).toEqual(row)
    expect(() => print(['\ufeff'], { quote: '' })).toThrow('needs quotes, and there are none')
  })

  it('has quotes only where there are some', () => {
    expect(parse('12" pipe,"', { quote: '' })).toEqual(['12" pipe', '"'])
    expect(() => print(['a,b'], { quote: '' })).toThrow('the field "a,b" needs quotes, and there are none')
  })

  it('may end its line', () => {
    expect([parse('a,b\n'), parse('a,b\r\n'), parse('"a",b\r\n')]).toEqual([
      ['a', 'b'],
      ['a', 'b'],
      ['a', 'b'],
    ])
  })
})

describe('rows with a header', () => {
  const options = { header: true } as const

  it('survive the way there and back', () => {
    const rows = fc.array(fc.record({ id: anyText, note: anyText }), { minLength: 1 })
    const property = fc.property(rows, (rows) => {
      expect(parse(print(rows, options).toString(), options)).toEqual(rows)
    })
    fc.assert(property)
  })

  it('may be none, and may have empty lines between them', () => {
    expect(parse('', options)).toEqual([])
    expect(parse('a,b\n', options)).toEqual([])
    expect(parse('a,b\n\n1,2\n\n', options)).toEqual([{ a: '1', b: '2' }])
    expect(print([], options)).toBe('')
    expect(print([{ a: 1 }, { b: 2 }], options)).toBe('a,b\n1,\n,2\n')
  })

  it('have names, each of its own and harmless', () => {
    expect(() => parse('a,__proto__\n1,2', options)).toThrow('the column __proto__, which is refused, at byte 2')
    expect(() => parse('a,a\n1,2', options)).toThrow('a second column with the name a at byte 2')
    expect(() => parse('a,,b\n1,2,3', options)).toThrow('a column without a name at byte 2')
    expect(parse('constructor,toString\n1,2', options)).toEqual([{ constructor: '1', toString: '2' }])
  })
})

describe('what is written', () => {
  it('are the columns, in their order', () => {
    const options = { columns: ['b', 'a'] }
    expect(print({ a: 1, b: true, c: 3 }, options)).toBe('true,1')
    expect(print({ a: null }, options)).toBe(',')
    expect(print(['x', 'y'], options)).toBe('x,y')
    expect(print([{ a: 1, b: 2 }], { ...options, rows: 'many' })).toBe('2,1\n')
    const time = new Date('2026-01-01T00:00:00Z')
    expect(print([time, { x: 1 }, undefined])).toBe('2026-01-01T00:00:00.000Z,"{""x"":1}",')
  })

  it.each([
    [{ a: 1 }, {}, 'an object has no order of its own'],
    ['a', {}, 'a row is an object or a list'],
    [null, {}, 'a row is an object or a list'],
    [[], {}, 'a row has at least one field'],
    [['a'], { columns: ['a', 'b'] }, 'the number of fields, 1, is not that of the columns, 2'],
    [{ a: 1 }, { rows: 'many' }, 'several rows are a list, and this is none'],
    [['\ud800'], {}, 'the text has half a surrogate pair'],
    [[Buffer.from('a')], {}, 'bytes cannot be written as CSV'],
  ] as const)('cannot be %j with %j', (value, options, message) => {
    expect(() => print(value, options as Options)).toThrow(
      expect.objectContaining({ code: 'format_not_printable', message }),
    )
  })
})

it('options that contradict each other are refused', () => {
  expect(problems({ columns: ['a'], header: true })).toEqual([
    'the names are in columns or in a header row, not in both',
  ])
  expect(problems({ delimiter: "'", quote: "'" })).toEqual(['the quote and the delimiter are the same character'])
  expect(problems({ delimiter: '"', quote: "'" })?.[0]).toMatch('expected one character other than "')
  expect(problems({ delimiter: '\ufeff' })?.[0]).toMatch('expected one character other than "')
  expect(problems({ delimiter: '' })?.[0]).toMatch('expected one character')
  expect(problems({ delimiter: '\\q' })?.[0]).toMatch('expected one character')
  expect(problems({ columns: ['a', 'a'] })).toEqual(['two columns have the name a'])
  expect(problems({ columns: ['__proto__'] })).toEqual(['__proto__ cannot be used as a name'])
  expect(problems({ columns: ['a'], numbers: ['b'] })).toEqual(['there is no column b'])
  expect(problems({ numbers: ['b'] })).toEqual(['there are no columns to name'])
})
