import type { Batch } from './batch.ts'
import type { SluiceError } from './errors.ts'
import type { Message } from './message.ts'

/** Where a stage puts the messages that failed in it. What is put here must not be in the stage's result. */
export interface Failures {
  add(message: Message, error: SluiceError, step?: string): void
  /** Tells of a message that a batch step ends on purpose, so that it is counted and `else:` can have it. */
  drop?(message: Message): void
  /** Aborted when the stage has had its time and nobody waits for it any more: what it has not begun, it must not begin. */
  readonly signal?: AbortSignal | undefined
}

/** An array of steps, ready to run. Steps that branch hold some of these. */
export interface Dataflow {
  /** A connection gives it one message in a run: a step in it may wait for those that come behind. */
  readonly oneMessage?: boolean
  /**
   * Takes a batch through all steps.
   * @param failures receives each message that failed and was not handled by an `onError` of its step
   * @returns the messages that came out at the end, in order; at once when no step had to wait
   */
  run(batch: Batch, failures: Failures): Batch | Promise<Batch>
}
