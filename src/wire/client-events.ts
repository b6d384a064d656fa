import type { Address } from '../contracts/client.ts'
import { type SluiceError, toSluiceError } from '../contracts/errors.ts'
import { createEvents, type Events } from '../contracts/events.ts'

/** What a connection or a pool of the library tells. */
export interface ConnectionEventMap<In = unknown> {
  /** A connection is there: one of a pool, or one that `reconnect` has opened again. */
  'connection.opened': { readonly remote: Address }
  /** A connection has ended, and `reconnect` opens it again. */
  'connection.lost': {
    readonly remote: Address
    /** Undefined when the other side has closed it in good order. */
    readonly error: SluiceError | undefined
  }
  /** It could not be connected and is tried again. */
  'dial.failed': {
    readonly target: string
    readonly error: SluiceError
    /** 1 for the first. */
    readonly attempt: number
    /** Milliseconds until the next attempt. */
    readonly retryIn: number
  }
  /** A message was dropped: the answer to a request that had been given up, or, in a pool, one that answers no request. */
  'message.dropped': {
    /** Undefined when it could not be read. */
    readonly message: In | undefined
    readonly reason: 'late' | 'unrequested'
    /** Why it could not be read. */
    readonly error?: SluiceError
  }
  /** A connection is over for good: it was closed, or lost and is not opened again. */
  'connection.closed': {
    readonly remote: Address
    /** Undefined when it ended in good order. */
    readonly error: SluiceError | undefined
  }
}

/** A bus for them. What a listener throws stops nothing; it becomes a warning of the process. */
export function createClientEvents<In>(): Events<ConnectionEventMap<In>> {
  return createEvents((error) => process.emitWarning(toSluiceError(error)))
}
