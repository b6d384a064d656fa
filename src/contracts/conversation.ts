import type { Client } from './client.ts'
import type { CloseReason } from './errors.ts'
import type { Message } from './message.ts'
import type { Wait } from './wait.ts'

/** What is done with the socket of a client from when it is accepted to its end, as its endpoint sees it. */
export interface Conversation {
  readonly client: Client
  /** Frames that have arrived; 0 where none are looked for. */
  readonly received: number
  /** Settles when what runs now in the dataflows has ended; undefined when nothing does. */
  readonly pending: Promise<unknown> | undefined
  /** Begins; called once. */
  open(): void
  /**
   * Queues bytes that no message of this client caused.
   * @returns false when they are not sent
   */
  send(bytes: Buffer): boolean
  /** Waits for a message of the client. Rejects where it cannot have any. */
  wait(wait: Wait<Message>): Promise<Message>
  /** Reads no more, finishes what has arrived, closes. */
  finish(reason: CloseReason, detail?: string): void
  /** Ends at once. */
  terminate(reason: CloseReason, detail?: string): void
}
