import type { Batch, Failures, Message } from './message.ts'

/** What a step gives for one message: it goes on, it ends here (undefined), or several go on. */
export type StepResult<Out = unknown> = Message<Out> | readonly Message<Out>[] | undefined

/**
 * A step takes messages and gives messages. It has exactly one of the two methods.
 *
 * The dataflow calls it for one run of a connection at a time; runs of different connections may overlap wherever a
 * promise is awaited. A step is created once for each place where it stands in the configuration.
 */
export interface Step<In = unknown, Out = unknown> {
  /**
   * One message at a time: the usual choice. Called in order; where it returns a promise, the next message waits for it.
   * What it throws fails this message alone.
   */
  run?(message: Message<In>): StepResult<Out> | Promise<StepResult<Out>>
  /**
   * A whole batch, for steps that gain by it. Each message must either be in the result, or in `failures`, or have ended
   * on purpose. What it throws fails every message of the batch.
   */
  runBatch?(batch: Batch<In>, failures: Failures): Batch<Out> | Promise<Batch<Out>>
  /** Frees what `create` opened. Called once, after the last run. */
  close?(): void | Promise<void>
}
