import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { splitTable } from './table-text.ts'

const texts = (text: string) => splitTable(text).rows.map((row) => row.map((cell) => cell.text))

describe('a table', () => {
  test.each<[string, string, string[][]]>([
    [
      'commas',
      'id,host\na,1',
      [
        ['id', 'host'],
        ['a', '1'],
      ],
    ],
    [
      'semicolons',
      'id;host,x;y\r\na;1,5;b\r\n',
      [
        ['id', 'host,x', 'y'],
        ['a', '1,5', 'b'],
      ],
    ],
    [
      'tabs',
      'id\thost\na\t1',
      [
        ['id', 'host'],
        ['a', '1'],
      ],
    ],
    [
      'quotes',
      'id,host\n"a, b","say ""hi"""',
      [
        ['id', 'host'],
        ['a, b', 'say "hi"'],
      ],
    ],
    [
      'a line end in quotes',
      'id,host\n"a\nb",c',
      [
        ['id', 'host'],
        ['a\nb', 'c'],
      ],
    ],
    [
      'blanks, empty lines and comments',
      'id , host\n\n# off\n  a , 1 \n',
      [
        ['id', 'host'],
        ['a', '1'],
      ],
    ],
    [
      'empty cells',
      'id,host,x\na,,\n',
      [
        ['id', 'host', 'x'],
        ['a', '', ''],
      ],
    ],
    [
      'what stands behind a quote',
      'id,host\n"a"b,c',
      [
        ['id', 'host'],
        ['ab', 'c'],
      ],
    ],
    ['nothing', '\n', []],
  ])('with %s', (_, text, rows) => {
    expect(texts(text)).toEqual(rows)
  })

  test('knows the place of each cell, also behind one that spans lines', () => {
    const { rows } = splitTable('id,host\n a,  b\n"x\ny", z')
    expect(rows.flat().map(({ line, column }) => [line, column])).toEqual([
      [1, 1],
      [1, 4],
      [2, 2],
      [2, 6],
      [3, 1],
      [4, 5],
    ])
  })

  test('tells of a quote that is never closed', () => {
    expect(splitTable('id,host\na,"b\nc').open).toMatchObject({ line: 2, column: 3 })
  })

  test('gives back what was written, whatever it is', () => {
    const cell = fc.string({ unit: fc.constantFrom('a', ' ', ',', ';', '"', '\n', '#', '\t', 'ä') })
    fc.assert(
      fc.property(fc.array(fc.tuple(cell, cell)), (rows) => {
        const quote = (text: string) => `"${text.replaceAll('"', '""')}"`
        const file = ['id,host', ...rows.map((row) => row.map(quote).join(','))].join('\n')
        expect(texts(file)).toEqual([['id', 'host'], ...rows])
      }),
    )
  })

  test('never throws and never loses a line of garbage', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('a', ',', '"', '\n', '\r', '\t', ';', '#') }), (text) => {
        const { rows, open } = splitTable(text)
        const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '' && !line.startsWith('#'))
        expect(rows.length === 0 && open === undefined).toBe(lines.length === 0)
      }),
    )
  })
})
