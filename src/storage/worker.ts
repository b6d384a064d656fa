/**
 * The storage thread: it blocks on SQLite so that the main thread need not.
 *
 * Group commit needs no timer. While one transaction is being synced to disk, further requests collect at the port; the
 * next round takes all of them and commits the writes of each file together.
 *
 * ```
 *   port ─▶ take all that waits ─┬─ write ─▶ collected per file ─▶ one transaction ─▶ answers
 *                                └─ anything else ─▶ first commits what is collected for that file
 * ```
 */
import { type MessagePort, parentPort, receiveMessageOnPort } from 'node:worker_threads'
import { DatabaseFile } from './database-file.ts'
import { toFailure } from './failure.ts'
import {
  type Action,
  type Answer,
  LARGE,
  type Request,
  type Results,
  type Target,
  targetKey,
  type Write,
} from './protocol.ts'

/** No round takes more rows than this once it has them, so that the rows in memory and the wait for answers are bounded. */
const MAX_ROWS_PER_ROUND = 10_000

interface OpenFile {
  readonly file: DatabaseFile
  readonly path: string
  /** Writes that the next commit takes. */
  collected: { id: number; write: Write }[]
}

class StorageWorker {
  readonly #port: MessagePort
  readonly #files = new Map<string, OpenFile>()

  constructor(port: MessagePort) {
    this.#port = port
    port.on('message', (first: readonly Request[]) => this.#round(first))
  }

  #round(first: readonly Request[]): void {
    let requests: readonly Request[] | undefined = first
    let rows = 0
    const done: Write[] = []
    while (requests !== undefined) {
      for (const request of requests) {
        if (request.kind === 'write') {
          rows += request.rows.length
          done.push(request)
        }
        this.#take(request)
      }
      requests = rows < MAX_ROWS_PER_ROUND ? receiveMessageOnPort(this.#port)?.message : undefined
    }
    for (const open of this.#files.values()) this.#commit(open)
    for (const write of done) release(write)
  }

  #take(request: Request): void {
    const path = request.kind === 'end' ? '' : request.file
    try {
      if (request.kind === 'write') {
        this.#open(request).collected.push({ id: request.id, write: request })
        return
      }
      const result = this.#act(request)
      this.#answer([{ id: request.id, result }], bytesOf(result ?? []))
    } catch (thrown) {
      this.#answer([{ id: request.id, failure: toFailure(thrown, path) }])
    }
  }

  #act(action: Exclude<Action, { kind: 'write' }>) {
    if (action.kind === 'end') {
      for (const key of [...this.#files.keys()]) this.#close(key)
      return null
    }
    if (action.kind === 'close') {
      this.#close(targetKey(action))
      return null
    }
    const open = this.#open(action)
    this.#commit(open)
    if (action.kind === 'exec') open.file.exec(action.sql)
    return action.kind === 'all' ? open.file.all(action.sql, action.parameters) : null
  }

  #open(target: Target): OpenFile {
    const key = targetKey(target)
    const known = this.#files.get(key)
    if (known !== undefined) return known
    const opened: OpenFile = { file: new DatabaseFile(target.file, target), path: target.file, collected: [] }
    this.#files.set(key, opened)
    return opened
  }

  #close(key: string): void {
    const open = this.#files.get(key)
    if (open === undefined) return
    this.#commit(open)
    this.#files.delete(key)
    open.file.close()
  }

  #commit(open: OpenFile): void {
    const { collected } = open
    if (collected.length === 0) return
    open.collected = []
    try {
      const written = open.file.commit(collected.map(({ write }) => write))
      this.#answer(collected.map(({ id }, i) => ({ id, result: written[i]! })))
    } catch (thrown) {
      const failure = toFailure(thrown, open.path)
      this.#answer(collected.map(({ id }) => ({ id, failure })))
    }
  }

  /** @param moved memory that travels as it is; what is not moved is copied */
  #answer(answers: readonly Answer[], moved: ArrayBuffer[] = []): void {
    this.#port.postMessage(answers, moved)
  }
}

/**
 * Gives the memory of bytes back that were written: they are copies of this thread alone, and there is so little else on
 * its heap that they would lie there for long until it is collected. Only at the end of a round, as the requests of one
 * message may share bytes.
 */
function release({ rows }: Write): void {
  for (const row of rows) {
    for (const value of row) {
      if (!(value instanceof Uint8Array) || value.byteLength < LARGE) continue
      const { buffer } = value
      if (buffer instanceof ArrayBuffer && !buffer.detached) buffer.transfer(0)
    }
  }
}

/** The memory of all bytes that were read: SQLite's binding gives each value its own. */
function bytesOf(rows: Results['all']): ArrayBuffer[] {
  return rows.flatMap((row) =>
    Object.values(row).flatMap((value) => (value instanceof Uint8Array ? [value.buffer as ArrayBuffer] : [])),
  )
}

if (parentPort !== null) new StorageWorker(parentPort)
