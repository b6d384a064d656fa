import type { PartContext } from '../contracts/context.ts'
import type { CheckContext, PartFile } from '../contracts/define.ts'
import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import { z } from '../contracts/schema.ts'
import { toSqlValue } from '../contracts/sql-value.ts'
import type { SqlValue } from '../contracts/storage.ts'
import type { AskedDatabase, Row } from './query-each.ts'

/** What `sqlite:` of a query may hold. */
export const sqliteSource = z.strictObject({
  file: z
    .string()
    .min(1)
    .describe("Path of the database file, which must be there. A relative path starts at the configuration's folder."),
})

/** The file, which is only read and so must be there. */
export function sqliteFile({ file }: z.output<typeof sqliteSource>, { resolvePath }: CheckContext): PartFile {
  const hint = 'a sink sqlite that stands before this step creates it'
  return { path: resolvePath(file), option: ['sqlite', 'file'], use: 'needed', hint }
}

/** Opens an SQLite database to be asked. @throws SluiceError `storage_failed` */
export async function openSqlite(
  { file }: z.output<typeof sqliteSource>,
  sql: string,
  { storage, resolvePath }: PartContext,
): Promise<AskedDatabase> {
  try {
    const database = await storage.openReadOnly(resolvePath(file))
    return {
      // What is asked in one go travels together to the storage thread and back.
      width: Number.POSITIVE_INFINITY,
      ask: async (params) => (await database.all(sql, params.map(toSqlValue))).map(readRow),
      isDown: () => false,
      close: () => database.close(),
    }
  } catch (thrown) {
    const { message } = toSluiceError(thrown)
    const hint = 'The file must be there before Sluice starts; a sink sqlite that stands before this step creates it.'
    throw new SluiceError('storage_failed', message, { cause: thrown, hint })
  }
}

function readRow(row: Readonly<Record<string, SqlValue>>): Row {
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, readValue(value)]))
}

function readValue(value: SqlValue): unknown {
  if (typeof value === 'bigint') return String(value)
  return value instanceof Uint8Array ? Buffer.from(value.buffer, value.byteOffset, value.byteLength) : value
}
