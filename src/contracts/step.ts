import type { Batch } from './batch.ts'
import type { Dataflow, Failures } from './dataflow.ts'
import type { Message } from './message.ts'

/** What a step gives for one message: it goes on, it ends here (undefined), or several go on. */
export type StepResult<Out = unknown> = Message<Out> | readonly Message<Out>[] | undefined

/**
 * A step takes messages and gives messages. It has exactly one of the three `run` methods.
 *
 * The dataflow calls it for one run of a connection at a time; runs of different connections may overlap wherever a
 * promise is awaited. A step is created once for each place where it stands in the configuration.
 */
export interface Step<In = unknown, Out = unknown> {
  /**
   * One message at a time: the usual choice. Called in order; where it returns a promise, the next message waits for it.
   * What it throws fails this message alone.
   * @param over aborted when the step has not finished in its time: the message has failed, and what comes out is ignored
   */
  run?(message: Message<In>, over?: AbortSignal): StepResult<Out> | Promise<StepResult<Out>>
  /**
   * A whole batch, for steps that gain by it. Each message must either be in the result, or in `failures`, or have ended
   * on purpose. What it throws fails every message of the batch.
   */
  runBatch?(batch: Batch<In>, failures: Failures): Batch<Out> | Promise<Batch<Out>>
  /**
   * A batch together with all that stands behind the step in its dataflow, for steps that must know how that ends: which
   * messages came out of it, and which failed. Where its answers and failures are of interest too, the step gives its
   * messages a source of its own ({@link Message.from}), which is told of both.
   * @param rest runs what is behind; for any part of the batch, as often as needed, or not at all
   * @returns what came out at the end of `rest`
   */
  runAround?(batch: Batch<In>, rest: Dataflow, failures: Failures): Batch | Promise<Batch>
  /**
   * Is given what stands behind the step, before the first run: for a step that sends messages on when no run brings them.
   */
  attach?(rest: Dataflow): void
  /**
   * Sends on what the step still holds, and waits until that has come to its end. Called once, after the last run, while
   * all parts still work: those before it in the dataflow have done it already.
   */
  flush?(): Promise<void>
  /** Frees what `create` opened. Called once, after the last run. */
  close?(): void | Promise<void>
}
