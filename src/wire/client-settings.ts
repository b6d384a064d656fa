import type { Codec } from '../contracts/codec.ts'
import type { Socket } from '../contracts/transport.ts'
import type { BackoffOptions } from '../util/backoff.ts'
import type { Link, RequestId } from './link.ts'

/** What a client works with: options read, checked and built. Times in milliseconds; 0 is off. */
export interface ClientSettings<In, Out> {
  /** Where it connects to, for people. */
  readonly target: string
  readonly incoming: Codec
  readonly outgoing: Codec
  readonly maxFrameLength: number
  readonly timeout: number
  readonly requestTimeout: number
  readonly maxPending: number
  /** Undefined where none was given. */
  readonly attempts: number | undefined
  readonly backoff: BackoffOptions
  readonly idOf: { in(message: In): RequestId | undefined; out(value: Out): RequestId | undefined } | undefined
  /**
   * What becomes of a request that was given up: its answer is dropped when it comes late (`drop`), the connection is closed
   * (`close`), or, where it has a `match`, the late answer is a message like any other (`forget`).
   */
  readonly whenTimedOut: 'drop' | 'close' | 'forget'
  readonly onConnect: ((link: Link<In, Out>) => Promise<void>) | undefined
  /** Resolves when the parts can be used. @throws ConfigError */
  ready(): Promise<void>
  /** Opens a socket, encrypted where that is wanted. @throws SluiceError; the reason of the signal */
  dial(signal: AbortSignal): Promise<Socket>
}
