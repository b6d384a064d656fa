import type { Client } from 'pg'
import { type ColumnKind, kindOf } from '../brokers/postgres-values.ts'
import { SluiceError } from '../contracts/errors.ts'
import { quoteIdentifier } from '../util/sql-identifier.ts'
import type { TableName } from './postgres-options.ts'

export interface Column {
  /** Its type, or that under a domain, as it stands in a cast. */
  readonly type: string
  readonly kind: ColumnKind
  /** The database makes the value itself and takes none. */
  readonly generated: boolean
}

/** A table as it was when somebody last looked. */
export interface Table {
  /** As it stands in a statement. */
  readonly quoted: string
  readonly columns: ReadonlyMap<string, Column>
  /** False for a table that the server empties after a crash. */
  readonly logged: boolean
  /** Milliseconds of `performance.now`. */
  readonly readAt: number
}

/**
 * Looks at a table.
 * @throws SluiceError `sink_failed` when there is none
 */
export async function readTable(client: Client, name: TableName): Promise<Table> {
  const quoted = quoteTable(name)
  const { rows } = await client.query<ColumnRow>({ text: COLUMNS, values: [quoted] })
  if (rows.length === 0) throw await missing(client, name)
  const columns = new Map(
    rows.map(
      (row) => [row.name, { type: row.type, kind: kindOf(row.base, row.element), generated: row.generated }] as const,
    ),
  )
  return { quoted, columns, logged: rows[0]!.logged, readAt: performance.now() }
}

/** Why rows with these columns cannot be written, as far as the table is concerned; undefined when they can. */
export function columnProblem(table: Table, names: readonly string[]): string | undefined {
  for (const name of names) {
    const column = table.columns.get(name)
    if (column === undefined) return `the table ${table.quoted} has no column ${quoteIdentifier(name)}`
    if (column.generated) return `the database itself makes the values of the column ${quoteIdentifier(name)}`
  }
  return undefined
}

interface ColumnRow {
  readonly name: string
  readonly type: string
  readonly generated: boolean
  readonly logged: boolean
  readonly base: string
  /** Name of the type of the elements; null for a type that is no array. */
  readonly element: string | null
}

/**
 * One row for each column. Domains are followed to the type under them, and types go without their length: a cast to
 * varchar(5) cuts a text off, while storing a varchar in such a column refuses it.
 */
const COLUMNS = `
  WITH RECURSIVE columns AS (
    SELECT a.attnum, a.attname, a.attgenerated <> '' OR a.attidentity = 'a' AS generated, c.relpersistence <> 'u' AS logged,
           t.oid, t.typname, t.typtype, t.typbasetype, t.typcategory, t.typelem
      FROM pg_class c
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      JOIN pg_type t ON t.oid = a.atttypid
     WHERE c.oid = to_regclass($1) AND c.relkind IN ('r', 'p', 'v', 'f')
    UNION ALL
    SELECT d.attnum, d.attname, d.generated, d.logged, t.oid, t.typname, t.typtype, t.typbasetype, t.typcategory, t.typelem
      FROM columns d JOIN pg_type t ON t.oid = d.typbasetype
     WHERE d.typtype = 'd'
  )
  SELECT d.attname AS name, format_type(d.oid, -1) AS type, d.generated, d.logged, d.typname AS base, e.typname AS element
    FROM columns d LEFT JOIN pg_type e ON d.typcategory = 'A' AND e.oid = d.typelem
   WHERE d.typtype <> 'd'
   ORDER BY d.attnum`

function quoteTable({ schema, table }: TableName): string {
  return (schema === undefined ? '' : `${quoteIdentifier(schema)}.`) + quoteIdentifier(table)
}

async function missing(client: Client, name: TableName): Promise<SluiceError> {
  const { rows } = await client.query<{ name: string }>({ text: SIMILAR, values: [name.table] })
  const message = `the database has no table ${quoteTable(name)}`
  const near = rows.map((row) => row.name)
  const hint = near.length === 0 ? 'Create the table, or correct its name.' : `Did you mean ${near.join(' or ')}?`
  return new SluiceError('sink_failed', message, { hint })
}

/** Tables of that name in another schema, or with other capital letters. */
const SIMILAR = `
  SELECT CASE WHEN pg_table_is_visible(c.oid) THEN c.relname ELSE n.nspname || '.' || c.relname END AS name
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE lower(c.relname) = lower($1) AND c.relkind IN ('r', 'p', 'v', 'f')
   ORDER BY 1 LIMIT 3`
