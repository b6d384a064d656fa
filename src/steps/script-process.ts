import { fork } from 'node:child_process'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { LogLevel } from '../contracts/events.ts'
import { ScriptLines } from './script-lines.ts'
import type { ScriptHost, ScriptListener } from './script-runner.ts'
import type { ScriptNews, ScriptWorkerData } from './script-worker.ts'

/**
 * Runs a script in a process of its own, so that the server survives what ends a process: `process.abort`, a native
 * module that crashes, memory that is exhausted, a signal. Jobs and results are copied through a pipe, as structured clones.
 * The process ends with the server, however that ends: `script-worker.ts` looks after its parent.
 */
export function startProcess(data: ScriptWorkerData, listener: ScriptListener): ScriptHost {
  // Beside this file, in src as in dist.
  const file = import.meta.url.endsWith('.ts') ? './script-worker.ts' : './script-worker.js'
  const child = fork(fileURLToPath(new URL(file, import.meta.url)), {
    serialization: 'advanced',
    // What the server was started with, a debugger's port say, is not for it.
    execArgv: [],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  child.send(data, () => {})
  const exited = once(child, 'exit').catch(() => {})
  child.on('message', (news) => listener.heard(news as ScriptNews))
  child.on('error', (error) => listener.ended('script_failed', `its process cannot be used: ${error.message}`))
  child.on('exit', (code, signal) => {
    const how = signal === null ? `with code ${code}` : `by ${signal}`
    listener.ended('process_died', `it ended its process ${how}`)
  })
  // What a native module or Node.js itself writes at the end comes this way too.
  const outputs = [tellLines(child.stdout!, 'info', listener), tellLines(child.stderr!, 'warn', listener)]
  return {
    // Whether it has arrived is seen by what comes back, or by the end of the process.
    post: (job) => void child.send(job, () => {}),
    unref() {
      child.unref()
      child.channel?.unref()
      // Pipes of a child are sockets.
      for (const output of outputs) (output as Readable & { unref(): void }).unref()
    },
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.ref()
      // One that could not be started has no end to wait for.
      if (child.kill('SIGKILL')) await exited
    },
  }
}

function tellLines(output: Readable, level: LogLevel, { heard }: ScriptListener): Readable {
  const lines = new ScriptLines()
  const tell = (line: string) => heard({ kind: 'wrote', level, line })
  output.setEncoding('utf8').on('data', (piece: string) => lines.push(piece).forEach(tell))
  return output.on('end', () => lines.end().forEach(tell))
}
