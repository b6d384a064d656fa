import { resolve, sep } from 'node:path'
import { Worker } from 'node:worker_threads'
import { SluiceError } from '../contracts/errors.ts'
import type { Database, SqlRow, SqlValue, Storage } from '../contracts/storage.ts'
import { whenAborted } from '../util/signals.ts'
import { toStorageError } from './failure.ts'
import { type Action, LARGE, type Results, type Target, targetKey, type Written } from './protocol.ts'
import { StorageThread } from './thread.ts'

export interface StorageOptions {
  /** Folder of the files that the server keeps for itself. */
  readonly own?: string
  /** Starts a thread; a test brings its own to get hold of it. */
  readonly startWorker?: () => Worker
}

/**
 * The embedded database engine: one thread for all files that are written, one for those among them that the server keeps
 * for itself, and one for those that are only read. Each is started by the first `open` that needs it. When one dies, the
 * next request starts another, which opens the files again.
 */
export function createStorage(options: StorageOptions = {}): Storage {
  return new WorkerStorage(options)
}

/** The thread that runs `worker.ts`: from the sources as well as from the compiled files. */
export function startStorageWorker(): Worker {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  const file = new URL(`./worker.${extension}`, import.meta.url)
  // The flags of the process, such as --input-type, are meant for its own entry file. What a thread has on its heap goes
  // with each round, so there is no use in letting much of it collect.
  return new Worker(file, { name: 'sluice-storage', execArgv: [], resourceLimits: { maxYoungGenerationSizeMb: 1 } })
}

class WorkerStorage implements Storage {
  readonly #writer: StorageThread
  /** A file that another program holds locked stops its thread, and must not stop dead letters and buffers. */
  readonly #keeper: StorageThread
  /** A question that takes long must not hold up what is to be stored. */
  readonly #reader: StorageThread
  readonly #own: string | undefined
  readonly #databases = new Map<string, SharedDatabase>()
  #closing: Promise<void> | undefined = undefined

  constructor({ own, startWorker = startStorageWorker }: StorageOptions) {
    this.#own = own === undefined ? undefined : resolve(own) + sep
    this.#writer = new StorageThread(startWorker)
    this.#keeper = new StorageThread(startWorker)
    this.#reader = new StorageThread(startWorker)
  }

  open(file: string): Promise<Database> {
    return this.#open({ file: resolve(file), readOnly: false })
  }

  openReadOnly(file: string): Promise<Database> {
    return this.#open({ file: resolve(file), readOnly: true })
  }

  async #open(target: Target): Promise<Database> {
    const key = targetKey(target)
    let database = this.#databases.get(key)
    if (database === undefined) {
      const opened = new SharedDatabase(target, this.#request({ kind: 'open', ...target }, []), {
        request: (action, moved) => this.#request(action, moved),
        forget: () => this.#forget(key, opened),
        release: () => this.#release(target, opened),
      })
      database = opened
      this.#databases.set(key, database)
    }
    await database.use()
    return database
  }

  close(): Promise<void> {
    this.#closing ??= this.#end()
    return this.#closing
  }

  async #end(): Promise<void> {
    this.#databases.clear()
    await Promise.all([this.#writer, this.#keeper, this.#reader].map((thread) => thread.end()))
  }

  #forget(key: string, database: SharedDatabase): void {
    if (this.#databases.get(key) === database) this.#databases.delete(key)
  }

  async #release(target: Target, database: SharedDatabase): Promise<void> {
    if (this.#closing !== undefined) return this.#closing
    this.#forget(targetKey(target), database)
    await this.#threadOf(target).ask({ kind: 'close', ...target })
  }

  #request<A extends Action & Target>(action: A, moved: ArrayBuffer[]): Promise<Results[A['kind']]> {
    return this.#closing === undefined ? this.#threadOf(action).ask(action, moved) : Promise.reject(closed())
  }

  #threadOf({ readOnly, file }: Target): StorageThread {
    if (readOnly) return this.#reader
    return this.#own !== undefined && file.startsWith(this.#own) ? this.#keeper : this.#writer
  }
}

