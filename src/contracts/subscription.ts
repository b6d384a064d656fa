import type { Address } from './client.ts'
import type { SluiceError } from './errors.ts'

/** How often a message of a subscription goes through the dataflow; `sluice check` and the reference page say it in these words. */
export const guarantees = {
  'at least once':
    'the broker keeps a message until it has gone through the dataflow, and gives it again after a crash or a lost connection',
  'at most once':
    'the broker keeps nothing: what is published while there is no connection, and what is under way in a crash, is lost',
} as const satisfies Record<string, string>

/** A key of {@link guarantees}. */
export type Guarantee = keyof typeof guarantees

/** A message as a broker gave it. */
export interface Delivery {
  /** Owned by whoever takes the delivery. */
  readonly payload: Buffer
  /** What the broker has filed it under: a subject, a topic, a channel, the key of a stream. */
  readonly topic: string
  /** What the broker itself knows it by, also when it gives it again; '' when it has no such name. */
  readonly id: string
  /** It tells that time has passed, and holds no message: `msg` is then null. */
  readonly event?: 'timer'
  /** Why it is no message, where that is so: it is then rejected, like a frame that is no frame. */
  readonly error?: SluiceError | undefined
  /**
   * Answers whoever published it. Absent where nobody asked for an answer. The bytes are the broker's from then on.
   * @returns false when the answer cannot be sent any more
   */
  reply?(payload: Buffer): boolean
  /**
   * Tells the broker that the message has gone through the dataflow, whatever became of it. Called once, in the order of
   * the deliveries, and not at all for what was not finished; such a message is given again. Absent where the broker keeps
   * nothing. Never throws: an acknowledgement that does not arrive is one that was not made.
   */
  settle?(): void
}

/** Whom a subscription gives its messages to. */
export interface Receiver {
  /** The broker has confirmed the subscription. @param address where the broker is; the path of a socket has port 0 */
  opened(address: Address): void
  /** There is no connection, or none any more. @param retryIn milliseconds until the next attempt */
  failed(error: SluiceError, retryIn: number): void
  /**
   * Takes messages, in the order of the broker, and returns at once. How many may be under way is for the subscription to
   * see to: those that have a `settle` and were not settled.
   */
  take(deliveries: readonly Delivery[]): void
}

/**
 * Messages of a broker, and the word to it of what became of them. A subscription connects by itself, and again when its
 * connection was lost: a broker that is away is no error, and neither is one that refuses us for now.
 */
export interface Subscription {
  /** Begins to connect and to give messages, and returns at once. Called once, if at all. */
  start(receiver: Receiver): void
  /** Takes no more messages from the broker. Resolves when none will come. What has come can still be settled and answered. */
  stop(): Promise<void>
  /**
   * Ends the connection, once what was settled and answered has been sent. Called once, after `stop`. One that was never
   * started may be closed, and has nothing to close.
   */
  close(): Promise<void>
}
