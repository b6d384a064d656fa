import { setImmediate as nextTurn } from 'node:timers/promises'
import { SluiceError } from '../contracts/errors.ts'
import type { BegunRequest, Duration } from './link.ts'
import { toMilliseconds } from './within.ts'

/**
 * Makes a request on one connection after the other, within one timeout: again when it was not sent, and when it was sent
 * and lost only if it is idempotent.
 * @param ask makes the attempt with that number, from 1 up; `left` gives the milliseconds from now, at least 1, and 0 for off
 */
export async function requestRepeating<In>(
  options: BegunRequest<In> & { readonly timeout: Duration },
  ask: (left: () => number, attempt: number) => Promise<In>,
): Promise<In> {
  const timeout = toMilliseconds(options.timeout)
  const began = performance.now() - (timeout - (options.left ?? timeout))
  const left = () => (timeout === 0 ? 0 : Math.max(1, timeout - (performance.now() - began)))
  options.signal?.throwIfAborted()
  for (let attempt = 1; ; attempt++) {
    try {
      return await ask(left, attempt)
    } catch (thrown) {
      if (!(thrown instanceof SluiceError) || !mayRepeat(thrown, options)) throw thrown
      // Whoever knows the connections may learn only now that this one has ended.
      await nextTurn()
    }
  }
}

function mayRepeat(
  { code, retryable }: SluiceError,
  { idempotent = false }: { readonly idempotent?: boolean },
): boolean {
  return retryable && (code === 'connection_closed' || (code === 'connection_lost' && idempotent))
}
