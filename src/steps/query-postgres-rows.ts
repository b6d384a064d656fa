import type { Client } from 'pg'
import { exchange } from '../brokers/postgres-exchange.ts'
import { type ColumnKind, kindOf } from '../brokers/postgres-values.ts'
import type { Row } from './query-each.ts'
import { readerOf } from './query-postgres-read.ts'

/**
 * Runs a statement with its parameters bound, and takes its first rows.
 * @param values of the parameters, in the text form of their types
 * @param limit most rows; the server makes no more of them
 * @throws what the server answered
 * @see https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY
 */
export async function fetchRows(
  client: Client,
  sql: string,
  values: readonly (string | null)[],
  limit: number,
): Promise<Row[]> {
  const rows: (readonly (string | null)[])[] = []
  let columns: readonly { readonly name: string; read(text: string): unknown }[] = []
  await exchange(
    client,
    (connection) => {
      connection.parse({ name: '', text: sql, types: [] }, true)
      connection.bind({ values: [...values] }, true)
      connection.describe({ type: 'P' }, true)
      connection.execute({ rows: String(limit) }, true)
      // It ends the transaction, and with it what the statement still could give.
      connection.sync()
    },
    {
      handleRowDescription({ fields }) {
        columns = fields.map(({ name, dataTypeID }) => ({ name, read: readerOf(dataTypeID) }))
      },
      handleDataRow({ fields }) {
        rows.push(fields)
      },
    },
  )
  const readValue = (text: string | null, read: (text: string) => unknown) => (text === null ? null : read(text))
  return rows.map((fields) =>
    Object.fromEntries(columns.map(({ name, read }, i) => [name, readValue(fields[i] ?? null, read)])),
  )
}

/**
 * Has the server look at a statement and say what its parameters are. It plans nothing and runs nothing.
 * @throws what the server answered, for a table that is not there, say
 */
export async function describeParameters(client: Client, sql: string): Promise<ColumnKind[]> {
  let types: readonly number[] = []
  const take = (message: { readonly dataTypeIDs: readonly number[] }) => {
    types = message.dataTypeIDs
  }
  // pg emits this message and hands it to no query.
  client.connection.once('parameterDescription', take)
  try {
    await exchange(
      client,
      (connection) => {
        connection.parse({ name: '', text: sql, types: [] }, true)
        connection.describe({ type: 'S' }, true)
        connection.sync()
      },
      {},
    )
  } finally {
    client.connection.off('parameterDescription', take)
  }
  if (types.length === 0) return []
  const { rows } = await client.query<{ name: string; element: string | null }>({
    text: TYPES,
    values: [`{${types.join(',')}}`],
  })
  return rows.map(({ name, element }) => kindOf(name, element))
}

const TYPES = `
  SELECT coalesce(b.typname, t.typname) AS name, e.typname AS element
    FROM unnest($1::oid[]) WITH ORDINALITY AS p(type, place)
    JOIN pg_type t ON t.oid = p.type
    LEFT JOIN pg_type b ON t.typtype = 'd' AND b.oid = t.typbasetype
    LEFT JOIN pg_type e ON t.typcategory = 'A' AND e.oid = t.typelem
   ORDER BY p.place`
