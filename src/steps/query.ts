import { checkPostgresAddress } from '../brokers/postgres-address.ts'
import { Batch } from '../contracts/batch.ts'
import { defineStep } from '../contracts/define.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Message } from '../contracts/message.ts'
import { expr, z } from '../contracts/schema.ts'
import { intoOption, withResult } from './into.ts'
import { requireOne } from './payload.ts'
import { askEach, type Row } from './query-each.ts'
import { describeDatabase, openPostgres, postgresSource } from './query-postgres.ts'
import { sqlProblem } from './query-sql.ts'
import { openSqlite, sqliteFile, sqliteSource } from './query-sqlite.ts'

const options = z
  .strictObject({
    sqlite: sqliteSource.optional().describe('An SQLite database. Needed, or postgres.'),
    postgres: postgresSource.optional().describe('A PostgreSQL database. Needed, or sqlite.'),
    sql: z
      .string()
      .min(1)
      .describe(
        'The statement: one SELECT, WITH or VALUES. For each parameter a place without quotes around it: `?` in SQLite, `$1`, `$2` and so on in PostgreSQL.',
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
  .superRefine(({ sqlite, postgres, sql, params }, context) => {
    requireOne({ sqlite, postgres }, ['sqlite', 'postgres'], context)
    const problem = sqlProblem(sql, params.length, postgres === undefined ? 'sqlite' : 'postgres')
    if (problem === undefined) return
    const { message, hint } = problem
    context.addIssue({ code: 'custom', message, path: ['sql'], params: { hint } })
  })

/** Asks a database. */
export const query = defineStep({
  name: 'query',
  summary: 'Asks an SQLite or PostgreSQL database for each message, and goes on with what it answers.',
  details: [
    'Nothing of the database can be changed. The values of a message are bound as parameters: whatever a device sends, the ' +
      'statement stays what is written here. Integers and decimal numbers with more digits than a number can hold come as ' +
      'texts. For a table that fits into memory, `lookup` is faster.',
    'SQLite is opened to be read. Of a text, a number, true and false (1 and 0), null, bytes and a time (RFC 3339 text) it ' +
      'gets that value, of an object or a list its JSON. The questions of a batch are asked together, in ' +
      'a thread that all such steps share: a statement that takes long holds up their other questions, and nothing that is ' +
      'stored. Give the table an index. One that never ends cannot be broken off: the server then ends at a second signal.',
    'PostgreSQL needs the package `pg` (`npm install pg`). Its transactions are read-only, also on a standby. A parameter has ' +
      'the type that the statement gives it, and its value is read by the server as strictly as in `psql`: write `$1::text` ' +
      'where it could be anything. A list goes into an array (`id = ANY($1)`), an object into `json`, bytes into `bytea`. What ' +
      'comes back: numbers, true and false, JSON values, bytes, times with their zone, lists of these; of every other type, ' +
      'such as `date` and `uuid`, the text that the server writes.',
    'The server looks at the statement when Sluice starts: a mistake in it, a table or a right that is missing and wrong ' +
      'credentials stop the start. A server that cannot be reached does not: a message fails with `query_failed`, which is ' +
      '`retryable`, until it can, and the others of its batch that have not been asked yet fail with it. A question whose ' +
      'connection turns out to be broken is asked once more, as reading twice does no harm. Behind PgBouncer use its session pooling.',
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
  check: ({ postgres }, context) =>
    postgres === undefined
      ? []
      : checkPostgresAddress(postgres, context).map((one) => ({ ...one, path: ['postgres', ...one.path] })),
  files: ({ sqlite }, context) => (sqlite === undefined ? [] : [sqliteFile(sqlite, context)]),
  promise: ({ sqlite, postgres }) =>
    `asks the database ${postgres === undefined ? sqlite!.file : describeDatabase(postgres)}`,
  async create({ sqlite, postgres, sql, params, rows, into }, context) {
    const limit = rows === 'all' ? MAX_ROWS + 1 : 1
    const database =
      postgres === undefined
        ? await openSqlite(sqlite!, sql, context)
        : await openPostgres(postgres, { sql, limit }, context)
    const ask = async (message: Message): Promise<Message> => {
      const found = await database.ask(params.map((param) => param(message)))
      return withResult(message, into, resultOf(found, rows))
    }
    return {
      async runBatch(batch, failures) {
        const passed: Message[] = []
        const outcomes = await askEach(batch.messages, database, ask, failures.signal)
        for (const [i, outcome] of outcomes.entries()) {
          if (outcome instanceof SluiceError) failures.add(batch.messages[i]!, outcome)
          else passed.push(outcome)
        }
        return Batch.of(passed)
      },
      close: () => database.close(),
    }
  },
})

/** A list that is longer was not meant: it would be held in memory for each message. */
const MAX_ROWS = 1000

function resultOf(rows: readonly Row[], mode: 'first' | 'all' | 'value'): unknown {
  if (mode === 'all') {
    if (rows.length <= MAX_ROWS) return rows
    const hint = 'Add a LIMIT to the statement.'
    throw new SluiceError('step_failed', `query: there are more than ${MAX_ROWS} rows, and no more are taken`, { hint })
  }
  const [first] = rows
  if (first === undefined) return null
  return mode === 'first' ? first : (Object.values(first)[0] ?? null)
}
