import type { Batch } from '../contracts/batch.ts'
import { defineSink } from '../contracts/define.ts'
import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Message } from '../contracts/message.ts'
import { expr, withoutProto, z } from '../contracts/schema.ts'
import type { Outcomes, Sink } from '../contracts/sink.ts'
import { toSqlValue } from '../contracts/sql-value.ts'
import type { Database, SqlRow } from '../contracts/storage.ts'
import { identifierProblem } from '../util/sql-identifier.ts'
import { MAX_COLUMNS, Table } from './sqlite-table.ts'
import { type TableRow, tableRowOf } from './table-row.ts'

const columns = withoutProto(
  z
    .record(columnName(), expr())
    .refine((entries) => Object.keys(entries).length > 0, 'name at least one column')
    .refine((entries) => Object.keys(entries).length <= MAX_COLUMNS, `expected at most ${MAX_COLUMNS} columns`),
)

const options = z.strictObject({
  file: z
    .string()
    .min(1)
    .describe(
      "Path of the database file. It and its folder are created when missing. A relative path starts at the configuration's folder.",
    ),
  table: columnName().describe('Name of the table.'),
  columns: columns
    .optional()
    .describe('Column names, each with an expression for its value. Default: the keys of the message.'),
  create: z
    .boolean()
    .default(true)
    .describe('Create the table, and columns for new keys of messages, when they are missing. Default: true.'),
})

/** Stores messages in an embedded database. */
export const sqlite = defineSink({
  name: 'sqlite',
  summary: 'Stores each message as a row of an SQLite table.',
  details: [
    'With `columns:` each row has exactly these columns. Without it the keys of the message are the columns, and a key ' +
      `that the table lacks becomes a new column, up to ${MAX_COLUMNS} of them; use \`columns:\` for senders that you do ` +
      'not trust with that. A message that is no object, a text say, goes into the columns `received`, `client` and `msg`.',
    'Objects and lists are stored as JSON, true and false as 1 and 0, times as RFC 3339 text in UTC, bytes as BLOB, and ' +
      'null or a missing value as NULL. Created columns have no type, so a value is kept as it is.',
    'A row has been committed and synced to disk when the sink has finished with it; rows of many connections share a ' +
      'transaction. A row that the table refuses, for a UNIQUE column say, fails alone and is not tried again.',
  ].join('\n\n'),
  options,
  examples: [
    { title: 'One column for each key', config: { sqlite: { file: 'readings.db', table: 'readings' } } },
    {
      title: 'Chosen columns',
      config: {
        sqlite: {
          file: 'readings.db',
          table: 'readings',
          columns: { device: 'msg.device', temp: 'msg.temp', at: 'received' },
        },
      },
    },
  ],
  confirms: () => 'durable',
  finished: 'the row is committed',
  files: ({ file }, { resolvePath }) => [{ path: resolvePath(file), option: ['file'], use: 'made' }],
  async create(given, context) {
    const file = context.resolvePath(given.file)
    const database = await context.storage.open(file)
    try {
      const table = await Table.open(database, { file, name: given.table, create: given.create })
      if (given.columns !== undefined) await table.prepare(Object.keys(given.columns))
      return new SqliteSink(database, table, tableRowOf(given.columns))
    } catch (error) {
      await database.close()
      throw error
    }
  },
})

/** Neighbouring messages of a batch whose rows have the same columns: they go through one statement. */
interface Run {
  readonly columns: readonly string[]
  /** Positions in the batch. */
  readonly positions: number[]
  readonly rows: SqlRow[]
}

class SqliteSink implements Sink {
  readonly #database: Database
  readonly #table: Table
  readonly #rowOf: (message: Message) => TableRow

  constructor(database: Database, table: Table, rowOf: (message: Message) => TableRow) {
    this.#database = database
    this.#table = table
    this.#rowOf = rowOf
  }

  async write(batch: Batch, over?: AbortSignal): Promise<void | Outcomes> {
    const outcomes = new Array<SluiceError | undefined>(batch.length).fill(undefined)
    const writes: Promise<void>[] = []
    for (const run of this.#runsOf(batch.messages, outcomes)) {
      if (!this.#table.has(run.columns)) {
        try {
          await this.#table.add(run.columns)
        } catch (thrown) {
          for (const position of run.positions) outcomes[position] = refusal(thrown)
          continue
        }
      }
      // The storage keeps the order of what is asked for, so the runs need not wait for each other to share a commit.
      writes.push(this.#insert(run, outcomes, over))
    }
    await Promise.all(writes)
    return outcomes.some((error) => error !== undefined) ? outcomes : undefined
  }

  close(): Promise<void> {
    return this.#database.close()
  }

  #runsOf(messages: readonly Message[], outcomes: (SluiceError | undefined)[]): Run[] {
    const runs: Run[] = []
    let run: Run | undefined
    for (const [position, message] of messages.entries()) {
      try {
        const { columns, values } = this.#rowOf(message)
        const row = values.map(toSqlValue)
        if (run === undefined || !sameNames(run.columns, columns)) {
          run = { columns, positions: [], rows: [] }
          runs.push(run)
        }
        run.positions.push(position)
        run.rows.push(row)
      } catch (thrown) {
        outcomes[position] = toSluiceError(thrown, 'sink_failed')
      }
    }
    return runs
  }

  async #insert(
    { columns, positions, rows }: Run,
    outcomes: (SluiceError | undefined)[],
    over: AbortSignal | undefined,
  ): Promise<void> {
    try {
      const results = await this.#database.write(this.#table.insert(columns), rows, over)
      for (const [i, error] of results.entries()) {
        if (error !== undefined) outcomes[positions[i]!] = refusal(error)
      }
    } catch (thrown) {
      for (const position of positions) outcomes[position] = refusal(thrown)
    }
  }
}

function columnName(): z.ZodType<string, string> {
  return z.string().superRefine((name, context) => {
    const problem = identifierProblem(name)
    if (problem !== undefined) context.addIssue({ code: 'custom', message: `the name ${problem}` })
  })
}

function sameNames(a: readonly string[], b: readonly string[]): boolean {
  return a === b || (a.length === b.length && a.every((name, i) => name === b[i]))
}

/** What may work later stays as it is, for the retry; the rest is the table's last word on the message. */
function refusal(thrown: unknown): SluiceError {
  const error = toSluiceError(thrown, 'sink_failed')
  if (error.retryable || error.code === 'sink_failed') return error
  const hint = error.hint === undefined ? {} : { hint: error.hint }
  return new SluiceError('sink_failed', error.message, { cause: error, ...hint })
}
