import type { SluiceError } from '../contracts/errors.ts'
import { whenAborted } from '../util/signals.ts'
import { parseDuration } from '../util/units.ts'
import type { Duration } from './link.ts'

/**
 * Reads a time that is given with a call.
 * @returns milliseconds; 0 is off
 * @throws TypeError for what is none
 */
export function toMilliseconds(time: Duration): number {
  const milliseconds = typeof time === 'number' ? time : time === 'off' ? 0 : parseDuration(time)
  if (milliseconds !== undefined && milliseconds >= 0 && milliseconds <= LONGEST_TIMER_MS) return milliseconds
  throw new TypeError(`timeout is ${time}; give milliseconds, or a text with a unit such as 3s, of at most 24 days`)
}

/**
 * Waits for a promise, but only so long. What it comes to afterwards is ignored.
 * @param timeout milliseconds; 0 is off
 * @param late the error when the time is over
 */
export function within<T>(
  promise: Promise<T>,
  timeout: number,
  signal: AbortSignal | undefined,
  late: () => SluiceError,
): Promise<T> {
  if (timeout === 0 && signal === undefined) return promise
  return new Promise((resolve, reject) => {
    let forget: (() => void) | undefined
    const settle = () => {
      clearTimeout(timer)
      forget?.()
    }
    const fail = (error: unknown) => {
      settle()
      reject(error)
    }
    const timer = timeout === 0 ? undefined : setTimeout(() => fail(late()), timeout)
    promise.then((value) => {
      settle()
      resolve(value)
    }, fail)
    forget = signal && whenAborted(signal, () => fail(signal.reason))
  })
}

/** Node's timers cannot wait longer; a longer time would be over at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1
