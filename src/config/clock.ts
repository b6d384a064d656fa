import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Clock } from '../contracts/clock.ts'

/** The clock of the machine. */
export function createClock(): Clock {
  let sequence = 0
  return {
    now: Date.now,
    elapsed: () => performance.now(),
    sleep: (milliseconds, signal) =>
      sleep(milliseconds, true, signal && { signal }).catch((thrown: unknown) => {
        if (signal?.aborted) return false
        throw thrown
      }),
    uuid: randomUUID,
    next: () => ++sequence,
  }
}
