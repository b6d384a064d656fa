/**
 * The worker thread of a `script` step: loads the script, then runs one batch after the other.
 *
 * ```
 *   start ─▶ load ─┬─▶ { ready }                 job ─▶ script(msg) for each message, in order ─▶ { results }
 *                  └─▶ { failed, hint } and ends
 * ```
 */
import { parentPort, workerData } from 'node:worker_threads'
import type { Client } from '../contracts/client.ts'
import { toSluiceError } from '../contracts/errors.ts'
import type { LogLevel } from '../contracts/events.ts'
import type { ErrorInfo, MessageEvent } from '../contracts/message.ts'
import { describeThrown, loadScript, type Script, type ScriptContext } from './script-module.ts'
import { reviveBytes } from './script-values.ts'

/** Which script a thread runs. */
export interface ScriptWorkerData {
  readonly file: string
  readonly exportName: string
}

/** The messages of one run, all of one connection. */
export interface ScriptJob {
  readonly client: Client
  readonly endpoint: string
  readonly state: Readonly<Record<string, unknown>>
  readonly items: readonly ScriptItem[]
}

export interface ScriptItem {
  readonly msg: unknown
  readonly raw: Uint8Array
  readonly event: MessageEvent
  readonly time: number
  readonly topic: string | null
  readonly error: ErrorInfo | undefined
}

/** What became of one message: its new value (undefined ends it), or why it failed. */
export type ScriptResult = { readonly value: unknown } | { readonly failed: string }

/** What a thread says. */
export type ScriptNews =
  | { readonly kind: 'ready' }
  | { readonly kind: 'notLoaded'; readonly message: string; readonly hint: string | undefined }
  | { readonly kind: 'wrote'; readonly level: LogLevel; readonly line: string }
  | { readonly kind: 'done'; readonly results: readonly ScriptResult[] }

/** Characters of a line without an end that wait for it. */
const LONGEST_LINE = 64 * 1024

const { file, exportName } = workerData as ScriptWorkerData
const port = parentPort!

// Standard output of the process may be data of a sink, and its standard error is the log.
tellWhatIsWritten(process.stdout, 'info')
tellWhatIsWritten(process.stderr, 'warn')

try {
  const script = await loadScript(file, exportName)
  port.on('message', async (job: ScriptJob) => tellResults(await runJob(script, job)))
  tell({ kind: 'ready' })
} catch (thrown) {
  const { message, hint } = toSluiceError(thrown, 'script_failed')
  tell({ kind: 'notLoaded', message, hint })
}

async function runJob(script: Script, job: ScriptJob): Promise<ScriptResult[]> {
  const client = job.client
  const state = Object.freeze(reviveBytes(job.state) as Record<string, unknown>)
  const results: ScriptResult[] = []
  for (const { msg, raw, event, time, topic, error } of job.items) {
    const context: ScriptContext = {
      raw: Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength),
      client,
      event,
      received: new Date(time),
      endpoint: job.endpoint,
      topic,
      state,
      error,
    }
    try {
      results.push({ value: await script(reviveBytes(msg), context) })
    } catch (thrown) {
      results.push({ failed: describeThrown(thrown, file) })
    }
  }
  return results
}

function tell(news: ScriptNews): void {
  port.postMessage(news)
}

/** Makes a stream, and so `console`, tell each line that is written to it. */
function tellWhatIsWritten(stream: NodeJS.WriteStream, level: LogLevel): void {
  let rest = ''
  stream.write = (chunk: string | Uint8Array, ...others: readonly unknown[]) => {
    const lines = (rest + (typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString())).split('\n')
    rest = lines.pop()!
    if (rest.length > LONGEST_LINE) {
      lines.push(rest)
      rest = ''
    }
    for (const line of lines) tell({ kind: 'wrote', level, line })
    const written = others.at(-1)
    if (typeof written === 'function') queueMicrotask(() => written())
    return true
  }
}

/** Values that cannot leave the thread, functions say, fail their own message only. */
function tellResults(results: readonly ScriptResult[]): void {
  try {
    tell({ kind: 'done', results })
  } catch {
    tell({ kind: 'done', results: results.map(checkCloneable) })
  }
}

function checkCloneable(result: ScriptResult): ScriptResult {
  try {
    return structuredClone(result)
  } catch (thrown) {
    return { failed: `the value cannot leave the worker thread: ${(thrown as Error).message}` }
  }
}
