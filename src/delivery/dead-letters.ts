import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import type { DeadLetters } from '../contracts/context.ts'
import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Message } from '../contracts/message.ts'
import type { Database, SqlRow, Storage } from '../contracts/storage.ts'
import { createBackoff } from '../util/backoff.ts'
import { CREATE, DEAD_LETTERS_VERSION, INSERT, newerVersion, type StoredDeadLetter, toRow } from './dead-letter-rows.ts'
import { type RetryTiming, realTiming } from './retry.ts'

export type { StoredDeadLetter }

/** Name of the file in the data folder. */
export const DEAD_LETTERS_FILE = 'dead-letters.db'

/** For how many milliseconds after its first failure a dead letter is tried again: a browser may hold the file locked. */
const RETRY_FOR = 10_000

/** The first wait is at most this many milliseconds, and the bound doubles from wait to wait. */
const FIRST_WAIT = 50

/** No wait is longer, in milliseconds. */
const LONGEST_WAIT = 1000

export interface DeadLetterOptions {
  /** Ends every wait for another attempt: the server stops without waiting any longer. */
  readonly signal?: AbortSignal
  /** Time and chance; a test brings its own. */
  readonly timing?: RetryTiming
}

/**
 * The store of messages that failed for good: the table `dead_letters` of `<dir>/dead-letters.db`. The file is made by
 * the first message that needs it. What many connections give up at the same time is committed together, and several
 * servers may use one folder.
 *
 * What fails for a reason that may pass, a locked file or a full disk, is tried again for 10 s. A storage thread that
 * ended in the middle of a commit does not tell whether it was done, so a message may then be kept twice.
 * @param dir the data folder; created when missing
 */
export function createDeadLetters(
  storage: Storage,
  dir: string,
  options: DeadLetterOptions = {},
): DeadLetters & { close(): Promise<void> } {
  return new DeadLetterStore(storage, join(dir, DEAD_LETTERS_FILE), options)
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
  readonly #timing: RetryTiming
  readonly #closing = new AbortController()
  /** Ends every wait. */
  readonly #signal: AbortSignal
  #opening: Promise<Database> | undefined = undefined

  constructor(storage: Storage, file: string, { signal, timing = realTiming }: DeadLetterOptions) {
    this.#storage = storage
    this.#file = file
    this.#timing = timing
    this.#signal = signal === undefined ? this.#closing.signal : AbortSignal.any([signal, this.#closing.signal])
  }

  async add(message: Message, error: SluiceError, step: string): Promise<number> {
    const row = toRow(message, error, step)
    const timing = this.#timing
    const backoff = createBackoff({ first: FIRST_WAIT, max: LONGEST_WAIT, random: timing.random })
    let giveUpAt = Number.POSITIVE_INFINITY
    for (;;) {
      const result = await this.#insert(row)
      if (typeof result === 'number') return result
      giveUpAt = Math.min(giveUpAt, timing.now() + RETRY_FOR)
      const left = giveUpAt - timing.now()
      if (!result.retryable || left <= 0 || this.#signal.aborted) throw result
      await timing.wait(Math.min(backoff.next(), Math.ceil(left)), this.#signal)
      if (this.#signal.aborted) throw result
    }
  }

  async close(): Promise<void> {
    this.#closing.abort()
    const opening = this.#opening
    this.#opening = undefined
    const database = await opening?.catch(() => undefined)
    await database?.close()
  }

  async #insert(row: SqlRow): Promise<number | SluiceError> {
    try {
      const database = await this.#open()
      const [result] = await database.insert(INSERT, [row])
      return result!
    } catch (thrown) {
      return toSluiceError(thrown, 'storage_failed')
    }
  }

  #open(): Promise<Database> {
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

async function openStore(storage: Storage, file: string): Promise<Database> {
  const database = await storage.open(file)
  try {
    const [pragma] = await database.all('PRAGMA user_version')
    const version = Number(pragma?.['user_version'])
    if (version > DEAD_LETTERS_VERSION) throw newerVersion(file, version)
    if (version < DEAD_LETTERS_VERSION) await database.exec(CREATE)
    return database
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
