import { existsSync } from 'node:fs'
import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import { SluiceError } from '../contracts/errors.ts'
import {
  DEAD_LETTERS_VERSION,
  fromRow,
  newerVersion,
  type StoredDeadLetter,
  type StoredRow,
} from './dead-letter-rows.ts'

/** Which dead letters; what is left out does not matter. */
export interface DeadLetterFilter {
  readonly ids?: readonly number[] | undefined
  readonly endpoint?: string | undefined
  readonly step?: string | undefined
  readonly code?: string | undefined
  /** Only what was given up at this time or later; milliseconds since 1970. */
  readonly since?: number | undefined
  /** Only what was given up before this time. */
  readonly until?: number | undefined
}

/** What is the same in several dead letters, and how many they are. */
export interface DeadLetterGroup {
  readonly endpoint: string
  readonly step: string
  readonly code: string
  readonly count: number
}

/**
 * Reads dead letters, newest first, whether a server has the file open or not. It blocks, as all here does, so it is for
 * command lines.
 * @param file path of `dead-letters.db`
 * @param limit how many at most
 * @throws SluiceError `storage_failed`, when there is no such file or it is something else
 */
export function readDeadLetters(file: string, filter: DeadLetterFilter = {}, limit = 100): StoredDeadLetter[] {
  const { where, parameters } = conditionsOf(filter)
  return withFile(file, true, (database) =>
    (
      database
        .prepare(`SELECT * FROM dead_letters ${where} ORDER BY id DESC LIMIT ?`)
        .all(...parameters, limit) as unknown as StoredRow[]
    ).map(fromRow),
  )
}

/**
 * Reads one dead letter.
 * @returns undefined when no such id is there (any more)
 * @throws SluiceError `storage_failed`, as {@link readDeadLetters} does
 */
export function readDeadLetter(file: string, id: number): StoredDeadLetter | undefined {
  return readDeadLetters(file, { ids: [id] })[0]
}

/**
 * Finds dead letters without reading them.
 * @returns their numbers, oldest first, and what they are
 * @throws SluiceError `storage_failed`, as {@link readDeadLetters} does
 */
export function findDeadLetters(file: string, filter: DeadLetterFilter) {
  const { where, parameters } = conditionsOf(filter)
  return withFile(file, true, (database) => {
    const rows = database.prepare(`SELECT id FROM dead_letters ${where} ORDER BY id`).all(...parameters)
    const grouped = `SELECT endpoint, step, code, count(*) AS count FROM dead_letters ${where} GROUP BY 1, 2, 3 ORDER BY 4 DESC`
    return {
      ids: rows.map((row) => Number(row['id'])),
      groups: database.prepare(grouped).all(...parameters) as unknown as readonly DeadLetterGroup[],
    }
  })
}

/**
 * Removes dead letters, whether a server has the file open or not.
 * @returns how many were there
 * @throws SluiceError `storage_failed`, as {@link readDeadLetters} does
 */
export function dropDeadLetters(file: string, ids: readonly number[]): number {
  return withFile(file, false, (database) => {
    const statement = database.prepare('DELETE FROM dead_letters WHERE id = ?')
    database.exec('BEGIN IMMEDIATE')
    const count = ids.reduce((sum, id) => sum + Number(statement.run(id).changes), 0)
    database.exec('COMMIT')
    return count
  })
}

function conditionsOf({ ids, endpoint, step, code, since, until }: DeadLetterFilter) {
  const conditions: string[] = []
  const parameters: SQLInputValue[] = []
  const add = (condition: string, value: SQLInputValue | undefined) => {
    if (value === undefined) return
    conditions.push(condition)
    parameters.push(value)
  }
  add('id IN (SELECT value FROM json_each(?))', ids && JSON.stringify(ids))
  add('endpoint = ?', endpoint)
  add('step = ?', step)
  add('code = ?', code)
  // All times are written in one form and so compare as text.
  add('time >= ?', since === undefined ? undefined : new Date(since).toISOString())
  add('time < ?', until === undefined ? undefined : new Date(until).toISOString())
  return { where: conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`, parameters }
}

function withFile<T>(file: string, readOnly: boolean, work: (database: DatabaseSync) => T): T {
  if (!existsSync(file)) {
    throw new SluiceError('storage_failed', `no dead letters yet: there is no file ${file}`, {
      hint: 'If messages have failed, check that data.dir is the folder that the server uses.',
    })
  }
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(file, { readOnly, timeout: 5000 })
    database.exec('PRAGMA synchronous = FULL')
    const version = Number(database.prepare('PRAGMA user_version').get()?.['user_version'])
    if (version > DEAD_LETTERS_VERSION) throw newerVersion(file, version)
    return work(database)
  } catch (thrown) {
    if (thrown instanceof SluiceError) throw thrown
    const reason = thrown instanceof Error ? thrown.message : String(thrown)
    const what = readOnly ? 'read' : 'changed'
    throw new SluiceError('storage_failed', `the dead letters in ${file} cannot be ${what}: ${reason}`, {
      cause: thrown,
    })
  } finally {
    database?.close()
  }
}
