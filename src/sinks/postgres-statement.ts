import { createHash } from 'node:crypto'
import type { Client } from 'pg'
import { type ColumnKind, toArrayLiteral } from '../brokers/postgres-values.ts'
import { quoteIdentifier } from '../util/sql-identifier.ts'
import { copyFrom, toCopyText } from './postgres-copy.ts'
import type { PostgresOptions } from './postgres-options.ts'
import type { Table } from './postgres-table.ts'

/** Values of one row in the text form of their columns. */
export type TextRow = readonly (string | null)[]

/** How rows with certain columns are written. */
export interface Statement {
  readonly columns: readonly string[]
  /** What the types of these columns take. */
  readonly kinds: readonly ColumnKind[]
  /** Writes rows: all of them or, when it throws, none. */
  run(client: Client, rows: readonly TextRow[]): Promise<void>
  /** Has the server plan the statement and look at our rights, and write nothing. @throws what the server says */
  check(client: Client): Promise<void>
}

type Given = Pick<PostgresOptions, 'mode' | 'onConflict' | 'conflict'>

/**
 * One statement for any number of rows: each column travels as one list of texts, which the server takes apart and reads
 * as the column's type. So the statement is the same for every batch and is prepared once for a connection.
 * @param columns those of the table, at least one
 * @param prepare keep it prepared on every connection; for statements that come again
 */
export function createStatement(table: Table, columns: readonly string[], given: Given, prepare: boolean): Statement {
  const text = insertText(table, columns, given)
  const kinds = columns.map((name) => table.columns.get(name)!.kind)
  const check = async (client: Client) => {
    await client.query({ text: `EXPLAIN ${text}`, values: columns.map(() => '{}') })
  }
  if (given.mode === 'copy') {
    const copy = `COPY ${table.quoted} (${columns.map(quoteIdentifier).join(', ')}) FROM STDIN`
    return { columns, kinds, check, run: (client, rows) => copyFrom(client, copy, toCopyText(rows)) }
  }
  const name = prepare ? `sluice_${createHash('sha256').update(text).digest('hex').slice(0, 32)}` : undefined
  const keys = given.onConflict === 'update' ? given.conflict!.map((key) => columns.indexOf(key)) : undefined
  return {
    columns,
    kinds,
    check,
    async run(client, rows) {
      const distinct = keys === undefined ? rows : lastOfEach(rows, keys)
      const values = columns.map((_, at) => toArrayLiteral(distinct.map((row) => row[at] ?? null)))
      await client.query({ text, values, ...(name === undefined ? {} : { name }) })
    },
  }
}

function insertText({ quoted, columns: known }: Table, columns: readonly string[], given: Given): string {
  const names = columns.map(quoteIdentifier)
  const casts = columns.map((name, i) => `r.c${i}::${known.get(name)!.type}`)
  const lists = columns.map((_, i) => `$${i + 1}::text[]`)
  const aliases = columns.map((_, i) => `c${i}`)
  return (
    `INSERT INTO ${quoted} (${names.join(', ')}) SELECT ${casts.join(', ')} ` +
    `FROM unnest(${lists.join(', ')}) AS r(${aliases.join(', ')})${conflictText(columns, given)}`
  )
}

function conflictText(columns: readonly string[], { onConflict, conflict }: Given): string {
  if (onConflict === 'error') return ''
  const about = conflict === undefined ? '' : ` (${conflict.map(quoteIdentifier).join(', ')})`
  const others = onConflict === 'ignore' ? [] : columns.filter((name) => !conflict!.includes(name))
  if (others.length === 0) return ` ON CONFLICT${about} DO NOTHING`
  const sets = others.map((name) => `${quoteIdentifier(name)} = EXCLUDED.${quoteIdentifier(name)}`)
  return ` ON CONFLICT${about} DO UPDATE SET ${sets.join(', ')}`
}

/**
 * Of rows with equal keys the last one, as one after the other they would end: a statement may not update a row twice.
 * Keys that the server alone takes for equal, `1` and `1.0`, are found by the server, and the batch is then tried apart.
 */
function lastOfEach(rows: readonly TextRow[], keys: readonly number[]): readonly TextRow[] {
  const last = new Map<string, number>()
  for (const [i, row] of rows.entries()) last.set(keyOf(row, keys, i), i)
  return last.size === rows.length ? rows : rows.filter((row, i) => last.get(keyOf(row, keys, i)) === i)
}

/** Rows without a whole key are all different, as NULL equals nothing. */
function keyOf(row: TextRow, keys: readonly number[], position: number): string {
  const values = keys.map((at) => row[at] ?? null)
  return values.includes(null) ? `row ${position}` : JSON.stringify(values)
}
