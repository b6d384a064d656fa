import { setTimeout as delay } from 'node:timers/promises'
import type { Address } from '../contracts/client.ts'
import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Delivery, Receiver, Subscription } from '../contracts/subscription.ts'
import { createBackoff } from '../util/backoff.ts'
import { whenAborted } from '../util/signals.ts'

/** One connection to a broker that has confirmed the subscription. It never comes back once it was lost. */
export interface Session {
  readonly address: Address
  /** Resolves when the broker gives no more messages, with the reason. Does not resolve because of `stop` or `end`. */
  readonly lost: Promise<SluiceError>
  /** Takes no more messages. Resolves when none will come. */
  stop(): Promise<void>
  /** Ends the connection, once what was settled and answered has been sent. */
  end(): Promise<void>
}

/**
 * Keeps one subscription alive, for ever:
 *
 * ```
 *   open ──ok──▶ subscribed ──lost──▶ wait (backoff with jitter) ──▶ open
 *     └──failed──▶ wait ──▶ open
 * ```
 *
 * A connection is not shared with sinks: a sink ends its connection when a write is not answered in time, and that must
 * not cost messages.
 */
export class Reconnecting implements Subscription {
  readonly #open: (take: (deliveries: readonly Delivery[]) => void) => Promise<Session>
  readonly #stopped = new AbortController()
  #session: Session | undefined = undefined
  readonly #late: AbortSignal
  #forget: () => void = () => {}
  /** Settles when nothing is opened any more. */
  #keeping: Promise<void> = Promise.resolve()

  /**
   * @param open connects and subscribes, and throws SluiceError where it cannot; what it gives to `take` meanwhile waits
   * @param late aborted when the server waits no longer: the connection is ended at once
   */
  constructor(open: (take: (deliveries: readonly Delivery[]) => void) => Promise<Session>, late: AbortSignal) {
    this.#open = open
    this.#late = late
  }

  start(receiver: Receiver): void {
    this.#forget = whenAborted(this.#late, () => {
      this.#stopped.abort()
      void this.#session?.end()
    })
    this.#keeping = this.#keep(receiver)
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    await this.#session?.stop()
    // One that was being opened when the stop came has not been seen yet.
    await this.#keeping
  }

  async close(): Promise<void> {
    this.#stopped.abort()
    this.#forget()
    await this.#keeping
    await this.#session?.end()
  }

  async #keep(receiver: Receiver): Promise<void> {
    const { signal } = this.#stopped
    const backoff = createBackoff({ first: FIRST_WAIT, max: LONGEST_WAIT })
    while (!signal.aborted) {
      let error: SluiceError
      try {
        const session = await this.#subscribe(receiver)
        this.#session = session
        if (signal.aborted) return await session.stop()
        backoff.reset()
        const lost = await lostOrAborted(session.lost, signal)
        if (lost === undefined) return
        error = asSubscription(lost)
        this.#session = undefined
        await session.end()
      } catch (thrown) {
        error = asSubscription(toSluiceError(thrown, 'subscription_failed'))
      }
      if (signal.aborted) return
      const retryIn = backoff.next()
      receiver.failed(error, retryIn)
      await delay(retryIn, undefined, { signal }).catch(() => undefined)
    }
  }

  /** A message may come before it is known that the subscription is confirmed. */
  async #subscribe(receiver: Receiver): Promise<Session> {
    let early: Delivery[] | undefined = []
    const session = await this.#open((deliveries) => {
      if (early === undefined) receiver.take(deliveries)
      else early.push(...deliveries)
    })
    const first = early
    early = undefined
    receiver.opened(session.address)
    if (first.length > 0) receiver.take(first)
    return session
  }
}

/** Milliseconds: the first wait is at most this long. */
const FIRST_WAIT = 500

/** Milliseconds: no wait is longer. */
const LONGEST_WAIT = 30_000

function lostOrAborted(lost: Promise<SluiceError>, signal: AbortSignal): Promise<SluiceError | undefined> {
  return new Promise((resolve) => {
    const forget = whenAborted(signal, () => resolve(undefined))
    void lost.then((error) => {
      forget()
      resolve(error)
    })
  })
}

/** What brokers have in common says of a connection what is true of sinks. */
function asSubscription(error: SluiceError): SluiceError {
  if (error.code !== 'sink_failed' && error.code !== 'sink_unavailable') return error
  const { message, retryable, hint } = error
  return new SluiceError('subscription_failed', message, {
    cause: error,
    retryable,
    ...(hint !== undefined && { hint }),
  })
}
