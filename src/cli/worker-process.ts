import { setFlagsFromString } from 'node:v8'

/** The entry file of a worker: `sluice run` starts it, and speaks to it over the channel of its child processes. */
async function main(): Promise<void> {
  // As bin/sluice.js does for a single process; it says why.
  setFlagsFromString('--external-memory-accounted-in-global-limit')
  // A terminal and systemd send these to all processes of a group. The supervisor alone obeys them.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined)
  const { runWorker } = await import('../cluster/worker.ts')
  await runWorker(process, process.env)
}

if (process.send !== undefined) await main()
