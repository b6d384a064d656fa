import { setFlagsFromString } from 'node:v8'
import { Worker } from 'node:worker_threads'
import type { ScriptHost, ScriptListener } from './script-runner.ts'
import type { ScriptWorkerData } from './script-worker.ts'

/**
 * Runs a script in a worker thread. It survives what ends the thread: `process.exit`, an error that nobody caught, a
 * JavaScript heap that is full (Node.js ends the thread with ERR_WORKER_OUT_OF_MEMORY). What ends a process ends the server.
 */
export function startThread(data: ScriptWorkerData, listener: ScriptListener): ScriptHost {
  // Else V8 makes loops that nothing can end: docs/decisions/0022-loops-that-end.md.
  setFlagsFromString('--no-turboshaft-loop-unrolling')
  // Beside this file, in src as in dist.
  const file = import.meta.url.endsWith('.ts') ? './script-worker.ts' : './script-worker.js'
  const worker = new Worker(new URL(file, import.meta.url), { name: 'sluice script', workerData: data })
  worker.on('message', listener.heard)
  worker.on('error', (error) => listener.ended('script_failed', `it ended the thread: ${crashText(error)}`))
  worker.on('exit', (code) => listener.ended('script_failed', `it ended the thread with code ${code}`))
  return {
    post: (job) => worker.postMessage(job),
    unref: () => worker.unref(),
    async stop() {
      await worker.terminate()
    },
  }
}

function crashText(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
