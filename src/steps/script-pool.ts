import { SluiceError } from '../contracts/errors.ts'
import { Slots } from '../util/slots.ts'
import { type ScriptAnswer, type ScriptLog, ScriptRunner, type StartHost } from './script-runner.ts'
import type { ScriptJob, ScriptWorkerData } from './script-worker.ts'

/**
 * The threads or processes of one `script` step. The second is started when a job finds the first one busy; one that has
 * ended is replaced when its place is needed. At most one job of each connection waits here, because a connection has one run
 * at a time.
 */
export class ScriptPool {
  readonly #startHost: StartHost
  readonly #data: ScriptWorkerData
  readonly #timeout: number
  readonly #log: ScriptLog
  readonly #places: readonly Place[]
  /** Places without a job; the one that was used last is on top. */
  readonly #free: Place[]
  readonly #turns = new Slots(MAX_RUNNERS)
  #isClosed = false

  /**
   * @param startHost starts a thread, or a process
   * @param timeout milliseconds for one job
   * @param log gets what the script writes with `console`
   */
  constructor(startHost: StartHost, data: ScriptWorkerData, timeout: number, log: ScriptLog) {
    this.#startHost = startHost
    this.#data = data
    this.#timeout = timeout
    this.#log = log
    this.#places = Array.from({ length: MAX_RUNNERS }, () => ({ runner: undefined }))
    this.#free = [...this.#places]
  }

  /**
   * Starts the first one, to see that the script can be loaded.
   * @throws SluiceError `script_failed`, with the cure
   */
  async start(): Promise<void> {
    this.#free.at(-1)!.runner = await this.#start()
  }

  /**
   * Runs a job when one is free.
   * @param over aborted when nobody waits for it any more: then it does not begin
   * @throws SluiceError `script_failed` when a new one cannot load the script any more, or it is closed; the reason of the
   *   signal
   */
  async run(job: ScriptJob, over: AbortSignal | undefined): Promise<ScriptAnswer> {
    await this.#turns.take(over)
    const place = this.#free.pop()!
    try {
      if (this.#isClosed) throw new SluiceError('script_failed', 'the step has ended before the script could begin')
      if (place.runner === undefined || place.runner.ended) place.runner = await this.#start()
      return await place.runner.run(job, this.#timeout)
    } finally {
      this.#free.push(place)
      this.#turns.give()
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.all(this.#places.map(({ runner }) => runner?.stop()))
  }

  #start(): Promise<ScriptRunner> {
    return ScriptRunner.start(this.#startHost, this.#data, this.#log)
  }
}

interface Place {
  runner: ScriptRunner | undefined
}

const MAX_RUNNERS = 2
