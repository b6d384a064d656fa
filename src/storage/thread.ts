import type { Worker } from 'node:worker_threads'
import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import { Numbered } from '../util/numbered.ts'
import { toStorageError } from './failure.ts'
import type { Action, Answer, Request, Results } from './protocol.ts'

/**
 * A thread that runs `worker.ts`, as the main thread sees it. It is started by the first request and keeps the process
 * alive only while a request waits for its answer. When it dies, every request that waits fails with `storage_failed`,
 * retryable, without a word on whether it was done; the next request starts another.
 */
export class StorageThread {
  readonly #startWorker: () => Worker
  /** What was asked for in this turn and has not been sent. */
  readonly #outbox: Letter[] = []
  /** What has not been answered, by the id of the request. */
  readonly #waiting = new Numbered<Waiting>()
  #worker: Worker | undefined = undefined

  constructor(startWorker: () => Worker) {
    this.#startWorker = startWorker
  }

  /**
   * @param moved memory in it that the thread gets as it is
   * @throws SluiceError `storage_failed`
   */
  ask<A extends Action>(action: A, moved: readonly ArrayBuffer[] = []): Promise<Results[A['kind']]> {
    return new Promise((resolve, reject) => {
      const id = this.#waiting.add({ resolve: resolve as Waiting['resolve'], reject })
      this.#outbox.push({ request: { id, ...action }, moved })
      // What is asked for in one go travels together: a message between threads costs more than a row.
      if (this.#outbox.length === 1) process.nextTick(() => this.#send(this.#outbox.splice(0)))
    })
  }

  /** Answers all that was begun, closes every file and ends the thread. Nothing may be asked after it. */
  async end(): Promise<void> {
    if (this.#worker === undefined && this.#outbox.length === 0) return
    // The port keeps the order, so all that was begun is answered before this is.
    await this.ask({ kind: 'end' }).catch(() => {})
    await this.#worker?.terminate()
  }

  #send(letters: readonly Letter[]): void {
    try {
      this.#worker ??= this.#start()
      const requests = letters.map(({ request }) => request)
      this.#worker.postMessage(
        requests,
        letters.flatMap(({ moved }) => moved),
      )
      this.#worker.ref()
    } catch (thrown) {
      // One that cannot travel, for a value that threads cannot pass to each other, must not hold up the others.
      if (letters.length > 1) {
        for (const letter of letters) this.#send([letter])
        return
      }
      const { message } = toSluiceError(thrown)
      const text = `the storage thread cannot be asked: ${message}`
      this.#waiting.take(letters[0]!.request.id)?.reject(new SluiceError('storage_failed', text, { cause: thrown }))
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
      this.#waiting.drain(({ reject }) => reject(crashed(cause)))
    })
    return worker
  }

  #settle(answers: readonly Answer[]): void {
    for (const answer of answers) {
      const waiting = this.#waiting.take(answer.id)
      if ('failure' in answer) waiting?.reject(toStorageError(answer.failure))
      else waiting?.resolve(answer.result)
    }
    if (this.#waiting.size === 0) this.#worker?.unref()
  }
}

interface Waiting {
  resolve(result: Results[keyof Results]): void
  reject(error: SluiceError): void
}

interface Letter {
  readonly request: Request
  readonly moved: readonly ArrayBuffer[]
}

function crashed(cause: unknown): SluiceError {
  const why = cause === undefined ? '' : ` (${toSluiceError(cause).message})`
  const text = `the storage thread ended unexpectedly${why}, so it is not known whether this was stored`
  return new SluiceError('storage_failed', text, { cause, retryable: true })
}
