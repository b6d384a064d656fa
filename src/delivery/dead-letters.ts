import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { DeadLetters } from '../contracts/context.ts'
import type { DeadLetterCounters } from '../contracts/counters.ts'
import { type SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Events } from '../contracts/events.ts'
import type { Message, Source } from '../contracts/message.ts'
import type { Database, SqlRow, Storage } from '../contracts/storage.ts'
import { createBackoff } from '../util/backoff.ts'
import { withEither } from '../util/signals.ts'
import { type DeadLetterBounds, DeadLetterRoom } from './dead-letter-room.ts'
import {
  COUNT_ROWS,
  CREATE,
  DEAD_LETTERS_VERSION,
  type Failed,
  fromRow,
  INSERT,
  newerVersion,
  REPLACE,
  type StoredDeadLetter,
  type StoredRow,
  sizeOfRow,
  toRow,
  UPGRADE,
} from './dead-letter-rows.ts'
import { type RetryTiming, realTiming } from './retry.ts'

/** Name of the file in the data folder. */
export const DEAD_LETTERS_FILE = 'dead-letters.db'

/** For how many milliseconds after its first failure a dead letter is tried again: a browser may hold the file locked. */
const RETRY_FOR = 10_000

/** The first wait is at most this many milliseconds, and the bound doubles from wait to wait. */
const FIRST_WAIT = 50

/** No wait is longer, in milliseconds. */
const LONGEST_WAIT = 1000

/** How often is looked for what is too old, and for what other programs have done, in milliseconds. */
const REFRESH_MS = 10_000

export interface DeadLetterOptions extends DeadLetterBounds {
  readonly events: Pick<Events, 'emit'>
  /** Milliseconds since 1970. Default: the clock of the machine. */
  now?(): number
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
 *
 * The store is bounded, for all processes that write into it together. What is too old is removed; when there are too many
 * bytes, `add` waits for room, and loses nothing.
 */
export class DeadLetterStore implements DeadLetters {
  readonly #storage: Storage
  readonly #file: string
  readonly #maxSize: number
  readonly #timing: RetryTiming
  readonly #room: DeadLetterRoom
  readonly #closing = new AbortController()
  /** Ends every wait. */
  readonly #signal: AbortSignal
  /** Where messages come from that are being retried, and what they were. */
  readonly #retried = new WeakMap<Source, Retried>()
  #opening: Promise<Database> | undefined = undefined
  #refreshing: NodeJS.Timeout | undefined = undefined

  /** @param dir the data folder; created when missing */
  constructor(storage: Storage, dir: string, options: DeadLetterOptions) {
    const { maxSize, signal, timing = realTiming, now = Date.now } = options
    this.#storage = storage
    this.#file = join(dir, DEAD_LETTERS_FILE)
    this.#maxSize = maxSize
    this.#timing = timing
    this.#signal = signal === undefined ? this.#closing.signal : AbortSignal.any([signal, this.#closing.signal])
    this.#room = new DeadLetterRoom({ ...options, timing, now, signal: this.#signal })
  }

  get counters(): DeadLetterCounters {
    return this.#room.counters
  }

