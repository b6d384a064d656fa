import type { Client } from 'pg'
import { exchange } from '../brokers/postgres-exchange.ts'

/**
 * Runs `COPY … FROM STDIN` with all its data at once.
 * @param data rows in the form that the statement names; the caller bounds its size
 * @returns resolves when the server has copied all rows
 * @throws what the server answered: then it has copied none
 * @see https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-COPY
 */
export function copyFrom(client: Client, statement: string, data: string): Promise<void> {
  return exchange(client, (connection) => connection.query(statement), {
    handleCopyInResponse({ stream }) {
      const bytes = Buffer.from(data, 'utf8')
      const head = Buffer.alloc(5)
      head[0] = COPY_DATA
      // The length counts itself and not the byte before it.
      head.writeInt32BE(bytes.length + 4, 1)
      stream.cork()
      stream.write(head)
      stream.write(bytes)
      stream.write(COPY_DONE)
      stream.uncork()
    },
  })
}

/**
 * Rows in the text form of COPY: one line each, columns between tabs.
 * @see https://www.postgresql.org/docs/current/sql-copy.html "Text Format"
 */
export function toCopyText(rows: readonly (readonly (string | null)[])[]): string {
  let text = ''
  for (const row of rows) {
    for (let i = 0; i < row.length; i++) {
      if (i > 0) text += '\t'
      const value = row[i] ?? null
      text += value === null ? '\\N' : /[\\\n\r\t]/.test(value) ? value.replaceAll(/[\\\n\r\t]/g, escapeForCopy) : value
    }
    text += '\n'
  }
  return text
}

/** `d`: a piece of data. */
const COPY_DATA = 0x64

/** `c`: there is no more. */
const COPY_DONE = Buffer.from([0x63, 0, 0, 0, 4])

function escapeForCopy(character: string): string {
  return character === '\n' ? '\\n' : character === '\r' ? '\\r' : character === '\t' ? '\\t' : '\\\\'
}
