import { SluiceError } from '../contracts/errors.ts'
import { KEYS_VERSION, type KeptAnswer, packAnswers, unpackAnswers } from '../contracts/key-file.ts'
import type { Database, SqlRow, Storage } from '../contracts/storage.ts'
import { hashedKey, keptKey } from '../util/kept-key.ts'
import { KeyIndex } from './dedupe-index.ts'

/** A message that has finished. */
export interface KeyEntry {
  readonly key: string
  /** What it was answered, in order. */
  readonly answers: readonly KeptAnswer[]
}

/** Keys that are known, with the answers of their messages. */
export type KnownKeys = ReadonlyMap<string, readonly KeptAnswer[]>

/** What is forgotten when keys are recorded. */
export interface Limits {
  /** Milliseconds after which a key is forgotten. */
  readonly window: number
  readonly maxKeys: number
  /** Milliseconds since 1970. */
  readonly now: number
}

/**
 * The keys of messages that have finished, in a file, and those of messages that are under way, in memory.
 *
 * ```
 *   find ─▶ index (in memory) ─┬─ no row can be it ─▶ new
 *                              └─ these rows may be it ─▶ SELECT … WHERE id IN (…) ─▶ known, or new
 *   record ─▶ INSERT, synced ─▶ index
 * ```
 * So a new key costs no look into the file, and rows are only ever added at its end and removed at its beginning. The
 * index may name rows that are no more, or are those of another key: what counts is the row.
 */
export class KeyStore {
  readonly #storage: Storage
  readonly #file: string
  #database: Promise<Database> | undefined = undefined
  /** Keys that a run has in hand; where somebody waits for one, with what settles when it is given back. */
  readonly #claims = new Map<string, PromiseWithResolvers<void> | undefined>()
  readonly #index = new KeyIndex()
  /** Id of the row that was added last. */
  #last = 0
  /** What waits until the question that is with the storage thread has been answered. */
  #questions: Question[] = []
  #asking = false
  /** Keys that were recorded since old ones were last forgotten. */
  #recorded = 0

  constructor(storage: Storage, file: string) {
    this.#storage = storage
    this.#file = file
  }

  /** @throws SluiceError `storage_failed`, saying what to do */
  async open(): Promise<void> {
    this.#database ??= this.#open()
    await this.#database
  }

  async close(): Promise<void> {
    const database = await this.#database?.catch(() => undefined)
    await database?.close()
  }

  /**
   * A key as it is kept: as it is written, so that it can be looked for in the file. One that is long, or no text for
   * SQLite, is kept as its hash.
   */
  identify(endpoint: string, key: string): string {
    const text = `${endpoint} ${key}`
    return text.isWellFormed() && !text.includes('\0') ? keptKey(text) : hashedKey(text)
  }

