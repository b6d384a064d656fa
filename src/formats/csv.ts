import { createRequire } from 'node:module'
import { defineFormat } from '../contracts/define.ts'
import type { Format } from '../contracts/format.ts'
import { z } from '../contracts/schema.ts'
import { parseText } from '../util/escapes.ts'
import { BYTE_ORDER_MARK } from '../util/utf8.ts'
import type { CsvLibrary } from './csv-options.ts'
import { CsvReader } from './csv-reader.ts'
import { CsvWriter } from './csv-writer.ts'
import { createReadText, numbersOption } from './numbers.ts'

/** Rows of fields (RFC 4180). */
export const csv = defineFormat({
  name: 'csv',
  summary: 'The frame is one row of fields, or a text of several rows.',
  details: `Most devices send one row a line: leave the framing \`line\`, and name the \`columns\`. A message is then
one object, \`msg.weight\`. Without names it is a list, \`msg[0]\`.

A format knows one frame and nothing of the frames before it. So **a header row that is sent once for each connection
cannot be remembered**: it arrives as a message like any other. Name the columns in the configuration and drop the
header with \`filter: 'msg.id != "id"'\`. \`header: true\` is for frames that hold the header and its rows together,
as when a whole file is one frame; \`msg\` is then a list of objects.

With \`columns\` or \`header\`, a row that has more or fewer fields than there are names is refused: otherwise one
forgotten delimiter would put every value under the wrong name.

Fields are texts unless \`numbers\` says otherwise, so an article number keeps its zeros. Quotes are those of RFC
4180: a field in quotes may hold delimiters and line ends, and a quote in it is doubled. A quote inside a field that
does not begin with one is refused. Rows end at LF or CRLF. The frame is UTF-8; a byte order mark in front of it is
left out.

Written are the fields that \`columns\` names, in that order; other keys are left out and missing ones are empty.
Fields get quotes where they need them, and where they begin or end with a blank. Values inside are written as in a
text with \`\${…}\`.`,
  options: z
    .strictObject({
      columns: z
        .array(z.string().min(1))
        .min(1)
        .optional()
        .describe('Names of the fields, in order. Absent: a row is a list.'),
      header: z
        .boolean()
        .default(false)
        .describe('The first row of each frame names the fields, and the value is a list of objects. Default false.'),
      rows: z
        .enum(['one', 'many'])
        .default('one')
        .describe('`many`: a frame holds several rows, and the value is a list of them. Default one.'),
      delimiter: z
        .string()
        .default(',')
        .refine(isDelimiter, 'expected one character other than ", such as ";" or "\\t"')
        .describe('Stands between two fields: one character, and no `"`. Default a comma.'),
      quote: z
        .string()
        .default('"')
        .refine((value) => value === '' || isSign(value), 'expected one character, or "" for none')
        .describe('Stands around a field: one character, or empty when there are no quotes. Default `"`.'),
      numbers: numbersOption('columns'),
    })
    .superRefine(({ columns = [], header, delimiter, quote, numbers }, context) => {
      const add = (path: string, message: string) => context.addIssue({ code: 'custom', message, path: [path] })
      if (header && columns.length > 0) add('header', 'the names are in columns or in a header row, not in both')
      if (delimiter === quote) add('quote', 'the quote and the delimiter are the same character')
      const twice = columns.find((name, i) => columns.indexOf(name) !== i)
      if (twice !== undefined) add('columns', `two columns have the name ${twice}`)
      if (columns.includes('__proto__')) add('columns', '__proto__ cannot be used as a name')
      if (Array.isArray(numbers) && columns.length === 0 && !header) add('numbers', 'there are no columns to name')
      const unknown = Array.isArray(numbers) && !header ? numbers.find((name) => !columns.includes(name)) : undefined
      if (unknown !== undefined && columns.length > 0) add('numbers', `there is no column ${unknown}`)
    }),
  short: 'columns',
  alsoCalled: ['tsv', 'comma', 'semicolon'],
  examples: [
    { title: 'A list', bytes: 'S1,"12,5",', value: ['S1', '12,5', ''] },
    { title: 'Named columns', options: ['scale', 'kg'], bytes: 'S1,0012', value: { scale: 'S1', kg: '0012' } },
    {
      title: 'Numbers',
      options: { columns: ['article', 'kg'], numbers: ['kg'], delimiter: ';' },
      bytes: '007;12.50',
      value: { article: '007', kg: 12.5 },
      prints: '007;12.5',
    },
    {
      title: 'Several rows, with their header',
      options: { header: true },
      bytes: 'id,note\\n1,"says ""hi"""\\n2,\\n',
      value: [
        { id: '1', note: 'says "hi"' },
        { id: '2', note: '' },
      ],
    },
    {
      title: 'Several rows',
      options: { rows: 'many', delimiter: '\t' },
      bytes: 'a\\tb\\r\\nc\\td',
      value: [
        ['a', 'b'],
        ['c', 'd'],
      ],
      prints: 'a\\tb\\nc\\td\\n',
    },
  ],
  rejects: ['"', '"a', 'a,"b', '"a"b', 'a"b', '"a" ,b', 'a,b\\nc,d', 'a\\rb', '\\xff', '"a""'],
  create({ columns, header, rows, delimiter, quote, numbers }): Format {
    const readText = createReadText(numbers)
    const options = { columns, header, rows, delimiter: parseText(delimiter), quote: parseText(quote), readText }
    const library: CsvLibrary = createRequire(import.meta.url)('papaparse')
    const writer = new CsvWriter(library, options)
    return {
      parse: (bytes, start, end) => new CsvReader(library, options, bytes, start, end).read(),
      print: (value) => writer.print(value),
    }
  },
})

/** papaparse takes a comma in place of these two, and does not say so. */
function isDelimiter(written: string): boolean {
  return isSign(written) && !['"', BYTE_ORDER_MARK].includes(parseText(written))
}

/** One character that may stand between or around fields, written as such or with an escape: `\t`. */
function isSign(written: string): boolean {
  try {
    const sign = parseText(written)
    return sign.length === 1 && sign !== '\n' && sign !== '\r'
  } catch {
    return false
  }
}
