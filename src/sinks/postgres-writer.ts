import type { Client } from 'pg'
import { toColumnText } from '../brokers/postgres-values.ts'
import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Message } from '../contracts/message.ts'
import { type PostgresOptions, parseTableName, type TableName } from './postgres-options.ts'
import { createStatement, type Statement, type TextRow } from './postgres-statement.ts'
import { columnProblem, readTable, type Table } from './postgres-table.ts'
import { type TableRow, tableRowOf } from './table-row.ts'

/** Neighbouring messages whose rows have the same columns: they go through one statement. */
export interface RowRun {
  readonly statement: Statement
  readonly rows: TextRow[]
}

/** Makes rows of messages, for one table as it is now. */
export class TableWriter {
  readonly #options: PostgresOptions
  readonly #name: TableName
  readonly #rowOf: (message: Message) => TableRow
  #table: Table | undefined
  /** By their columns. */
  readonly #statements = new Map<string, Statement>()

  constructor(options: PostgresOptions) {
    this.#options = options
    this.#name = parseTableName(options.table) as TableName
    this.#rowOf = tableRowOf(options.columns)
  }

  /** False for a table that the server empties after a crash. */
  get isLogged(): boolean {
    return this.#table?.logged ?? true
  }

  /** True when the next rows will be made without a look at the table. */
  get knowsTable(): boolean {
    return this.#table !== undefined
  }

  /** Looks at the table again before the next row. */
  forget(): void {
    this.#table = undefined
    this.#statements.clear()
  }

  /**
   * Looks whether the table has what the options name, whether the rule of `conflict` exists, and whether we may write.
   * @throws SluiceError `sink_failed`, or what the server says
   */
  async check(client: Client): Promise<void> {
    const table = await this.#look(client)
    const { columns, conflict } = this.#options
    const names = columns === undefined ? (conflict ?? [...table.columns.keys()].slice(0, 1)) : Object.keys(columns)
    if (names.length > 0) await createStatement(table, names, this.#options, false).check(client)
  }

  /**
   * The rows of a batch, in order. Messages that make no row get their outcome.
   * @param outcomes one for each message; undefined where there is a row
   * @throws SluiceError `sink_failed` when the table lacks what the options name
   */
  async runsOf(
    client: Client,
    messages: readonly Message[],
    outcomes: (SluiceError | undefined)[],
  ): Promise<readonly RowRun[]> {
    const table = this.#table ?? (await this.#look(client))
    const first = this.#build(messages, table, outcomes)
    // A key without a column may have got one since.
    if (!first.unknown || performance.now() - table.readAt < REREAD_MS) return first.runs
    this.forget()
    outcomes.fill(undefined)
    return this.#build(messages, await this.#look(client), outcomes).runs
  }

  async #look(client: Client): Promise<Table> {
    const table = await readTable(client, this.#name)
    const { columns, conflict } = this.#options
    const problem = columnProblem(table, [...Object.keys(columns ?? {}), ...(conflict ?? [])])
    if (problem !== undefined) {
      throw new SluiceError('sink_failed', problem, { hint: 'Add it with ALTER TABLE, or correct its name.' })
    }
    this.#table = table
    return table
  }

  #build(messages: readonly Message[], table: Table, outcomes: (SluiceError | undefined)[]) {
    const runs: RowRun[] = []
    let unknown = false
    let size = 0
    for (let i = 0; i < messages.length; i++) {
      try {
        const { columns, values } = this.#rowOf(messages[i]!)
        let run = runs.at(-1)
        if (run === undefined || size > MAX_STATEMENT || !sameNames(run.statement.columns, columns)) {
          unknown ||= columns.some((name) => !table.columns.has(name))
          run = { statement: this.#statementFor(table, columns), rows: [] }
          size = 0
        }
        const { kinds } = run.statement
        const row = values.map((value, at) => toColumnText(value, kinds[at]!))
        for (const text of row) size += text?.length ?? 0
        if (run !== runs.at(-1)) runs.push(run)
        run.rows.push(row)
      } catch (thrown) {
        outcomes[i] = toSluiceError(thrown, 'sink_failed')
      }
    }
    return { runs, unknown }
  }

  /** @throws SluiceError `sink_failed` when the table cannot take such rows */
  #statementFor(table: Table, columns: readonly string[]): Statement {
    const key = JSON.stringify(columns)
    const known = this.#statements.get(key)
    if (known !== undefined) return known
    const problem = columnProblem(table, columns)
    if (problem !== undefined) throw new SluiceError('sink_failed', `${problem}, for a key of the message`)
    const missing = this.#options.conflict?.find((name) => !columns.includes(name))
    if (missing !== undefined) {
      throw new SluiceError('sink_failed', `the message lacks the key ${missing}, which conflict names`)
    }
    const prepare = this.#statements.size < MAX_PREPARED
    const statement = createStatement(table, columns, this.#options, prepare)
    if (prepare) this.#statements.set(key, statement)
    return statement
  }
}

/** How long a look at the table holds for messages with keys that it lacks. */
const REREAD_MS = 10_000

/** Most statements that are kept prepared on a connection: senders may choose keys as they like. */
const MAX_PREPARED = 50

/** Characters of the values of one statement. The protocol ends at 1 GiB, and memory before it. */
const MAX_STATEMENT = 16 * 1024 * 1024

function sameNames(a: readonly string[], b: readonly string[]): boolean {
  return a === b || (a.length === b.length && a.every((name, i) => name === b[i]))
}
