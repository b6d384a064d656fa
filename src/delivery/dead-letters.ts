import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import type { DeadLetters } from '../contracts/context.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Message } from '../contracts/message.ts'
import type { Database, Storage } from '../contracts/storage.ts'
import { CREATE, DEAD_LETTERS_VERSION, INSERT, newerVersion, type StoredDeadLetter, toRow } from './dead-letter-rows.ts'

export type { StoredDeadLetter }

/** Name of the file in the data folder. */
export const DEAD_LETTERS_FILE = 'dead-letters.db'

/**
 * The store of messages that failed for good: the table `dead_letters` of `<dir>/dead-letters.db`. The file is made by
 * the first message that needs it. What many connections give up at the same time is committed together.
 * @param dir the data folder; created when missing
 */
export function createDeadLetters(storage: Storage, dir: string): DeadLetters & { close(): Promise<void> } {
  return new DeadLetterStore(storage, join(dir, DEAD_LETTERS_FILE))
}

export interface DeadLetterFilter {
  readonly endpoint?: string | undefined
  readonly step?: string | undefined
  /** Only what was given up at this time or later; milliseconds since 1970. */
  readonly since?: number | undefined
  /** How many at most. Default 100. */
  readonly limit?: number | undefined
}

/**
 * Reads dead letters, newest first, whether a server has the file open or not. It blocks, so it is for command lines.
 * @param file path of `dead-letters.db`
 * @throws SluiceError `storage_failed`, when there is no such file or it is something else
 */
export function readDeadLetters(file: string, filter: DeadLetterFilter = {}): StoredDeadLetter[] {
  const conditions: string[] = []
  const parameters: SQLInputValue[] = []
  const { endpoint, step, since, limit = 100 } = filter
  if (endpoint !== undefined) {
    conditions.push('endpoint = ?')
    parameters.push(endpoint)
  }
  if (step !== undefined) {
    conditions.push('step = ?')
    parameters.push(step)
  }
  if (since !== undefined) {
    // All times are written in one form and so compare as text.
    conditions.push('time >= ?')
    parameters.push(new Date(since).toISOString())
  }
  const where = conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`
  return query(file, `SELECT * FROM dead_letters ${where} ORDER BY id DESC LIMIT ?`, [...parameters, limit])
}

/**
 * Reads one dead letter.
 * @returns undefined when no such id is there (any more)
 * @throws SluiceError `storage_failed`, as {@link readDeadLetters} does
 */
export function readDeadLetter(file: string, id: number): StoredDeadLetter | undefined {
  return query(file, 'SELECT * FROM dead_letters WHERE id = ?', [id])[0]
}

class DeadLetterStore implements DeadLetters {
  readonly #storage: Storage
  readonly #file: string
  #opening: Promise<OpenStore> | undefined = undefined

  constructor(storage: Storage, file: string) {
    this.#storage = storage
    this.#file = file
  }

  async add(message: Message, error: SluiceError, step: string): Promise<number> {
    const store = await this.#open()
    const id = ++store.lastId
    const [failure] = await store.database.write(INSERT, [toRow(id, message, error, step)])
    if (failure !== undefined) throw failure
    return id
  }

  async close(): Promise<void> {
    const opening = this.#opening
    this.#opening = undefined
    const store = await opening?.catch(() => undefined)
    await store?.database.close()
  }

  #open(): Promise<OpenStore> {
    if (this.#opening === undefined) {
      const opening = openStore(this.#storage, this.#file)
      this.#opening = opening
      // The next message tries again.
      opening.catch(() => {
        if (this.#opening === opening) this.#opening = undefined
      })
    }
    return this.#opening
  }
}

interface OpenStore {
  readonly database: Database
  /** Ids are given out here, as a write tells no more than whether it worked. The data folder belongs to one instance. */
  lastId: number
}

async function openStore(storage: Storage, file: string): Promise<OpenStore> {
  const database = await storage.open(file)
  try {
    const [pragma] = await database.all('PRAGMA user_version')
    const version = Number(pragma?.['user_version'])
    if (version > DEAD_LETTERS_VERSION) throw newerVersion(file, version)
    if (version < DEAD_LETTERS_VERSION) await database.exec(CREATE)
    // The sequence remembers the highest id even when its row has been deleted, so no id is ever given twice.
    const [sequence] = await database.all(`SELECT seq FROM sqlite_sequence WHERE name = 'dead_letters'`)
    return { database, lastId: Number(sequence?.['seq'] ?? 0) }
  } catch (error) {
    await database.close()
    throw error
  }
}

function query(file: string, sql: string, parameters: readonly SQLInputValue[]): StoredDeadLetter[] {
  if (!existsSync(file)) {
    throw new SluiceError('storage_failed', `no dead letters yet: there is no file ${file}`, {
      hint: 'If messages have failed, check that data.dir is the folder that the server uses.',
    })
  }
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(file, { readOnly: true, timeout: 5000 })
    const version = Number(database.prepare('PRAGMA user_version').get()?.['user_version'])
    if (version > DEAD_LETTERS_VERSION) throw newerVersion(file, version)
    const rows = database.prepare(sql).all(...parameters) as unknown as StoredRow[]
    return rows.map(({ raw, ...rest }) => ({ ...rest, raw: Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength) }))
  } catch (thrown) {
    if (thrown instanceof SluiceError) throw thrown
    const reason = thrown instanceof Error ? thrown.message : String(thrown)
    throw new SluiceError('storage_failed', `the dead letters in ${file} cannot be read: ${reason}`, { cause: thrown })
  } finally {
    database?.close()
  }
}

/** A row as SQLite gives it. */
type StoredRow = Omit<StoredDeadLetter, 'raw'> & { readonly raw: Uint8Array }
