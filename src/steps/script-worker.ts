/**
 * What runs a `script` step, as a worker thread or as a process: loads the script, then runs one batch after the other.
 *
 * ```
 *   start ─▶ load ─┬─▶ { ready }                 job ─▶ script(msg) for each message, in order ─▶ { results }
 *                  └─▶ { failed, hint } and ends
 * ```
 */
import { once } from 'node:events'
import { parentPort, Worker, workerData } from 'node:worker_threads'
import type { Client } from '../contracts/client.ts'
import { toSluiceError } from '../contracts/errors.ts'
import type { LogLevel } from '../contracts/events.ts'
import type { ErrorInfo, MessageEvent } from '../contracts/message.ts'
import { ScriptLines } from './script-lines.ts'
import { describeThrown, loadScript, type Script, type ScriptContext } from './script-module.ts'
import { reviveBytes } from './script-values.ts'

/** Which script is run. */
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

/** What a thread or a process says. */
export type ScriptNews =
  | { readonly kind: 'ready' }
  | { readonly kind: 'notLoaded'; readonly message: string; readonly hint: string | undefined }
  | { readonly kind: 'wrote'; readonly level: LogLevel; readonly line: string }
  | { readonly kind: 'done'; readonly results: readonly ScriptResult[] }

if (parentPort === null) liveAsChild()
else {
  // Standard output of the process may be data of a sink, and its standard error is the log.
  tellWhatIsWritten(process.stdout, 'info')
  tellWhatIsWritten(process.stderr, 'warn')
}

// A process gets it as its first message.
const [given] = parentPort === null ? await once(process, 'message') : [workerData]
const { file, exportName } = given as ScriptWorkerData

try {
  const script = await loadScript(file, exportName)
  const take = async (job: ScriptJob) => tellResults(await runJob(script, job))
  if (parentPort === null) process.on('message', take)
  else parentPort.on('message', take)
  tell({ kind: 'ready' })
} catch (thrown) {
  const { message, hint } = toSluiceError(thrown, 'script_failed')
  tell({ kind: 'notLoaded', message, hint })
}

/**
 * The server ends this process, and nobody else: a Ctrl-C or a service manager that means them all lets the server finish
 * its messages first. When the server has gone, a thread ends this process.
 */
function liveAsChild(): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {})
  const url = new URL(import.meta.url.endsWith('.ts') ? './script-parent.ts' : './script-parent.js', import.meta.url)
  new Worker(url, { name: 'sluice parent', workerData: process.ppid }).unref()
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
  if (parentPort === null) process.send!(news)
  else parentPort.postMessage(news)
}

/** Makes a stream, and so `console`, tell each line that is written to it. */
function tellWhatIsWritten(stream: NodeJS.WriteStream, level: LogLevel): void {
  const lines = new ScriptLines()
  stream.write = (chunk: string | Uint8Array, ...others: readonly unknown[]) => {
    const text = typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString()
    for (const line of lines.push(text)) tell({ kind: 'wrote', level, line })
    const written = others.at(-1)
    if (typeof written === 'function') queueMicrotask(() => written())
    return true
  }
}

/** Values that cannot be copied out, functions say, fail their own message only. */
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
    return { failed: `the value cannot leave the script: ${(thrown as Error).message}` }
  }
}
