import { SluiceError } from '../contracts/errors.ts'
import { nextTurn } from '../util/next-turn.ts'
import type { Duration, RequestOptions } from './link.ts'
import { toMilliseconds } from './within.ts'

/** What a request can be made on. */
export interface Target<In, Out> {
  /** @throws what is wrong before anything was sent */
  requestWithin(value: Out, options: RequestOptions<In>, timeout: number, left: number): Promise<In>
}

/**
 * Makes a request on one connection after the other, within one timeout: on another one when it was not sent, and when it
 * was sent and lost only if it is idempotent.
 * @param take gives a connection within some milliseconds (0 is off), for the attempt with that number from 1 up
 */
export async function requestRepeating<In, Out>(
  value: Out,
  options: RequestOptions<In> & { readonly timeout: Duration },
  take: (left: number, attempt: number) => Promise<Target<In, Out>>,
): Promise<In> {
  const timeout = toMilliseconds(options.timeout)
  const began = performance.now()
  // Without a timeout it is 0, which is off, else 1 at least.
  const left = () => (timeout === 0 ? 0 : Math.max(1, timeout - (performance.now() - began)))
  options.signal?.throwIfAborted()
  for (let attempt = 1; ; attempt++) {
    const target = await take(left(), attempt)
    try {
      return await target.requestWithin(value, options, timeout, left())
    } catch (thrown) {
      if (!(thrown instanceof SluiceError) || !mayRepeat(thrown, options)) throw thrown
      // Whoever gives connections may learn only now that this one has ended.
      await nextTurn()
    }
  }
}

function mayRepeat({ code }: SluiceError, { idempotent = false }: { readonly idempotent?: boolean }): boolean {
  return code === 'connection_closed' || (code === 'connection_lost' && idempotent)
}
