import type { DeadLetters } from '../contracts/context.ts'
import { type SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Message } from '../contracts/message.ts'
import { realTiming } from './retry.ts'

/**
 * Stores a dead letter whose message still lies elsewhere, on disk or at a broker: when the store cannot take it, that is
 * tried again until it can.
 * @param signal aborted when nobody can wait any longer
 * @returns undefined when it is stored, else why it is not
 */
export async function keepDeadLetter(
  letters: DeadLetters,
  message: Message,
  error: SluiceError,
  step: string,
  signal: AbortSignal,
): Promise<SluiceError | undefined> {
  for (;;) {
    try {
      await unlessAborted(letters.add(message, error, step), signal)
      return undefined
    } catch (thrown) {
      if (signal.aborted) return toSluiceError(thrown, 'storage_failed')
      await realTiming.wait(RETRY_MS, signal)
    }
  }
}

/** Waits no longer when the signal is aborted meanwhile. */
async function unlessAborted(work: Promise<unknown>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) {
    await work
    return
  }
  const { promise, reject } = Promise.withResolvers<never>()
  const stop = () => reject(signal.reason)
  signal.addEventListener('abort', stop, { once: true })
  try {
    await Promise.race([work, promise])
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

/** How long is waited before a dead letter that could not be stored is tried again, beyond what its store does. */
const RETRY_MS = 1000
