import type { SluiceError } from './errors.ts'

/** A value that the embedded database can hold. Booleans are stored as 0 and 1, times as RFC 3339 text. */
export type SqlValue = null | number | bigint | string | Uint8Array

/** One row: the values of a statement's `?` in order. */
export type SqlRow = readonly SqlValue[]

/** One SQLite database file, used through a storage thread. */
export interface Database {
  /**
   * Runs statements that give no rows, such as `CREATE TABLE`.
   * @throws SluiceError `storage_failed`
   */
  exec(sql: string): Promise<void>
  /**
   * Runs one statement for each row. Everything that is pending on this database, from whatever connection, is committed
   * in one transaction (WAL, `synchronous=FULL`); the promise resolves after that commit. A row that fails, a broken
   * constraint say, fails alone.
   * @param rows bytes in them are copied at once, so they may change as soon as this was called
   * @param over aborted when nobody waits for the outcome any more: rows whose turn has not come by then are left out
   * @returns for each row its error, or undefined when it is committed
   * @throws SluiceError `storage_failed` when the commit itself failed: then no row is stored
   */
  write(sql: string, rows: readonly SqlRow[], over?: AbortSignal): Promise<readonly (SluiceError | undefined)[]>
  /**
   * The same as `write`, for an INSERT into a table that numbers its rows itself.
   * @returns for each row the number that SQLite gave it (`last_insert_rowid`), 0 where the statement has added none, or
   *   its error
   * @throws SluiceError `storage_failed`, as `write` does
   */
  insert(sql: string, rows: readonly SqlRow[]): Promise<readonly (number | SluiceError)[]>
  /** Runs a query. @throws SluiceError `storage_failed` */
  all(sql: string, parameters?: SqlRow): Promise<readonly Readonly<Record<string, SqlValue>>[]>
  /** Closes the file once nothing else uses it. */
  close(): Promise<void>
}

/** The embedded database engine, in threads of its own: no file holds up those of another kind. */
export interface Storage {
  /**
   * Opens a file, creating it and its folder when missing. The same path gives the same database.
   * @throws SluiceError `storage_failed`, saying what to do
   */
  open(file: string): Promise<Database>
  /**
   * Opens a file that is there to read from it alone: nothing of it is changed, whatever is asked for. It sees what has
   * been committed, also by others. A question that takes long holds up no write.
   * @throws SluiceError `storage_failed`
   */
  openReadOnly(file: string): Promise<Database>
  close(): Promise<void>
}
