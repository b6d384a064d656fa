import { crc32 } from 'node:zlib'
import type { Clock } from '../contracts/clock.ts'
import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Batch } from '../contracts/message.ts'
import type { Database, SqlRow, SqlValue, Storage } from '../contracts/storage.ts'
import { cannotBeStored } from './memory-queue.ts'
import { packBatch, type Unpacked, unpackBatch } from './packed-batch.ts'
import type { Entry, FormatOf, Queue } from './queue.ts'

/** Name of the file in the data folder that holds the buffers of all steps. */
export const BUFFERS_FILE = 'buffers.db'

/** Version of the file's layout, kept in `PRAGMA user_version`. */
export const BUFFERS_VERSION = 1

export interface DiskQueueOptions {
  /** Path of the file; several queues share it, so that one sync serves them all. */
  readonly file: string
  /** Id of the step: whose entries these are. */
  readonly step: string
  readonly clock: Clock
  /** Called for an entry that cannot be read any more; it has been put aside. */
  onDamaged(detail: string): void
}

/**
 * Writes that wait on disk, each as one row of a table.
 *
 * ```
 *   add ─▶ INSERT, synced ─┬─▶ tail (in memory, as long as it is small) ─▶ take ─▶ settle ─▶ DELETE
 *                          └─▶ only on disk (`#spilled`) ─▶ SELECT … WHERE id > cursor ─▶ take
 * ```
 * Rows that many connections add at the same time are committed together by the storage thread. Their order is that of
 * the calls. What is deleted need not be on the disk before the next entry is taken: after a crash such an entry is
 * delivered once more.
 */
export class DiskQueue implements Queue {
  messages = 0
  bytes = 0
  readonly #storage: Storage
  readonly #options: DiskQueueOptions
  #database: Promise<Database> | undefined = undefined
  /** Entries behind the cursor that are in memory too, oldest first. */
  #tail: StoredEntry[] = []
  #tailBytes = 0
  /** There may be entries behind the cursor that are on disk alone. */
  #spilled = true
  /** Id of the last entry that was taken, or put aside. */
  #cursor = 0
  /** Entries that were taken and are not settled, oldest first. */
  #taken: StoredEntry[] = []
  /** When the oldest entry that was not read yet had been stored, as far as is known. */
  #oldestUnread = 0
  /** Up to this id everything is dealt with; what is left of it on disk is deleted with the next that is. */
  #settled = 0

  constructor(storage: Storage, options: DiskQueueOptions) {
    this.#storage = storage
    this.#options = options
  }

