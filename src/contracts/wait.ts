import type { Format } from './format.ts'
import type { Framing } from './framing.ts'

/** What is waited for on a connection. @typeParam Arrived a message */
export interface Wait<Arrived> {
  /**
   * Whether a message that has arrived is the one. What it throws is taken as no, and told when the wait has failed.
   * Undefined takes the next message.
   */
  readonly matches?: ((arrived: Arrived) => boolean) | undefined
  /**
   * What `matches` is made of, where another process can make it, too: the text of a condition, and what it looks at
   * besides that which has arrived.
   */
  readonly condition?: { readonly source: string; readonly asker: Arrived } | undefined
  /** Milliseconds until it has failed. */
  readonly timeout: number
  /** Ends it early. */
  readonly signal?: AbortSignal | undefined
  /**
   * Another framing and format than the endpoint's. The bytes that arrive from now on are then read with them, until one
   * frame is there: that frame is taken, and fails the wait if it does not match. What is behind it goes to the endpoint's
   * own framing.
   */
  readonly codec?: { readonly framing: Framing; readonly format: Format } | undefined
}
