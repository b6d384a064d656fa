import { resolve } from 'node:path'
import { Worker } from 'node:worker_threads'
import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Database, SqlRow, SqlValue, Storage } from '../contracts/storage.ts'
import { toStorageError } from './failure.ts'
import {
  type Action,
  type Answer,
  type Request,
  type Results,
  type Target,
  targetKey,
  type Written,
} from './protocol.ts'

/**
 * The embedded database engine. Its thread is started by the first `open` and keeps the process alive only while a
 * request waits for its answer. When the thread dies, every request that waits fails with `storage_failed`, retryable,
 * without a word on whether it was committed; the next request starts another thread, which opens the files again.
 * @param startWorker starts the thread; a test brings its own to get hold of it
 */
export function createStorage(startWorker: () => Worker = startStorageWorker): Storage {
  return new WorkerStorage(startWorker)
}

/** The thread that runs `worker.ts`: from the sources as well as from the compiled files. */
export function startStorageWorker(): Worker {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  // The flags of the process, such as --input-type, are meant for its own entry file.
  return new Worker(new URL(`./worker.${extension}`, import.meta.url), { name: 'sluice-storage', execArgv: [] })
}

interface Waiting {
  resolve(result: Results[keyof Results]): void
  reject(error: SluiceError): void
}

interface Letter {
  readonly request: Request
  readonly waiting: Waiting
}

class WorkerStorage implements Storage {
  readonly #startWorker: () => Worker
  /** What was asked for in this turn and has not been sent. */
  readonly #outbox: Letter[] = []
  /** What was sent and has not been answered. */
  readonly #waiting = new Map<number, Waiting>()
  readonly #databases = new Map<string, SharedDatabase>()
  #worker: Worker | undefined = undefined
  #nextId = 1
  #closing: Promise<void> | undefined = undefined

  constructor(startWorker: () => Worker) {
    this.#startWorker = startWorker
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
      const opened = new SharedDatabase(target, this.#request({ kind: 'open', ...target }), {
        request: (action) => this.#request(action),
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
    if (this.#worker === undefined && this.#outbox.length === 0) return
    // The port keeps the order, so all that was begun is answered before this is.
    const ended = this.#post({ kind: 'end' })
    this.#databases.clear()
    await ended.catch(() => {})
    await this.#worker?.terminate()
  }

  #forget(key: string, database: SharedDatabase): void {
    if (this.#databases.get(key) === database) this.#databases.delete(key)
  }

  async #release(target: Target, database: SharedDatabase): Promise<void> {
    if (this.#closing !== undefined) return this.#closing
    this.#forget(targetKey(target), database)
    await this.#post({ kind: 'close', ...target })
  }

  #request<A extends Action>(action: A): Promise<Results[A['kind']]> {
    if (this.#closing !== undefined) return Promise.reject(closed())
    return this.#post(action)
  }

  #post<A extends Action>(action: A): Promise<Results[A['kind']]> {
    return new Promise((resolve, reject) => {
      const request = { id: this.#nextId++, ...action }
      this.#outbox.push({ request, waiting: { resolve: resolve as Waiting['resolve'], reject } })
      // What is asked for in one go travels together: a message between threads costs more than a row.
      if (this.#outbox.length === 1) process.nextTick(() => this.#send(this.#outbox.splice(0)))
    })
  }

  #send(letters: readonly Letter[]): void {
    try {
      this.#worker ??= this.#start()
      this.#worker.postMessage(letters.map(({ request }) => request))
      if (this.#waiting.size === 0) this.#worker.ref()
      for (const { request, waiting } of letters) this.#waiting.set(request.id, waiting)
    } catch (thrown) {
      // One that cannot travel, for a value that threads cannot pass to each other, must not hold up the others.
      if (letters.length > 1) {
        for (const letter of letters) this.#send([letter])
        return
      }
      const { message } = toSluiceError(thrown)
      const text = `the storage thread cannot be asked: ${message}`
      letters[0]!.waiting.reject(new SluiceError('storage_failed', text, { cause: thrown }))
    }
  }

  #start(): Worker {
    const worker = this.#startWorker()
    let cause: unknown
    worker.unref()
    worker.on('message', (answers: readonly Answer[]) => this.#settle(answers))
    worker.on('error', (error) => {
      cause = error
    })
    worker.on('exit', () => {
      this.#worker = undefined
      const lost = [...this.#waiting.values()]
      this.#waiting.clear()
      for (const { reject } of lost) reject(crashed(cause))
    })
    return worker
  }

  #settle(answers: readonly Answer[]): void {
    for (const answer of answers) {
      const waiting = this.#waiting.get(answer.id)
      this.#waiting.delete(answer.id)
      if ('failure' in answer) waiting?.reject(toStorageError(answer.failure))
      else waiting?.resolve(answer.result)
    }
    if (this.#waiting.size === 0) this.#worker?.unref()
  }
}

interface Owner {
  request<A extends Action>(action: A): Promise<Results[A['kind']]>
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
    return this.#request({ kind: 'all', ...this.#target, sql, parameters: detach(parameters) })
  }

  async close(): Promise<void> {
    if (this.#users === 0 || --this.#users > 0) return
    await this.#owner.release()
  }

  async #write(sql: string, rows: readonly SqlRow[], wantsIds: boolean, over?: AbortSignal): Promise<Written> {
    const action = { kind: 'write', ...this.#target, sql, rows: rows.map(detach), wantsIds } as const
    if (over === undefined) return this.#request(action)
    const givenUp = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
    // A message to the thread would be read after the write: it waits for a lock in one call of SQLite.
    const giveUp = () => Atomics.store(givenUp, 0, 1)
    if (over.aborted) giveUp()
    over.addEventListener('abort', giveUp)
    try {
      return await this.#request({ ...action, givenUp })
    } finally {
      over.removeEventListener('abort', giveUp)
    }
  }

  #request<A extends Action>(action: A): Promise<Results[A['kind']]> {
    return this.#users === 0 ? Promise.reject(closed()) : this.#owner.request(action)
  }
}

/** A view would take the whole buffer under it, a read of 64 KiB perhaps, along to the thread; a copy takes its own bytes. */
function detach(row: SqlRow): SqlRow {
  return row.some(isView) ? row.map((value) => (isView(value) ? new Uint8Array(value) : value)) : row
}

function isView(value: SqlValue): value is Uint8Array {
  return value instanceof Uint8Array && value.byteLength < value.buffer.byteLength
}

function closed(): SluiceError {
  return new SluiceError('storage_failed', 'the database was closed before this was asked of it')
}

function crashed(cause: unknown): SluiceError {
  const why = cause === undefined ? '' : ` (${toSluiceError(cause).message})`
  const text = `the storage thread ended unexpectedly${why}, so it is not known whether this was stored`
  return new SluiceError('storage_failed', text, { cause, retryable: true })
}
