import type { PartContext } from '../contracts/context.ts'
import { defineStep } from '../contracts/define.ts'
import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import { Batch, type Message } from '../contracts/message.ts'
import { expr, z } from '../contracts/schema.ts'
import { toSqlValue } from '../contracts/sql-value.ts'
import type { SqlRow, SqlValue } from '../contracts/storage.ts'
import { intoOption, withResult } from './into.ts'
import { sqlProblem } from './query-sql.ts'

const options = z
  .strictObject({
    sqlite: z
      .strictObject({
        file: z
          .string()
          .min(1)
          .describe(
            "Path of the database file, which must be there. A relative path starts at the configuration's folder.",
          ),
      })
      .describe('The SQLite database that is asked.'),
    sql: z
      .string()
      .min(1)
      .describe(
        'The statement: one SELECT, WITH or VALUES. A `?` stands for each parameter, without quotes around it.',
      ),
    params: z
      .array(expr())
      .default([])
      .describe(
        'An expression for each parameter, in order. Values are bound and never become part of the statement. Default: none.',
      ),
    rows: z
      .enum(['first', 'all', 'value'])
      .default('first')
      .describe(
        'What the result is: the `first` row as an object, or null when there is none; `all` rows as a list, at most 1000; or the `value` in the first column of the first row, or null. Default first.',
      ),
    into: intoOption,
  })
  .superRefine(({ sql, params }, context) => {
    const problem = sqlProblem(sql, params.length)
    if (problem === undefined) return
    const { message, hint } = problem
    context.addIssue({ code: 'custom', message, path: ['sql'], params: { hint } })
  })

/** Asks a database. */
export const query = defineStep({
  name: 'query',
  summary: 'Asks an SQLite database for each message, and goes on with what it answers.',
  details: [
    'The database is opened to be read, so nothing of it can be changed. The values of a message are bound as parameters: ' +
      'whatever a device sends, the statement stays what is written here. Of a text, a number, true and false (1 and 0), ' +
      'null, bytes and a time (RFC 3339 text) the database gets that value, of an object or a list its JSON.',
    'Integers beyond 2^53 come as texts, since a number would lose digits. The questions of a batch are asked together, in a ' +
      'thread that all `query` steps share: a statement that takes long holds up their other questions, and nothing that is stored. Give the ' +
      'table an index. One that never ends cannot be broken off: the server then ends at a second signal. For a table that fits into memory, `lookup` is faster.',
  ].join('\n\n'),
  options,
  alsoCalled: ['select', 'sql', 'database', 'db', 'enrich'],
  examples: [
    {
      title: 'One value; the table stands in the statement, so that the example needs none in the file',
      config: {
        query: {
          sqlite: { file: 'parts.db' },
          sql: "WITH parts(id, shelf) AS (VALUES ('7', 'B2'), ('8', 'C1')) SELECT shelf FROM parts WHERE id = ?",
          params: ['msg.id'],
          rows: 'value',
          into: 'shelf',
        },
      },
      files: { 'parts.db': '' },
      given: [{ id: '8' }, { id: "8' OR 1=1 --" }],
      gives: [
        { id: '8', shelf: 'C1' },
        { id: "8' OR 1=1 --", shelf: null },
      ],
    },
  ],
  promise: ({ sqlite }) => `asks the database ${sqlite.file}`,
  async create({ sqlite, sql, params, rows, into }, context) {
    const database = await openDatabase(context, sqlite.file)
    const ask = async (message: Message): Promise<Message> => {
      const bound: SqlRow = params.map((param) => toSqlValue(param(message)))
      const found = await database.all(sql, bound)
      return withResult(message, into, resultOf(found, rows))
    }
    return {
      async runBatch(batch, failures) {
        const passed: Message[] = []
        // What is asked in one go travels together to the storage thread and back.
        const settled = await Promise.allSettled(batch.messages.map(ask))
        for (const [i, outcome] of settled.entries()) {
          if (outcome.status === 'fulfilled') passed.push(outcome.value)
          else failures.add(batch.messages[i]!, toSluiceError(outcome.reason))
        }
        return Batch.of(passed)
      },
      close: () => database.close(),
    }
  },
})

/** A list that is longer was not meant: it would be held in memory for each message. */
const MAX_ROWS = 1000

async function openDatabase({ storage, resolvePath }: PartContext, file: string) {
  try {
    return await storage.openReadOnly(resolvePath(file))
  } catch (thrown) {
    const { message } = toSluiceError(thrown)
    const hint = 'The file must be there before Sluice starts; a sink sqlite that stands before this step creates it.'
    throw new SluiceError('storage_failed', message, { cause: thrown, hint })
  }
}

function resultOf(rows: readonly Readonly<Record<string, SqlValue>>[], mode: 'first' | 'all' | 'value'): unknown {
  if (mode === 'all') {
    if (rows.length <= MAX_ROWS) return rows.map(readRow)
    const hint = 'Add a LIMIT to the statement.'
    throw new SluiceError('step_failed', `query: there are ${rows.length} rows, and at most ${MAX_ROWS} are taken`, {
      hint,
    })
  }
  const [first] = rows
  if (first === undefined) return null
  return mode === 'first' ? readRow(first) : readValue(Object.values(first)[0] ?? null)
}

function readRow(row: Readonly<Record<string, SqlValue>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, readValue(value)]))
}

function readValue(value: SqlValue): unknown {
  if (typeof value === 'bigint') return String(value)
  return value instanceof Uint8Array ? Buffer.from(value.buffer, value.byteOffset, value.byteLength) : value
}
