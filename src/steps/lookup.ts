import { defineStep } from '../contracts/define.ts'
import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Message } from '../contracts/message.ts'
import { expr, formatOption, withoutProto, z } from '../contracts/schema.ts'
import { isPlainObject } from '../util/plain-object.ts'
import { intoOption, withResult } from './into.ts'
import { FileTable, keyOf, readTable, type Table, type TableFile } from './lookup-table.ts'

const options = z.preprocess(
  withFormat,
  z
    .strictObject({
      table: withoutProto(z.record(z.string(), z.unknown()))
        .optional()
        .describe('The table itself: keys, each with its value.'),
      file: z
        .string()
        .min(1)
        .optional()
        .describe("Path of a file with the table. A relative path starts at the configuration's folder."),
      format: formatOption()
        .optional()
        .describe(
          'How the file is read: any format that gives a list of rows, or an object with a value under each key. Default: `json` for a file whose name ends in `.json`, else `{ csv: { header: true } }`.',
        ),
      by: z.string().min(1).optional().describe('The column by which rows are found. Default: the first one.'),
      key: expr().optional().describe('What is looked up: an expression that gives a text or a number. Default msg.'),
      value: z.string().min(1).optional().describe('The column that is the result. Default: the whole row.'),
      default: z
        .union([expr(), z.null()])
        .optional()
        .describe('The result where the table lacks the key: an expression, or null. Without it the message fails.'),
      into: intoOption,
    })
    .superRefine(({ table, file, format, by, value }, context) => {
      if ((table === undefined) === (file === undefined)) {
        context.addIssue({ code: 'custom', message: 'give file or table' })
      }
      for (const [name, given] of Object.entries({ format, by, value })) {
        if (table === undefined || given === undefined) continue
        context.addIssue({ code: 'custom', message: `${name} is for a table in a file`, path: [name] })
      }
    }),
)

/** Finds in a table what a message lacks. */
export const lookup = defineStep({
  name: 'lookup',
  summary: 'Finds a key in a table, which is a file or stands in the configuration, and goes on with what is there.',
  details: [
    'A table in a file is rows with named columns, as CSV with a header row or a JSON list of objects are, or a JSON ' +
      'object with a value under each key. A key that stands there twice, or a row without a key, is refused. The number 7 ' +
      'and the text "7" are the same key. In CSV everything is a text; for numbers write ' +
      '`format: { csv: { header: true, numbers: true } }`.',
    'A file that changes is read again: when a message comes and the file has been left alone for a second. A new file ' +
      'that cannot be used is told in the log, and the table from before stays in use. Whoever writes the file does best ' +
      'to write another one and rename it. A file has 64 MiB at most, and its table is kept in memory.',
    'For a few values in the middle of an expression there is the function `lookup()`.',
  ].join('\n\n'),
  options,
  alsoCalled: ['table', 'enrich', 'join', 'translate', 'mapping', 'dictionary'],
  examples: [
    {
      title: 'One column of a CSV file',
      config: { lookup: { file: 'articles.csv', by: 'ean', key: 'msg.code', value: 'name', into: 'article' } },
      files: { 'articles.csv': 'ean,name,price\n4006381333931,Pen,0.99\n' },
      given: [{ code: '4006381333931' }, { code: 'unknown' }],
      gives: [{ code: '4006381333931', article: 'Pen' }],
    },
    {
      title: 'A whole row, or null',
      config: { lookup: { file: 'articles.json', key: 'msg.code', default: null, into: 'article' } },
      files: { 'articles.json': '[{ "ean": 7, "name": "Pen" }]' },
      given: [{ code: '7' }, { code: '8' }],
      gives: [
        { code: '7', article: { ean: 7, name: 'Pen' } },
        { code: '8', article: null },
      ],
    },
    {
      title: 'A table in the configuration',
      config: { lookup: { table: { 1: 'red', 2: 'green' }, default: '"colour " + text(msg)' } },
      given: [2, 3],
      gives: ['green', 'colour 3'],
    },
  ],
  check(given, { resolvePath }) {
    if (given.file === undefined) return []
    try {
      readTable(fileOf(given, resolvePath))
      return []
    } catch (thrown) {
      const { message, hint } = toSluiceError(thrown)
      return [{ path: ['file'], message, ...(hint === undefined ? {} : { hint }) }]
    }
  },
  async create(given, context) {
    const { key, into, default: otherwise } = given
    const file =
      given.file === undefined ? undefined : await FileTable.open(fileOf(given, context.resolvePath), context)
    const fixed: Table = new Map(Object.entries(given.table ?? {}))
    const goOn = (message: Message, table: Table) => {
      const wanted = key === undefined ? message.msg : key(message)
      const name = keyOf(wanted)
      if (name !== undefined && table.has(name)) return withResult(message, into, table.get(name))
      if (otherwise === undefined) throw missing(wanted, name)
      return withResult(message, into, otherwise?.(message) ?? null)
    }
    return {
      run(message) {
        const table = file === undefined ? fixed : file.current()
        return table instanceof Promise ? table.then((read) => goOn(message, read)) : goOn(message, table)
      },
    }
  },
})

/** The format that a file's name tells, where none is given. */
function withFormat(given: unknown): unknown {
  if (!isPlainObject(given) || typeof given['file'] !== 'string' || given['format'] !== undefined) return given
  return { ...given, format: /\.json$/i.test(given['file']) ? 'json' : { csv: { header: true } } }
}

function fileOf(
  { file, format, by, value }: z.output<typeof options>,
  resolvePath: (path: string) => string,
): TableFile {
  return { path: resolvePath(file!), format: format!, by, value }
}

function missing(wanted: unknown, name: string | undefined): SluiceError {
  const hint = 'Say with default: what it shall be then.'
  if (name !== undefined) {
    return new SluiceError('step_failed', `lookup: the table has no ${JSON.stringify(name.slice(0, 100))}`, { hint })
  }
  const what = wanted === null || wanted === undefined ? 'there is no key' : 'the key is neither a text nor a number'
  return new SluiceError('step_failed', `lookup: ${what}`, { hint })
}