  get oldest(): number {
    return (this.#taken[0] ?? this.#tail[0])?.since ?? (this.messages > 0 ? this.#oldestUnread : 0)
  }

  /**
   * Opens the file and counts what an earlier run has left.
   * @throws SluiceError `storage_failed`, saying what to do
   */
  async open(): Promise<void> {
    this.#database ??= this.#open()
    await this.#database
  }

  async add(batch: Batch): Promise<void> {
    const { step, clock } = this.#options
    const data = pack(batch)
    const since = clock.now()
    const database = await this.#database!
    const row: SqlRow = [step, since, batch.length, data.length, crc32(data), data]
    const [id] = await database.insert(INSERT, [row])
    if (typeof id !== 'number') throw id
    if (this.messages === 0) this.#oldestUnread = since
    this.messages += batch.length
    this.bytes += data.length
    // What `#load` has read already must not come twice.
    if (this.#spilled || id <= (this.#tail.at(-1)?.id ?? this.#cursor)) return
    if (this.#tailBytes + data.length > TAIL_BYTES) {
      this.#spilled = true
      return
    }
    this.#tail.push({ id, data, since, messages: batch.length })
    this.#tailBytes += data.length
  }

  async take(maxMessages: number, maxBytes: number, formatOf: FormatOf): Promise<readonly Entry[]> {
    const entries: Entry[] = []
    const stored: StoredEntry[] = []
    while (entries.length === 0 && (this.#tail.length > 0 || this.#spilled)) {
      if (this.#tail.length === 0) await this.#load(maxBytes)
      let messages = 0
      let bytes = 0
      for (const next of [...this.#tail]) {
        const { data } = next
        if (entries.length > 0 && (messages + next.messages > maxMessages || bytes + data.length > maxBytes)) break
        const unpacked = await this.#unpack(next, formatOf)
        if (unpacked === undefined) continue
        entries.push({ id: next.id, since: next.since, ...unpacked })
        stored.push(next)
        messages += next.messages
        bytes += data.length
      }
    }
    const last = stored.at(-1)?.id ?? 0
    this.#tail = this.#tail.filter(({ id }) => id > last)
    this.#tailBytes = this.#tail.reduce((sum, { data }) => sum + data.length, 0)
    this.#cursor = Math.max(this.#cursor, last)
    this.#taken.push(...stored)
    return entries
  }

  settle(upTo: number): void {
    for (const { messages, data } of this.#taken.filter(({ id }) => id <= upTo)) {
      this.messages -= messages
      this.bytes -= data.length
    }
    this.#taken = this.#taken.filter(({ id }) => id > upTo)
    this.#settled = upTo
    // What cannot be deleted now is deleted with the next; till then a crash would deliver it twice.
    void this.#delete().catch(() => {})
  }

  giveBack(): void {
    this.#oldestUnread = this.oldest
    this.#tail = []
    this.#tailBytes = 0
    this.#taken = []
    this.#cursor = this.#settled
    this.#spilled = true
  }

  /** Bytes of the file that are free and will be used again: SQLite does not give them back to the disk. */
  async reusable(): Promise<number> {
    const database = await this.#database!
    await this.#delete().catch(() => {})
    const [free] = await database.all(
      'SELECT freelist_count * page_size AS bytes FROM pragma_freelist_count, pragma_page_size',
    )
    return Number(free!['bytes'])
  }

  async close(): Promise<void> {
    const database = await this.#database?.catch(() => undefined)
    if (database === undefined) return
    await this.#delete().catch(() => {})
    await database.close()
  }

  async #open(): Promise<Database> {
    const { file, step } = this.#options
    const database = await this.#storage.open(file)
    try {
      await prepare(database, file)
      const [counted] = await database.all(COUNT, [step])
      this.messages = Number(counted!['messages'])
      this.bytes = Number(counted!['bytes'])
      this.#oldestUnread = Number(counted!['oldest'])
      return database
    } catch (thrown) {
      await database.close()
      throw thrown
    }
  }

  async #delete(): Promise<void> {
    const database = await this.#database!
    await database.write('DELETE FROM entries WHERE step = ? AND id <= ?', [[this.#options.step, this.#settled]])
  }

  /** Reads entries behind the cursor, some `maxBytes` of them, into the tail, which is empty. */
  async #load(maxBytes: number): Promise<void> {
    const database = await this.#database!
    const rows = await database.all(SELECT, [this.#options.step, this.#cursor, MOST_ROWS, maxBytes])
    for (const row of rows) {
      const entry = toEntry(row)
      if (crc32(entry.data) === row['crc']) this.#tail.push(entry)
      else await this.#putAside(entry, 'its checksum is wrong')
    }
    // The storage thread answers in order: what was stored before this look is among the rows, what comes after is added.
    if (rows.length === 0) this.#spilled = false
  }

  /**
   * The messages of an entry. One that cannot be read, because another version of Sluice or of Node.js has written it
   * say, is put aside.
   */
  async #unpack(stored: StoredEntry, formatOf: FormatOf): Promise<Unpacked | undefined> {
    try {
      return unpackBatch(stored.data, formatOf, this.#options.clock)
    } catch (thrown) {
      await this.#putAside(stored, toSluiceError(thrown).message)
      return undefined
    }
  }

  /** An entry that cannot be read must not hold up those behind it, and is kept to be looked at. */
  async #putAside({ id, messages, data }: StoredEntry, why: string): Promise<void> {
    const { file, onDamaged } = this.#options
    const database = await this.#database!
    const detail = `entry ${id} of ${file} with ${messages} messages: ${why}`
    const [failed] = await database.write(PUT_ASIDE, [[detail, id]])
    if (failed !== undefined) throw failed
    await database.write('DELETE FROM entries WHERE id = ?', [[id]])
    this.messages -= messages
    this.bytes -= data.length
    this.#tail = this.#tail.filter((entry) => entry.id !== id)
    this.#cursor = Math.max(this.#cursor, id)
    onDamaged(detail)
  }
}

/** An entry as it is in the file. */
interface StoredEntry {
  readonly id: number
  readonly data: Buffer
  readonly messages: number
  readonly since: number
}

/** So many bytes of entries are kept in memory too, so that they need not be read again. */
const TAIL_BYTES = 4 * 1024 * 1024

/** No more rows are read at once. */
const MOST_ROWS = 512

/** Makes the tables of a file that has none. */
export const CREATE_BUFFERS = `
  CREATE TABLE IF NOT EXISTS entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    step TEXT NOT NULL,
    time INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    crc INTEGER NOT NULL,
    data BLOB NOT NULL
  ) STRICT;
  CREATE INDEX IF NOT EXISTS entries_by_step ON entries (step, id, messages, bytes, time);
  CREATE TABLE IF NOT EXISTS damaged (
    id INTEGER PRIMARY KEY,
    step TEXT NOT NULL,
    time INTEGER NOT NULL,
    detail TEXT NOT NULL,
    data BLOB NOT NULL
  ) STRICT;
  PRAGMA user_version = ${BUFFERS_VERSION}`

const INSERT = 'INSERT INTO entries (step, time, messages, bytes, crc, data) VALUES (?, ?, ?, ?, ?, ?)'
/** Which entries, by the index alone; then those. */
const SELECT = `
  SELECT entries.* FROM (
    SELECT id, sum(bytes) OVER (ORDER BY id) - bytes AS before FROM entries WHERE step = ? AND id > ? ORDER BY id LIMIT ?
  ) AS chosen JOIN entries ON entries.id = chosen.id WHERE chosen.before < ? ORDER BY entries.id`
/** Answered by the index alone: the entries themselves need not be read. */
const COUNT = `
  SELECT coalesce(sum(messages), 0) AS messages, coalesce(sum(bytes), 0) AS bytes, coalesce(min(time), 0) AS oldest
  FROM entries WHERE step = ?`
const PUT_ASIDE = `
  INSERT OR REPLACE INTO damaged (id, step, time, detail, data)
  SELECT id, step, time, ?, data FROM entries WHERE id = ?`

async function prepare(database: Database, file: string): Promise<void> {
  const [pragma] = await database.all('PRAGMA user_version')
  const version = Number(pragma?.['user_version'])
  if (version > BUFFERS_VERSION) {
    const text = `the buffers in ${file} were written by a newer version of Sluice (layout ${version})`
    throw new SluiceError('storage_failed', text, { hint: 'Use that version, or let it deliver what is in them.' })
  }
  if (version < BUFFERS_VERSION) await database.exec(CREATE_BUFFERS)
}

function toEntry(row: Readonly<Record<string, SqlValue>>): StoredEntry {
  const data = row['data'] as Uint8Array
  return {
    id: Number(row['id']),
    data: Buffer.from(data.buffer, data.byteOffset, data.byteLength),
    messages: Number(row['messages']),
    since: Number(row['time']),
  }
}

/** @throws SluiceError `sink_failed` for a batch with a value that cannot be stored */
function pack(batch: Batch): Buffer {
  try {
    return packBatch(batch)
  } catch (thrown) {
    throw cannotBeStored(thrown)
  }
}
