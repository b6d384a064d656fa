import { SluiceError } from '../contracts/errors.ts'
import type { Message } from '../contracts/message.ts'
import { isRecord } from '../contracts/record.ts'
import type { Expression } from '../contracts/schema.ts'

/** What of a message goes into which column of a table. The values are as the message has them. */
export interface TableRow {
  readonly columns: readonly string[]
  readonly values: readonly unknown[]
}

/**
 * Gives the row of a message: the columns that the options name, else the keys of the message. One that is no object goes
 * into the columns `received`, `client` and `msg`.
 * @returns a function that throws SluiceError for a message that makes no row
 */
export function tableRowOf(columns: Readonly<Record<string, Expression>> | undefined): (message: Message) => TableRow {
  if (columns === undefined) return rowOfMessage
  const names = Object.keys(columns)
  const values = Object.values(columns)
  return (message) => ({ columns: names, values: values.map((value) => value(message)) })
}

function rowOfMessage({ msg, received, client }: Message): TableRow {
  if (!isRecord(msg)) return { columns: VALUE_COLUMNS, values: [received, client.id, msg] }
  const columns = Object.keys(msg)
  if (columns.length === 0) throw new SluiceError('sink_failed', 'a message without keys makes no row')
  return { columns, values: Object.values(msg) }
}

const VALUE_COLUMNS = ['received', 'client', 'msg'] as const
