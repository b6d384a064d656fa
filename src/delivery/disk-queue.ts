import { crc32 } from 'node:zlib'
import type { Batch } from '../contracts/batch.ts'
import type { Clock } from '../contracts/clock.ts'
import { toSluiceError } from '../contracts/errors.ts'
import type { Database, SqlRow, Storage } from '../contracts/storage.ts'
import { COUNT, INSERT, PUT_ASIDE, prepare, SELECT, type StoredEntry, toEntry } from './buffers-file.ts'
import { Deletions } from './deletions.ts'
import { Groups } from './groups.ts'
import { type Unpacked, unpackBatch } from './packed-batch.ts'
import { copyOf } from './packing-space.ts'
import { Progress } from './progress.ts'
import { type Entry, type FormatOf, MAX_MESSAGES, type Queue } from './queue.ts'
import { Suspects, type Suspicion } from './suspects.ts'

export interface DiskQueueOptions {
  /** Path of the file; several queues share it, so that one sync serves them all. */
  readonly file: string
  /** Id of the step: whose entries these are. */
  readonly step: string
  readonly clock: Clock
  /** Called for an entry that cannot be read any more; it has been put aside. */
  onDamaged(detail: string): void
  /** Called when what waits first may have killed the process: it is delivered one by one. */
  onSuspected(suspicion: Suspicion): void
}

/**
 * Writes that wait on disk. Those of one turn of the event loop, from however many connections, are one row of a table:
 * a row for each would cost more than all else that is done for a short line.
 *
 * ```
 *   add ─▶ group ─▶ INSERT, synced ─┬─▶ tail (in memory, as long as it is small) ─▶ take ─▶ settle ─▶ DELETE
 *                                   └─▶ only on disk (`#spilled`) ─▶ SELECT … WHERE id > cursor ─▶ take
 * ```
 * Rows that are added while others are being synced are committed together by the storage thread. Their order is that of
 * the calls. What is settled is deleted in the commit of what is added next, or some milliseconds later in one of its own;
 * after a crash in between such an entry is delivered once more.
 */
export class DiskQueue implements Queue {
  bytes = 0
  /** Of all entries that are not settled. */
  #messages = 0
  #progress = new Progress()
  readonly #storage: Storage
  readonly #options: DiskQueueOptions
  #database: Promise<Database> | undefined = undefined
  /** Entries behind the cursor that are in memory too, oldest first. */
  #tail: StoredEntry[] = []
  #tailBytes = 0
  /** What is being read into the tail. */
  #loading: Promise<void> | undefined = undefined
  /** There may be entries behind the cursor that are on disk alone. */
  #spilled = true
  /** Id of the last entry that was taken, or put aside. */
  #cursor = 0
  /** Entries that were taken and are not settled, oldest first. */
  #taken: StoredEntry[] = []
  /** What is on disk may be more, or less, than was counted. */
  #isUncounted = false
  /** Entries up to this id are counted, also those whose insertion has not been answered yet. */
  #counted = 0
  /** When the oldest entry that was not read yet had been stored, as far as is known. */
  #oldestUnread = 0
  #suspects: Suspects | undefined = undefined
  readonly #deletions: Deletions
  readonly #groups = new Groups((packed, messages) => this.#store(packed, messages))

  constructor(storage: Storage, options: DiskQueueOptions) {
    this.#storage = storage
    this.#options = options
    this.#deletions = new Deletions(options.step, () => this.#database!)
  }

  get messages(): number {
    return this.#messages - this.#progress.size
  }

