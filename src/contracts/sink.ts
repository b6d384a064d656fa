import type { Batch } from './batch.ts'
import { SluiceError } from './errors.ts'

/** What the confirmation of a sink can be worth; `sluice check` and the reference page say it in these words. */
export const confirmations = {
  durable: 'committed or fsynced: it survives a power cut',
  accepted: 'the destination said that it has it (2xx, QoS 1)',
  os: 'the operating system took the bytes: a power cut, or a peer that dies, can still lose them',
  memory: 'it waits in memory: a crash loses it',
  nothing: 'nothing is kept',
} as const satisfies Record<string, string>

/** A key of {@link confirmations}. */
export type Confirmation = keyof typeof confirmations

/** How the writes of many connections are merged for a sink. */
export interface Batching {
  /** Most messages of one write. */
  readonly maxBatch: number
  /** Milliseconds for which a write that is not full waits for more. */
  readonly maxWait: number
  /** Most writes that are under way at once. */
  readonly maxInFlight: number
}

/** What became of each message of a batch: undefined at index i means message i was delivered. */
export type Outcomes = readonly (SluiceError | undefined)[]

/** What becomes of a message that comes to a sink, or still waits in it, when nobody waits for its outcome any more. */
export function givenUp(): SluiceError {
  return new SluiceError('step_timeout', 'nobody waited for it any more, so it was not delivered')
}

/**
 * A sink delivers messages outside. It passes them on when its destination has confirmed; retry, timeout and dead
 * letters stand around it and are not its business.
 */
export interface Sink {
  /**
   * Delivers a batch. Finished (by returning, or by its promise) means confirmed. May be called again before the last
   * call has finished: calls of different connections overlap. A sink whose definition says `batching` gets the
   * messages of many connections in one call, and as many calls at once as the options allow.
   * @returns nothing when all were delivered, else the outcome of each message
   * @throws when none was delivered; `retryable` on the error says whether trying again makes sense. One that is not is
   *   taken to be about a message in the batch: with `batching` the halves are then tried apart, so that the message
   *   fails alone
   * @param signal aborted when nobody waits for the outcome any more. An attempt under way may go on; another one would
   *   deliver what has been told as failed
   */
  write(batch: Batch, signal?: AbortSignal): void | Outcomes | Promise<void | Outcomes>
  /** Delivers what is begun, then frees everything. Called once. */
  close(): void | Promise<void>
}