  /** Takes a key in hand. @returns false when somebody else has it */
  claim(key: string): boolean {
    if (this.#claims.has(key)) return false
    this.#claims.set(key, undefined)
    return true
  }

  release(key: string): void {
    this.#claims.get(key)?.resolve()
    this.#claims.delete(key)
  }

  /** Resolves when nobody has the key in hand. */
  async released(key: string): Promise<void> {
    if (!this.#claims.has(key)) return
    const waiting = this.#claims.get(key) ?? Promise.withResolvers()
    this.#claims.set(key, waiting)
    await waiting.promise
  }

  /**
   * Looks up keys.
   * @param since milliseconds since 1970: what was recorded earlier is not known any more
   * @returns those that are known, with their answers
   * @throws SluiceError `storage_failed`
   */
  find(keys: readonly string[], since: number): Promise<KnownKeys> {
    const ids = keys.flatMap((key) => this.#index.get(key))
    if (ids.length === 0) return Promise.resolve(NONE)
    const { promise, resolve, reject } = Promise.withResolvers<KnownKeys>()
    this.#questions.push({ keys, ids, since, resolve, reject })
    if (!this.#asking) void this.#askAll()
    return promise
  }

  /**
   * Resolves when the keys are on disk.
   * @throws SluiceError `storage_failed`: none of them is
   */
  async record(entries: readonly KeyEntry[], { window, maxKeys, now }: Limits): Promise<void> {
    if (entries.length === 0) return
    const database = await this.#database!
    const rows = entries.map(({ key, answers }): SqlRow => [key, now, packAnswers(answers)])
    const inserted = database.insert(INSERT, rows)
    const forgotten = this.#forget(database, entries.length, { window, maxKeys, now })
    const failed: SluiceError[] = []
    for (const [i, id] of (await inserted).entries()) {
      if (typeof id === 'number') this.#remember(entries[i]!.key, id)
      else failed.push(id)
    }
    await forgotten
    this.#index.forget(this.#last - maxKeys)
    if (failed.length > 0) throw failed[0]!
  }

  /** Removes old rows now and then, in one commit with new ones. What cannot be removed now is removed with the next. */
  async #forget(database: Database, recorded: number, { window, maxKeys, now }: Limits): Promise<void> {
    this.#recorded += recorded
    if (this.#recorded < Math.min(FORGET_EVERY, Math.ceil(maxKeys / 100))) return
    this.#recorded = 0
    const writes = [database.write(FORGET_MANY, [[maxKeys]]), database.write(FORGET_OLD, [[now - window]])]
    await Promise.all(writes).catch(() => {})
  }

  #remember(key: string, id: number): void {
    this.#index.add(key, id)
    this.#last = Math.max(this.#last, id)
  }

  async #askAll(): Promise<void> {
    this.#asking = true
    while (this.#questions.length > 0) {
      const asked = this.#questions
      this.#questions = []
      await this.#ask(asked)
    }
    this.#asking = false
  }

  async #ask(asked: readonly Question[]): Promise<void> {
    try {
      const database = await this.#database!
      const rows = await database.all(FIND, [JSON.stringify(asked.flatMap(({ ids }) => ids))])
      const found = new Map(rows.map((row) => [String(row['key']), row]))
      for (const { keys, since: from, resolve } of asked) {
        const known = new Map<string, readonly KeptAnswer[]>()
        for (const key of keys) {
          const row = found.get(key)
          if (row !== undefined && Number(row['time']) >= from) known.set(key, unpackAnswers(row['answers']))
        }
        resolve(known)
      }
    } catch (thrown) {
      for (const { reject } of asked) reject(thrown)
    }
  }

  async #open(): Promise<Database> {
    const database = await this.#storage.open(this.#file)
    try {
      const [pragma] = await database.all('PRAGMA user_version')
      const version = Number(pragma?.['user_version'])
      if (version > KEYS_VERSION) {
        const text = `the keys in ${this.#file} were written by a newer version of Sluice (layout ${version})`
        throw new SluiceError('storage_failed', text, { hint: 'Use that version, or move the file away.' })
      }
      if (version < KEYS_VERSION) await database.exec(CREATE)
      await this.#load(database)
      return database
    } catch (thrown) {
      await database.close()
      throw thrown
    }
  }

  async #load(database: Database): Promise<void> {
    for (;;) {
      const rows = await database.all(LOAD, [this.#last])
      for (const { key, id } of rows) this.#remember(String(key), Number(id))
      if (rows.length === 0) return
    }
  }
}

interface Question {
  readonly keys: readonly string[]
  /** Rows that may be theirs. */
  readonly ids: readonly number[]
  readonly since: number
  resolve(known: KnownKeys): void
  reject(thrown: unknown): void
}

/** Old keys are forgotten after so many new ones, or sooner where few are kept. */
const FORGET_EVERY = 1000

const NONE: KnownKeys = new Map()

// The ids ascend with time, so the oldest are found without an index of their own.
const CREATE = `
  CREATE TABLE IF NOT EXISTS keys (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL,
    time INTEGER NOT NULL,
    answers TEXT
  ) STRICT;
  PRAGMA user_version = ${KEYS_VERSION}`

const LOAD = 'SELECT id, key FROM keys WHERE id > ? ORDER BY id LIMIT 20000'
/** Of two rows with one key the later comes last, and counts. */
const FIND = 'SELECT key, time, answers FROM keys WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id'
const INSERT = 'INSERT INTO keys (key, time, answers) VALUES (?, ?, ?)'
const FORGET_MANY = 'DELETE FROM keys WHERE id <= (SELECT max(id) FROM keys) - ?'
/** A bounded number at once: the storage thread has other work too. */
const FORGET_OLD = `
  DELETE FROM keys WHERE id < min(
    coalesce((SELECT id FROM keys WHERE time >= ? ORDER BY id LIMIT 1), 9223372036854775807),
    (SELECT min(id) FROM keys) + 5000)`
