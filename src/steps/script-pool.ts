import { type ScriptAnswer, type ScriptLog, ScriptThread } from './script-thread.ts'
import type { ScriptJob, ScriptWorkerData } from './script-worker.ts'

/**
 * The threads of one `script` step. The second is started when a job finds the first one busy; a thread that has ended
 * is replaced when its place is needed. At most one job of each connection waits here, because a connection has one run
 * at a time.
 */
export class ScriptPool {
  readonly #data: ScriptWorkerData
  readonly #timeout: number
  readonly #log: ScriptLog
  readonly #places: readonly Place[]
  /** Places without a job; the one that was used last is on top. */
  readonly #free: Place[]
  readonly #waiting: ((place: Place) => void)[] = []

  /**
   * @param timeout milliseconds for one job
   * @param log gets what the script writes with `console`
   */
  constructor(data: ScriptWorkerData, timeout: number, log: ScriptLog) {
    this.#data = data
    this.#timeout = timeout
    this.#log = log
    this.#places = Array.from({ length: MAX_THREADS }, () => ({ thread: undefined }))
    this.#free = [...this.#places]
  }

  /**
   * Starts the first thread, to see that the script can be loaded.
   * @throws SluiceError `script_failed`, with the cure
   */
  async start(): Promise<void> {
    this.#free.at(-1)!.thread = await ScriptThread.start(this.#data, this.#log)
  }

  /** Runs a job when a thread is free. @throws SluiceError `script_failed` when a new thread cannot load the script any more */
  async run(job: ScriptJob): Promise<ScriptAnswer> {
    const place = this.#free.pop() ?? (await new Promise<Place>((resolve) => this.#waiting.push(resolve)))
    try {
      if (place.thread === undefined || place.thread.ended)
        place.thread = await ScriptThread.start(this.#data, this.#log)
      return await place.thread.run(job, this.#timeout)
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#free.push(place)
      else next(place)
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#places.map(({ thread }) => thread?.stop()))
  }
}

interface Place {
  thread: ScriptThread | undefined
}

const MAX_THREADS = 2
