/**
 * A thread in the process of a script that ends it when the server has gone, killed say. The script's own thread may be in a
 * loop and would never hear of it. An orphan gets another parent (wait(2)), on every Unix.
 */
import { workerData } from 'node:worker_threads'

const LOOK_MS = 1000

const parent = workerData as number
setInterval(() => {
  if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL')
}, LOOK_MS)
