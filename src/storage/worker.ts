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
import type { Action, Answer, Request, Results, Write } from './protocol.ts'

/** No round takes more rows than this once it has them, so that the rows in memory and the wait for answers are bounded. */
const MAX_ROWS_PER_ROUND = 10_000

interface OpenFile {
  readonly file: DatabaseFile
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
    while (requests !== undefined) {
      for (const request of requests) {
        if (request.kind === 'write') rows += request.rows.length
        this.#take(request)
      }
      requests = rows < MAX_ROWS_PER_ROUND ? receiveMessageOnPort(this.#port)?.message : undefined
    }
    for (const [path, open] of this.#files) this.#commit(path, open)
  }

  #take(request: Request): void {
    const path = request.kind === 'end' ? '' : request.file
    try {
      if (request.kind === 'write') {
        this.#open(path).collected.push({ id: request.id, write: request })
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
      for (const path of [...this.#files.keys()]) this.#close(path)
      return null
    }
    if (action.kind === 'close') {
      this.#close(action.file)
      return null
    }
    const open = this.#open(action.file)
    this.#commit(action.file, open)
    if (action.kind === 'exec') open.file.exec(action.sql)
    return action.kind === 'all' ? open.file.all(action.sql, action.parameters) : null
  }

  #open(path: string): OpenFile {
    const known = this.#files.get(path)
    if (known !== undefined) return known
    const opened: OpenFile = { file: new DatabaseFile(path), collected: [] }
    this.#files.set(path, opened)
    return opened
  }

  #close(path: string): void {
    const open = this.#files.get(path)
    if (open === undefined) return
    this.#commit(path, open)
    this.#files.delete(path)
    open.file.close()
  }

  #commit(path: string, open: OpenFile): void {
    const { collected } = open
    if (collected.length === 0) return
    open.collected = []
    try {
      const written = open.file.commit(collected.map(({ write }) => write))
      this.#answer(collected.map(({ id }, i) => ({ id, result: written[i]! })))
    } catch (thrown) {
      const failure = toFailure(thrown, path)
      this.#answer(collected.map(({ id }) => ({ id, failure })))
    }
  }

  /** @param moved memory that travels as it is; what is not moved is copied */
  #answer(answers: readonly Answer[], moved: ArrayBuffer[] = []): void {
    this.#port.postMessage(answers, moved)
  }
}

/** The memory of all bytes that were read: SQLite's binding gives each value its own. */
function bytesOf(rows: Results['all']): ArrayBuffer[] {
  return rows.flatMap((row) =>
    Object.values(row).flatMap((value) => (value instanceof Uint8Array ? [value.buffer as ArrayBuffer] : [])),
  )
}

if (parentPort !== null) new StorageWorker(parentPort)
