import { dirname } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import type { SqlRow, SqlValue } from '../contracts/storage.ts'
import { makeFolder } from '../util/folder.ts'
import { isRowError, toFailure } from './failure.ts'
import type { Failure, Write, Written } from './protocol.ts'

/** How long SQLite waits for another program's lock, in milliseconds. */
const BUSY_TIMEOUT = 5000

const GIVEN_UP: Failure = {
  message: 'nobody waited for this any more, so it was not stored',
  hint: undefined,
  retryable: false,
}

/** Statements kept prepared per file; the one prepared first is given up for a new one. */
const MAX_STATEMENTS = 256

/**
 * One open SQLite file, as the storage worker uses it. Everything blocks; what it throws are the errors of SQLite and
 * of the file system.
 */
export class DatabaseFile {
  readonly #file: string
  readonly #database: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()

  /** Opens or creates the file and the folders above it; one that is only read must be there, and stays as it is. */
  constructor(file: string, { readOnly = false } = {}) {
    if (!readOnly) makeFolder(dirname(file))
    this.#file = file
    this.#database = new DatabaseSync(file, { timeout: BUSY_TIMEOUT, readOnly })
    if (readOnly) return
    try {
      this.#database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
    } catch (thrown) {
      this.#database.close()
      throw thrown
    }
  }

  exec(sql: string): void {
    this.#database.exec(sql)
  }

  all(sql: string, parameters: SqlRow): Record<string, SqlValue>[] {
    const statement = this.#prepare(sql)
    return (statement.all(...parameters.map(toBound)) as Record<string, SqlValue>[]).map(toRow)
  }

  /**
   * Runs all writes in one transaction.
   * @returns for each write what became of its rows: those that failed alone, and all others are committed
   * @throws when the transaction itself failed; then no row of any write is stored
   */
  commit(writes: readonly Write[]): readonly Written[] {
    const written = writes.map((): Written => ({ failed: new Map(), ids: [] }))
    try {
      // A table may be declared so that a refused row ends the whole transaction (ON CONFLICT ROLLBACK). Then all is
      // done again without that row; each round leaves one out, so there is an end.
      do {
        this.#database.exec('BEGIN IMMEDIATE')
      } while (!this.#runAll(writes, written))
      this.#database.exec('COMMIT')
      return written
    } catch (thrown) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
      throw thrown
    }
  }

  close(): void {
    this.#database.close()
  }

  /** @returns false when a row has ended the transaction */
  #runAll(writes: readonly Write[], written: readonly Written[]): boolean {
    for (const [w, write] of writes.entries()) {
      const { failed, ids } = written[w]!
      // The lock on the file may have been waited for till nobody waited for the row any more.
      if (write.givenUp !== undefined && Atomics.load(write.givenUp, 0) === 1) {
        for (const i of write.rows.keys()) failed.set(i, GIVEN_UP)
        continue
      }
      for (let i = 0; i < write.rows.length; i++) {
        if (failed.has(i)) continue
        try {
          const { changes, lastInsertRowid } = this.#prepare(write.sql).run(...write.rows[i]!.map(toBound))
          // Of a row that a condition has left out, SQLite gives the number of the one before.
          if (write.wantsIds) ids[i] = Number(changes) === 0 ? 0 : Number(lastInsertRowid)
        } catch (thrown) {
          if (!isRowError(thrown)) throw thrown
          failed.set(i, toFailure(thrown, this.#file))
          if (!this.#database.isTransaction) return false
        }
      }
    }
    return true
  }

  #prepare(sql: string): StatementSync {
    const known = this.#statements.get(sql)
    if (known !== undefined) return known
    const statement = this.#database.prepare(sql)
    statement.setReadBigInts(true)
    if (this.#statements.size >= MAX_STATEMENTS) this.#statements.delete(this.#statements.keys().next().value!)
    this.#statements.set(sql, statement)
    return statement
  }
}

/** Node binds every number as a floating-point one; a whole number must become an INTEGER, or 7 is shown as 7.0. */
function toBound(value: SqlValue): SqlValue {
  return typeof value === 'number' && Number.isSafeInteger(value) ? BigInt(value) : value
}

/** Integers that a number holds exactly become numbers again. */
function toRow(row: Record<string, SqlValue>): Record<string, SqlValue> {
  for (const name in row) {
    const value = row[name]
    if (typeof value === 'bigint' && Number.isSafeInteger(Number(value))) row[name] = Number(value)
  }
  return row
}
