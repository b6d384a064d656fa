import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** Bytes on the heap that are in use: what nothing holds has been collected. */
export function heapInUse(): number {
  collect()
  return process.memoryUsage().heapUsed
}

/** Resolves when nothing holds an object any more: waits for ever for one that is held. */
export async function collected(object: WeakRef<object>): Promise<void> {
  do {
    // What a WeakRef was asked for is held until the turn of the event loop ends.
    await new Promise(setImmediate)
    collect()
  } while (object.deref() !== undefined)
}
