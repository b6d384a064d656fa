import type { SluiceError } from './errors.ts'
import type { Batch } from './message.ts'

/** What the confirmation of a sink can be worth; `sluice check` and the reference page say it in these words. */
export const confirmations = {
  durable: 'committed or fsynced: it survives a power cut',
  accepted: 'the destination said that it has it (2xx, QoS 1)',
  os: 'the operating system took the bytes: a power cut, or a peer that dies, can still lose them',
} as const satisfies Record<string, string>

/** A key of {@link confirmations}. */
export type Confirmation = keyof typeof confirmations

/** What became of each message of a batch: undefined at index i means message i was delivered. */
export type Outcomes = readonly (SluiceError | undefined)[]

/**
 * A sink delivers messages outside. It passes them on when its destination has confirmed; retry, timeout and dead
 * letters stand around it and are not its business.
 */
export interface Sink {
  /**
   * Delivers a batch. Finished (by returning, or by its promise) means confirmed. May be called again before the last
   * call has finished: calls of different connections overlap, and merging them is the sink's gain.
   * @returns nothing when all were delivered, else the outcome of each message
   * @throws when none was delivered; `retryable` on the error says whether trying again makes sense
   */
  write(batch: Batch): void | Outcomes | Promise<void | Outcomes>
  /** Delivers what is begun, then frees everything. Called once. */
  close(): void | Promise<void>
}
