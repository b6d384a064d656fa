import { statSync } from 'node:fs'
import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { storedProgress } from './progress.ts'
import { readStore, type StoreFile, storesIn } from './store-file.ts'

/** What a file of the data folder holds. */
export interface StoreStatus extends Pick<StoreFile, 'name' | 'kind'> {
  /** Version of its layout. */
  readonly layout: number
  /** The layout is newer than this version of Sluice, so what is in it is not known. */
  readonly isNewer: boolean
  /** Size on disk in bytes, with what SQLite has not yet moved into the file itself. */
  readonly size: number
  readonly contents: readonly StoreContent[]
}

export interface StoreContent {
  /**
   * Id of a step that has a buffer; of the dead letters, their endpoint and the step that failed; of keys, their endpoint.
   */
  readonly of: string
  /** How many messages, or keys. */
  readonly count: number
  /** Milliseconds since 1970. */
  readonly oldest: number
  /** Entries that could not be read and were put aside. */
  readonly damaged: number
}

/**
 * Looks what is in a data folder. It blocks, so it is for command lines.
 * @throws SluiceError `storage_failed`
 */
export function statusOfStores(folder: string): StoreStatus[] {
  return storesIn(folder).flatMap(({ name, kind, version }) => {
    const file = join(folder, name)
    const status = readStore(file, (database, layout): StoreStatus => {
      const isNewer = layout > version
      const contents = isNewer || layout === 0 ? [] : READERS[kind](database)
      return { name, kind, layout, isNewer, size: sizeOf(file), contents }
    })
    return status ?? []
  })
}

const READERS: Readonly<Record<StoreFile['kind'], (database: DatabaseSync) => StoreContent[]>> = {
  buffers,
  deadLetters,
  keys,
}

function buffers(database: DatabaseSync): StoreContent[] {
  const steps = rowsOf(
    database,
    `SELECT step AS "of", sum(messages) AS count, min(oldest) AS oldest, sum(damaged) AS damaged FROM (
       SELECT step, sum(messages) AS messages, min(time) AS oldest, 0 AS damaged FROM entries GROUP BY step
       UNION ALL SELECT step, 0, min(time), count(*) FROM damaged GROUP BY step
     ) GROUP BY step ORDER BY step`,
    Number,
  )
  return steps.map((step) => ({ ...step, count: step.count - storedProgress(database, step.of).size }))
}

function deadLetters(database: DatabaseSync): StoreContent[] {
  return rowsOf(
    database,
    `SELECT endpoint || ' ' || iif(step = '', 'framing or format', step) AS "of", count(*) AS count,
       min(time) AS oldest, 0 AS damaged
     FROM dead_letters GROUP BY endpoint, step ORDER BY 2 DESC`,
    (time) => Date.parse(String(time)),
  )
}

/** Repeats of a key have rows of their own, of which the last counts. */
function keys(database: DatabaseSync): StoreContent[] {
  return rowsOf(
    database,
    `SELECT iif(key LIKE '#%', 'keys kept as hashes', substr(key, 1, instr(key, ' ') - 1)) AS "of",
       count(DISTINCT key) AS count, min(time) AS oldest, 0 AS damaged
     FROM keys GROUP BY 1 ORDER BY 1`,
    Number,
  )
}

function rowsOf(database: DatabaseSync, sql: string, timeOf: (value: unknown) => number): StoreContent[] {
  const rows = database.prepare(sql).all()
  return rows.map((row) => ({
    of: String(row['of']),
    count: Number(row['count']),
    oldest: timeOf(row['oldest']),
    damaged: Number(row['damaged']),
  }))
}

function sizeOf(file: string): number {
  return [file, `${file}-wal`].reduce((sum, one) => sum + (statSync(one, { throwIfNoEntry: false })?.size ?? 0), 0)
}
