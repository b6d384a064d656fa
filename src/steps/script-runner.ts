import { basename } from 'node:path'
import { type FailureCode, SluiceError } from '../contracts/errors.ts'
import type { LogLevel } from '../contracts/events.ts'
import { formatDuration } from '../util/units.ts'
import type { ScriptJob, ScriptNews, ScriptResult, ScriptWorkerData } from './script-worker.ts'

/** What became of a job: a result for each message, or why the runner could not do it. A broken runner has ended. */
export type ScriptAnswer = { readonly results: readonly ScriptResult[] } | { readonly broken: SluiceError }

/** Takes a line that a script has written. */
export type ScriptLog = (level: LogLevel, text: string) => void

/** Where a script runs: a worker thread, or a process of its own. It has begun to load the script. */
export interface ScriptHost {
  /** @throws when the job cannot be copied */
  post(job: ScriptJob): void
  /** From now on it does not keep this process alive. */
  unref(): void
  /** Ends it, whatever it does. */
  stop(): Promise<void>
}

/** Who listens to a host. */
export interface ScriptListener {
  heard(news: ScriptNews): void
  /** The host has ended. @param reason goes on from "the script failed: " */
  ended(code: FailureCode, reason: string): void
}

export type StartHost = (data: ScriptWorkerData, listener: ScriptListener) => ScriptHost

/**
 * One host with a loaded script. It does one job at a time and ends for good at the first overrun or crash. An idle one
 * does not keep the process alive.
 */
export class ScriptRunner {
  readonly #host: ScriptHost
  readonly #name: string
  /** Takes the next thing that the host says, or the reason why it has ended. */
  #listener: ((news: ScriptNews | SluiceError) => void) | undefined
  #ended = false
  readonly #log: ScriptLog

  private constructor(startHost: StartHost, data: ScriptWorkerData, log: ScriptLog) {
    this.#name = basename(data.file)
    this.#log = log
    this.#host = startHost(data, {
      heard: (news) => this.#hear(news),
      ended: (code, reason) => this.#end(code, reason),
    })
  }

  /**
   * Starts a host and loads the script.
   * @param log gets what the script writes to standard output (info) and to standard error (warn), line by line
   * @throws SluiceError `script_failed`, with the cure
   */
  static async start(startHost: StartHost, data: ScriptWorkerData, log: ScriptLog): Promise<ScriptRunner> {
    const runner = new ScriptRunner(startHost, data, log)
    const news = await runner.#ask(START_TIMEOUT, () => {})
    if (news instanceof SluiceError) {
      throw new SluiceError('script_failed', `${runner.#name} cannot be loaded: ${news.message}`)
    }
    if (news.kind === 'notLoaded') {
      await runner.stop()
      throw new SluiceError('script_failed', news.message, news.hint === undefined ? {} : { hint: news.hint })
    }
    // Only now: coming online makes a thread hold the process again.
    runner.#host.unref()
    return runner
  }

  /** True when it cannot take another job. */
  get ended(): boolean {
    return this.#ended
  }

  /** @param timeout milliseconds for the whole job */
  async run(job: ScriptJob, timeout: number): Promise<ScriptAnswer> {
    const news = await this.#ask(timeout, () => this.#host.post(job))
    if (news instanceof SluiceError) return { broken: news }
    return { results: news.kind === 'done' ? news.results : [] }
  }

  async stop(): Promise<void> {
    this.#ended = true
    await this.#host.stop()
  }

  /** Waits for the host to speak after `act`; on overrun it is ended. */
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
        if (this.#ended) throw new Error('what runs it has ended')
        act()
      } catch (thrown) {
        const text = `the message cannot be handed to ${this.#name}: ${(thrown as Error).message}`
        settle(new SluiceError('script_failed', text))
      }
    })
  }

  #hear(news: ScriptNews): void {
    if (news.kind === 'wrote') this.#log(news.level, news.line)
    else this.#listener?.(news)
  }

  #end(code: FailureCode, reason: string): void {
    this.#ended = true
    this.#listener?.(new SluiceError(code, `${this.#name} failed: ${reason}`))
  }
}

/** Milliseconds for loading a script with everything that it imports. */
const START_TIMEOUT = 30_000