  get oldest(): number {
    return (this.#taken[0] ?? this.#tail[0])?.since ?? (this.#messages > 0 ? this.#oldestUnread : 0)
  }

  get suspects(): Suspects | undefined {
    return this.#suspects?.isBehind(this.#cursor) ? this.#suspects : undefined
  }

  /**
   * Opens the file and counts what an earlier run has left.
   * @throws SluiceError `storage_failed`, saying what to do
   */
  async open(): Promise<void> {
    this.#database ??= this.#open()
    await this.#database
  }

  add(batch: Batch): Promise<void> {
    return this.#groups.add(batch)
  }

  async #store(packed: Buffer, messages: number): Promise<void> {
    const { step, clock } = this.#options
    const bytes = packed.length
    const since = clock.now()
    this.#deletions.joinNext()
    const database = await this.#database!
    const row: SqlRow = [step, since, messages, bytes, crc32(packed), packed]
    const [id] = await this.#orUncounted(database.insert(INSERT, [row]))
    if (typeof id !== 'number') throw id
    if (id > this.#counted) {
      if (this.#messages === 0) this.#oldestUnread = since
      this.#messages += messages
      this.bytes += bytes
    }
    // What `#load` has read already must not come twice.
    if (this.#spilled || id <= (this.#tail.at(-1)?.id ?? this.#cursor)) return
    if (this.#tailBytes + bytes > TAIL_BYTES) {
      this.#spilled = true
      this.#oldestUnread = since
      return
    }
    this.#tail.push({ id, data: copyOf(packed), crc: undefined, since, messages, bytes })
    this.#tailBytes += bytes
  }

  async take(maxMessages: number, maxBytes: number, formatOf: FormatOf): Promise<readonly Entry[]> {
    if (this.#deletions.areDue && this.#suspects?.isAfterDeath(this.#cursor))
      await this.#deletions.now().catch(() => {})
    if (this.#isUncounted) await this.#count()
    const entries: Entry[] = []
    const stored: StoredEntry[] = []
    while (entries.length === 0 && (this.#tail.length > 0 || this.#spilled)) {
      if (this.#tail.length === 0) await this.#load()
      let messages = 0
      let bytes = 0
      for (const next of this.#tail) {
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
    // The next are read while these are delivered. Whoever takes them learns what goes wrong.
    if (this.#tail.length === 0 && this.#spilled) this.#load().catch(() => {})
    return entries
  }

  settle(upTo: number): void {
    let settled = 0
    for (const { messages, bytes, since } of this.#taken.filter(({ id }) => id <= upTo)) {
      settled += messages
      this.bytes -= bytes
      // Those behind it are no older.
      this.#oldestUnread = Math.max(this.#oldestUnread, since)
    }
    this.#messages -= settled
    this.#taken = this.#taken.filter(({ id }) => id > upTo)
    this.#progress.settle(upTo)
    // Where the next delivery may kill the process, the mark before it takes the deletion along.
    this.#deletions.settle(upTo, settled, this.suspects !== undefined)
  }

  note(entry: number, places: readonly number[]): number {
    return this.#progress.note(entry, places)
  }

  giveBack(): void {
    this.#oldestUnread = this.oldest
    this.#tail = []
    this.#tailBytes = 0
    this.#taken = []
    this.#cursor = this.#deletions.settled
    this.#spilled = true
  }

  /** Bytes of the file that are free and will be used again: SQLite does not give them back to the disk. */
  async reusable(): Promise<number> {
    const database = await this.#database!
    await this.#deletions.now().catch(() => {})
    const [free] = await database.all(
      'SELECT freelist_count * page_size AS bytes FROM pragma_freelist_count, pragma_page_size',
    )
    return Number(free!['bytes'])
  }

  async close(): Promise<void> {
    const database = await this.#database?.catch(() => undefined)
    if (database === undefined) return
    await this.#groups.settled()
    await this.#deletions.now().catch(() => {})
    await this.#progress.store(database).catch(() => {})
    await this.#suspects?.close().catch(() => {})
    await database.close()
  }

  async #open(): Promise<Database> {
    const { file, step, onSuspected } = this.#options
    const database = await this.#storage.open(file)
    try {
      await prepare(database, file)
      const [counted] = await database.all(COUNT, [step])
      this.#messages = Number(counted!['messages'])
      this.bytes = Number(counted!['bytes'])
      this.#oldestUnread = Number(counted!['oldest'])
      this.#progress = await Progress.open(database, step)
      this.#suspects = await Suspects.open(database, step, MAX_MESSAGES)
      if (this.#suspects.suspicion !== undefined) onSuspected(this.#suspects.suspicion)
      return database
    } catch (thrown) {
      await database.close()
      throw thrown
    }
  }

  /** Reads entries behind the cursor into the tail, which is empty. One call at a time: another one waits for the same. */
  #load(): Promise<void> {
    this.#loading ??= this.#read(this.#cursor).finally(() => {
      this.#loading = undefined
    })
    return this.#loading
  }

  async #read(cursor: number): Promise<void> {
    const database = await this.#database!
    const rows = await database.all(SELECT, [this.#options.step, cursor, MOST_ROWS, READ_BYTES])
    // What was taken has been given back meanwhile: that comes first. Nothing is waited for behind this look.
    if (this.#cursor !== cursor) return
    for (const row of rows) this.#tail.push(toEntry(row))
    // The storage thread answers in order: what was stored before this look is among the rows, what comes after is added.
    if (rows.length === 0) this.#spilled = false
  }

  /** Where it fails, as it does when the storage thread ends, it may have been done: what is on disk has to be looked at again. */
  async #orUncounted<T>(change: Promise<T>): Promise<T> {
    try {
      return await change
    } catch (thrown) {
      this.#isUncounted = true
      this.#spilled = true
      throw thrown
    }
  }

  /** What is on disk and not settled. The storage thread answers in order, so whatever was added before is among it. */
  async #count(): Promise<void> {
    const database = await this.#database!
    this.#isUncounted = false
    const counting = database.all(`${COUNT} AND id > ?`, [this.#options.step, this.#deletions.settled])
    const [counted] = await this.#orUncounted(counting)
    this.#messages = Number(counted!['messages'])
    this.bytes = Number(counted!['bytes'])
    this.#counted = Number(counted!['last'])
  }

  /**
   * The messages of an entry. One that cannot be read, because another version of Sluice or of Node.js has written it
   * say, is put aside.
   */
  async #unpack(stored: StoredEntry, formatOf: FormatOf): Promise<Unpacked | undefined> {
    try {
      if (stored.crc !== undefined && crc32(stored.data) !== stored.crc) throw new Error('its checksum is wrong')
      return unpackBatch(stored.data, formatOf, this.#options.clock, this.#progress.of(stored.id))
    } catch (thrown) {
      await this.#putAside(stored, toSluiceError(thrown).message)
      return undefined
    }
  }

  /** An entry that cannot be read must not hold up those behind it, and is kept to be looked at. */
  async #putAside({ id, messages, bytes }: StoredEntry, why: string): Promise<void> {
    const { file, onDamaged } = this.#options
    const database = await this.#database!
    const detail = `entry ${id} of ${file} with ${messages} messages: ${why}`
    const [failed] = await database.write(PUT_ASIDE, [[detail, id]])
    if (failed !== undefined) throw failed
    onDamaged(detail)
    await this.#orUncounted(database.write('DELETE FROM entries WHERE id = ?', [[id]]))
    this.#messages -= messages
    this.bytes -= bytes
    this.#progress.forget(id)
    this.#tail = this.#tail.filter((entry) => entry.id !== id)
    this.#cursor = Math.max(this.#cursor, id)
  }
}

/** So many bytes of entries are kept in memory too, so that they need not be read again: what a destination that keeps up needs. */
const TAIL_BYTES = 1024 * 1024

/** No more rows, and not many more bytes, are read at once. */
const MOST_ROWS = 512
const READ_BYTES = 256 * 1024
