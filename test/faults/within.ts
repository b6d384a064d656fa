import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Waits for something that must come. The time is not what is measured: it is long enough for the slowest machine, so that
 * a server that hangs becomes a sentence and not a test that never ends.
 * @throws Error when it has not come
 */
export async function within<T>(milliseconds: number, what: string, awaited: Promise<T>): Promise<T> {
  const abort = new AbortController()
  const late = sleep(milliseconds, undefined, { signal: abort.signal }).then(() => {
    throw new Error(`not within ${milliseconds / 1000} s: ${what}`)
  })
  late.catch(() => undefined)
  try {
    return await Promise.race([awaited, late])
  } finally {
    abort.abort()
  }
}