  /**
   * Opens the file where there is one already, so that what is in it is counted and grows old.
   * @throws SluiceError `storage_failed` when it is of no use: a newer version of Sluice has written it, say
   */
  async open(): Promise<void> {
    if (existsSync(this.#file)) await this.#open()
  }

  add(message: Message, error: SluiceError, step: string, over?: AbortSignal): Promise<number> {
    // It will be tried again, so whoever remembers what has finished must not remember it.
    if (message.error !== undefined || error.code !== 'kept_by_step') message.source.failed?.(message.sequence)
    const failed = { message, error, step, passed: message.source.buffer === step }
    return withEither(this.#signal, over, (signal) => this.#add(failed, signal))
  }

  async #add(failed: Failed, signal: AbortSignal): Promise<number> {
    const { source } = failed.message
    const retried = this.#retried.get(source.origin ?? source)
    const row = toRow(failed, retried?.letter)
    // It takes the place of one that is still there.
    const size = retried === undefined ? sizeOfRow(row) : 0
    const timing = this.#timing
    const backoff = createBackoff({ first: FIRST_WAIT, max: LONGEST_WAIT, random: timing.random })
    let giveUpAt = Number.POSITIVE_INFINITY
    for (;;) {
      const result = await this.#insert(row, size, signal)
      if (typeof result === 'number') {
        retried?.kept.push(result)
        return result
      }
      giveUpAt = Math.min(giveUpAt, timing.now() + RETRY_FOR)
      const left = giveUpAt - timing.now()
      if (!result.retryable || left <= 0 || signal.aborted) throw result
      await timing.wait(Math.min(backoff.next(), Math.ceil(left)), signal)
      if (signal.aborted) throw result
    }
  }

  /** @returns undefined when it is not there (any more). @throws SluiceError `storage_failed` */
  async get(id: number): Promise<StoredDeadLetter | undefined> {
    if (this.#opening === undefined && !existsSync(this.#file)) return undefined
    const database = await this.#open()
    const [row] = await database.all('SELECT * FROM dead_letters WHERE id = ?', [id])
    return row && fromRow(row as unknown as StoredRow)
  }

  /**
   * A dead letter is being retried: what is added meanwhile from its source takes its place, and finds room.
   * @returns the numbers under which steps of the dataflow keep it again
   */
  begin(letter: StoredDeadLetter, source: Source): readonly number[] {
    const kept: number[] = []
    this.#retried.set(source, { letter, kept })
    return kept
  }

  /**
   * Ends a retry. What failed is stored before what was there goes, so that a crash in between can double a message but
   * not lose it.
   * @param failed what failed in the run; nothing when all of the message was dealt with
   * @throws SluiceError `storage_failed`; the dead letter is then still there
   */
  async settle(letter: StoredDeadLetter, failed: readonly Failed[]): Promise<void> {
    const database = await this.#open()
    const [first, ...others] = failed
    // A step may have made several messages of one.
    for (const other of others) await this.#add(other, this.#signal)
    const [error] =
      first === undefined
        ? await database.write('DELETE FROM dead_letters WHERE id = ?', [[letter.id]])
        : await database.write(REPLACE, [[...toRow(first, letter), letter.id]])
    if (error !== undefined) throw error
    await this.#refresh()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    clearInterval(this.#refreshing)
    const opening = this.#opening
    this.#opening = undefined
    const database = await opening?.catch(() => undefined)
    await database?.close()
  }

  /** @param size 0 for what needs no room */
  async #insert(row: SqlRow, size: number, signal: AbortSignal): Promise<number | SluiceError> {
    try {
      const database = await this.#open()
      if (size === 0) return (await database.insert(INSERT, [[...row, Number.MAX_SAFE_INTEGER]]))[0]!
      for (;;) {
        const result = await this.#insertWithin(this.#maxSize, database, row, size, signal)
        if (result !== 0) return result
        // Another process has taken the room meanwhile.
        await this.#room.refresh(database)
      }
    } catch (thrown) {
      return toSluiceError(thrown, 'storage_failed')
    }
  }

  /** @returns 0 when there is no room any more */
  async #insertWithin(bound: number, database: Database, row: SqlRow, size: number, signal: AbortSignal) {
    await this.#room.take(database, size, signal)
    let result: number | SluiceError = 0
    try {
      result = (await database.insert(INSERT, [[...row, bound]]))[0]!
      return result
    } finally {
      this.#room.release(database, size, typeof result === 'number' && result > 0)
    }
  }

  #open(): Promise<Database> {
    if (this.#opening === undefined) {
      const opening = this.#openStore()
      this.#opening = opening
      // The next message tries again.
      opening.catch(() => {
        if (this.#opening === opening) this.#opening = undefined
      })
    }
    return this.#opening
  }

  async #openStore(): Promise<Database> {
    const database = await this.#storage.open(this.#file)
    try {
      await prepare(database, this.#file)
      await this.#room.refresh(database)
    } catch (error) {
      await database.close()
      throw error
    }
    if (!this.#closing.signal.aborted) {
      this.#refreshing ??= setInterval(() => void this.#refresh(), REFRESH_MS).unref()
    }
    return database
  }

  /** Numbers that are a little old harm nobody. */
  async #refresh(): Promise<void> {
    const database = await this.#opening?.catch(() => undefined)
    if (database !== undefined) await this.#room.refresh(database).catch(() => {})
  }
}

interface Retried {
  readonly letter: StoredDeadLetter
  readonly kept: number[]
}

/** Makes the table, or brings it to the layout of this version. All of it or nothing, also when two servers do it at once. */
async function prepare(database: Database, file: string): Promise<void> {
  const version = await versionOf(database)
  if (version > DEAD_LETTERS_VERSION) throw newerVersion(file, version)
  if (version === DEAD_LETTERS_VERSION) return
  const columns = await database.all(`SELECT name FROM pragma_table_info('dead_letters')`)
  const isOld = columns.length > 0 && !columns.some(({ name }) => name === 'packed')
  try {
    await database.exec(`BEGIN IMMEDIATE; ${isOld ? UPGRADE : CREATE} ${COUNT_ROWS} COMMIT`)
  } catch (thrown) {
    await database.exec('ROLLBACK').catch(() => {})
    if ((await versionOf(database)) !== DEAD_LETTERS_VERSION) throw thrown
  }
}

async function versionOf(database: Database): Promise<number> {
  const [pragma] = await database.all('PRAGMA user_version')
  return Number(pragma?.['user_version'])
}
