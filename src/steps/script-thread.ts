import { basename } from 'node:path'
import { Worker } from 'node:worker_threads'
import { SluiceError } from '../contracts/errors.ts'
import type { LogLevel } from '../contracts/events.ts'
import { formatDuration } from '../util/units.ts'
import type { ScriptJob, ScriptNews, ScriptResult, ScriptWorkerData } from './script-worker.ts'

/** What became of a job: a result for each message, or why the thread could not do it. A broken thread has ended. */
export type ScriptAnswer = { readonly results: readonly ScriptResult[] } | { readonly broken: SluiceError }

/** Takes a line that a script has written. */
export type ScriptLog = (level: LogLevel, text: string) => void

/**
 * One worker thread with a loaded script. It does one job at a time and ends for good at the first overrun or crash.
 * An idle thread does not keep the process alive.
 */
export class ScriptThread {
  readonly #worker: Worker
  readonly #name: string
  /** Takes the next thing that the thread says, or the reason why it has ended. */
  #listener: ((news: ScriptNews | SluiceError) => void) | undefined
  #ended = false
  readonly #log: ScriptLog

  private constructor(data: ScriptWorkerData, log: ScriptLog) {
    this.#name = basename(data.file)
    // Beside this file, in src as in dist.
    const file = import.meta.url.endsWith('.ts') ? './script-worker.ts' : './script-worker.js'
    this.#log = log
    const worker = new Worker(new URL(file, import.meta.url), { name: 'sluice script', workerData: data })
    worker.on('message', (news: ScriptNews) => this.#hear(news))
    worker.on('error', (error) => this.#end(`it ended the thread: ${crashText(error)}`))
    worker.on('exit', (code) => this.#end(`it ended the thread with code ${code}`))
    this.#worker = worker
  }

  /**
   * Starts a thread and loads the script.
   * @param log gets what the script writes to standard output (info) and to standard error (warn), line by line
   * @throws SluiceError `script_failed`, with the cure
   */
  static async start(data: ScriptWorkerData, log: ScriptLog): Promise<ScriptThread> {
    const thread = new ScriptThread(data, log)
    const news = await thread.#ask(START_TIMEOUT, () => {})
    if (news instanceof SluiceError) {
      throw new SluiceError('script_failed', `${thread.#name} cannot be loaded: ${news.message}`)
    }
    if (news.kind === 'notLoaded') {
      await thread.stop()
      throw new SluiceError('script_failed', news.message, news.hint === undefined ? {} : { hint: news.hint })
    }
    // Only now: coming online makes a thread hold the process again.
    thread.#worker.unref()
    return thread
  }

  /** True when it cannot take another job. */
  get ended(): boolean {
    return this.#ended
  }

  /** @param timeout milliseconds for the whole job */
  async run(job: ScriptJob, timeout: number): Promise<ScriptAnswer> {
    const news = await this.#ask(timeout, () => this.#worker.postMessage(job))
    if (news instanceof SluiceError) return { broken: news }
    return { results: news.kind === 'done' ? news.results : [] }
  }

  async stop(): Promise<void> {
    this.#ended = true
    await this.#worker.terminate()
  }

  /** Waits for the thread to speak after `act`; on overrun the thread is ended. */
  #ask(timeout: number, act: () => void): Promise<ScriptNews | SluiceError> {
    return new Promise((resolve) => {
      const settle = (news: ScriptNews | SluiceError) => {
        clearTimeout(timer)
        this.#listener = undefined
        resolve(news)
      }
      const timer = setTimeout(() => {
        settle(new SluiceError('step_timeout', `${this.#name} did not finish within ${formatDuration(timeout)}`))
        void this.stop()
      }, timeout)
      this.#listener = settle
      try {
        if (this.#ended) throw new Error('the thread has ended')
        act()
      } catch (thrown) {
        settle(failure(`the message cannot be handed to ${this.#name}: ${(thrown as Error).message}`))
      }
    })
  }

  #hear(news: ScriptNews): void {
    if (news.kind === 'wrote') this.#log(news.level, news.line)
    else this.#listener?.(news)
  }

  #end(reason: string): void {
    this.#ended = true
    this.#listener?.(failure(`${this.#name} failed: ${reason}`))
  }
}

/** Milliseconds for loading a script with everything that it imports. */
const START_TIMEOUT = 30_000

function failure(message: string): SluiceError {
  return new SluiceError('script_failed', message)
}

function crashText(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
