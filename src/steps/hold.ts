import type { PartContext } from '../contracts/context.ts'
import { SluiceError } from '../contracts/errors.ts'
import { withEither } from '../util/signals.ts'

/**
 * Holds messages back for a time. A server that stops waits for them as long as it waits for all else.
 * @param milliseconds as many as it takes: longer ones than a timer can count are waited for in pieces
 * @param over aborted when nobody waits for these messages any more
 * @throws SluiceError `step_timeout` when it was ended early
 */
export function hold(
  { clock, signal }: Pick<PartContext, 'clock' | 'signal'>,
  milliseconds: number,
  over: AbortSignal | undefined,
): Promise<void> {
  const end = clock.elapsed() + milliseconds
  return withEither(signal, over, async (ended) => {
    for (let left = milliseconds; left > 0; left = end - clock.elapsed()) {
      if (await clock.sleep(Math.min(left, LONGEST_SLEEP), ended)) continue
      throw new SluiceError('step_timeout', 'the message was held back, and the time for that ran out', {
        retryable: true,
      })
    }
  })
}

/** A day. */
const LONGEST_SLEEP = 24 * 3_600_000