interface Owner {
  request<A extends Action & Target>(action: A, moved: ArrayBuffer[]): Promise<Results[A['kind']]>
  /** Lets the next `open` of the file begin anew. */
  forget(): void
  /** Nobody uses the database any more. */
  release(): Promise<void>
}

/** One file for all who opened it; the last `close` closes it. */
class SharedDatabase implements Database {
  readonly #target: Target
  readonly #opened: Promise<null>
  readonly #owner: Owner
  #users = 0

  constructor(target: Target, opened: Promise<null>, owner: Owner) {
    this.#target = target
    this.#opened = opened
    this.#owner = owner
  }

  async use(): Promise<void> {
    this.#users++
    try {
      await this.#opened
    } catch (error) {
      this.#owner.forget()
      throw error
    }
  }

  async exec(sql: string): Promise<void> {
    await this.#request({ kind: 'exec', ...this.#target, sql })
  }

  async write(sql: string, rows: readonly SqlRow[], over?: AbortSignal): Promise<readonly (SluiceError | undefined)[]> {
    const outcomes = new Array<SluiceError | undefined>(rows.length).fill(undefined)
    if (rows.length === 0) return outcomes
    const { failed } = await this.#write(sql, rows, false, over)
    for (const [i, failure] of failed) outcomes[i] = toStorageError(failure)
    return outcomes
  }

  async insert(sql: string, rows: readonly SqlRow[]): Promise<readonly (number | SluiceError)[]> {
    if (rows.length === 0) return []
    const { failed, ids } = await this.#write(sql, rows, true)
    return rows.map((_, i) => {
      const failure = failed.get(i)
      return failure === undefined ? ids[i]! : toStorageError(failure)
    })
  }

  async all(sql: string, parameters: SqlRow = []): Promise<readonly Readonly<Record<string, SqlValue>>[]> {
    return this.#request({ kind: 'all', ...this.#target, sql, parameters: detach(parameters, []) })
  }

  async close(): Promise<void> {
    if (this.#users === 0 || --this.#users > 0) return
    await this.#owner.release()
  }

  async #write(sql: string, rows: readonly SqlRow[], wantsIds: boolean, over?: AbortSignal): Promise<Written> {
    const moved: ArrayBuffer[] = []
    const action = {
      kind: 'write',
      ...this.#target,
      sql,
      rows: rows.map((row) => detach(row, moved)),
      wantsIds,
    } as const
    if (over === undefined) return this.#request(action, moved)
    const givenUp = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
    // A message to the thread would be read after the write: it waits for a lock in one call of SQLite.
    const giveUp = () => Atomics.store(givenUp, 0, 1)
    const forget = whenAborted(over, giveUp)
    try {
      return await this.#request({ ...action, givenUp }, moved)
    } finally {
      forget()
    }
  }

  #request<A extends Action & Target>(action: A, moved: ArrayBuffer[] = []): Promise<Results[A['kind']]> {
    return this.#users === 0 ? Promise.reject(closed()) : this.#owner.request(action, moved)
  }
}

/**
 * The row with copies of its bytes: theirs may change behind the call, and the memory under a view, a read of 64 KiB
 * perhaps, would travel along.
 * @param moved gets the memory of copies that is given to the thread as it is; small ones are quicker copied once more
 */
function detach(row: SqlRow, moved: ArrayBuffer[]): SqlRow {
  if (!row.some((value) => value instanceof Uint8Array)) return row
  return row.map((value) => {
    if (!(value instanceof Uint8Array)) return value
    const copy = new Uint8Array(value)
    if (copy.length >= LARGE) moved.push(copy.buffer)
    return copy
  })
}

function closed(): SluiceError {
  return new SluiceError('storage_failed', 'the database was closed before this was asked of it')
}
