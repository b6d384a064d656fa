import type { SluiceError } from '../contracts/errors.ts'
import type { Outcomes } from '../contracts/sink.ts'

/** One connection to a broker, ready to be written to. It never comes back once it was lost. */
export interface Link<T> {
  /** False when nothing more can be sent through it. */
  readonly open: boolean
  /** Why it was lost, once it was. */
  readonly lost: SluiceError | undefined
  /**
   * Sends messages, in the order of the calls, and waits for the word of the broker about each. Never rejects. When the
   * connection is lost, all that have no outcome get `lost`. That is not `retryable` only where the broker has closed
   * because of a message, and these were the only messages under way.
   * @param timeout milliseconds
   */
  deliver(items: readonly T[], timeout: number): Promise<Outcomes>
  /** Says goodbye and frees everything. Nothing may be under way. */
  end(): Promise<void>
}
