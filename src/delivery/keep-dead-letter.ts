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
      await letters.add(message, error, step, signal)
      return undefined
    } catch (thrown) {
      if (signal.aborted) return toSluiceError(thrown, 'storage_failed')
      await realTiming.wait(RETRY_MS, signal)
    }
  }
}

/** How long is waited before a dead letter that could not be stored is tried again, beyond what its store does. */
const RETRY_MS = 1000
