import { Batch } from '../contracts/batch.ts'
import type { Dataflow, Failures } from '../contracts/dataflow.ts'
import { type FailureCode, toSluiceError } from '../contracts/errors.ts'
import type { DataflowHooks } from '../contracts/failure.ts'
import { Message } from '../contracts/message.ts'
import type { Expression } from '../contracts/schema.ts'
import type { Sink } from '../contracts/sink.ts'
import type { Step, StepResult } from '../contracts/step.ts'
import { asStep, type Stage, Told, withCondition, withDrops, withOnError, withTimeout } from './stages.ts'

/** One step of a dataflow with what stands around it. */
export interface StageSpec {
  readonly id: string
  /** Exactly one of `step` and `sink`. */
  readonly step?: Step
  readonly sink?: Sink
  /** Messages for which it is false pass the step by. */
  readonly condition?: Expression<boolean> | undefined
  /** What the step drops goes through this and ends there. */
  readonly otherwise?: Dataflow | undefined
  /** What fails in the step goes through this and ends there. */
  readonly onError?: Dataflow | undefined
  /** Milliseconds a batch may take. */
  readonly timeout?: number | undefined
}

/**
 * Binds steps into one function, once, when the configuration is loaded:
 *
 * ```
 *   batch ─▶ stage ─▶ stage ─▶ … ─▶ batch          stage = condition( onError( timeout( otherwise( step or sink ))))
 *                └─▶ failures (those without an onError of their step)
 * ```
 *
 * A step with `runAround` is the last stage: it is given the stages behind it as a dataflow of their own.
 *
 * The whole run is synchronous until a stage returns a promise.
 */
export function createDataflow(specs: readonly StageSpec[], hooks: DataflowHooks): BoundDataflow {
  const stages: Stage[] = []
  for (const [i, spec] of specs.entries()) {
    const { step } = spec
    if (step?.runAround !== undefined) {
      const rest = createDataflow(specs.slice(i + 1), hooks)
      const runBatch: Step['runBatch'] = (batch, failures) => step.runAround!(batch, rest, failures)
      stages.push(createStage({ ...spec, step: { runBatch } }, hooks))
      break
    }
    stages.push(createStage(spec, hooks))
  }
  return {
    run: (batch, failures) => runFrom(stages, 0, batch, failures),
    part: (from, to) => createDataflow(specs.slice(from, to), hooks),
  }
}

/** A dataflow that can also be entered in the middle. */
export interface BoundDataflow extends Dataflow {
  /** Its steps from one index to before another; to the end when that is left out. */
  part(from: number, to?: number): Dataflow
}

function runFrom(stages: readonly Stage[], next: number, batch: Batch, failures: Failures): Batch | Promise<Batch> {
  let current = batch
  for (let i = next; i < stages.length && current.length > 0; i++) {
    const result = stages[i]!(current, failures)
    if (result instanceof Promise) return result.then((passed) => runFrom(stages, i + 1, passed, failures))
    current = result
  }
  return current
}

function createStage(spec: StageSpec, hooks: DataflowHooks): Stage {
  const { id, step, sink, otherwise, timeout, onError, condition } = spec
  let stage = sink === undefined ? stepStage(step!, id) : batchStage(asStep(sink), id, 'sink_failed')
  if (timeout !== undefined) stage = withTimeout(stage, timeout, id)
  if (step !== undefined) stage = withDrops(stage, otherwise, hooks)
  if (onError !== undefined) stage = withOnError(stage, onError, id, hooks)
  if (condition !== undefined) stage = withCondition(stage, condition, id)
  return stage
}

function stepStage(step: Step, id: string): Stage {
  return step.run === undefined ? batchStage(step, id, 'step_failed') : messageStage(step, id)
}

/** @param code of what is thrown without one */
function batchStage(step: Step, id: string, code: FailureCode): Stage {
  return (batch, failures) => {
    const told = new Told(failures, id)
    try {
      const result = step.runBatch!(batch, told)
      if (!(result instanceof Promise)) return result
      return result.catch((thrown) => told.failRest(batch, toSluiceError(thrown, code)))
    } catch (thrown) {
      return told.failRest(batch, toSluiceError(thrown, code))
    }
  }
}

/**
 * Runs a step message by message, until its time is over. When every message comes back as it was, the batch itself goes
 * on, frames and all.
 */
function messageStage(step: Step, id: string): Stage {
  /** Takes the messages from index `from` on; leaves the synchronous path at the first promise. */
  function take(batch: Batch, from: number, progress: Progress, failures: Failures): Batch | Promise<Batch> {
    const messages = batch.messages
    const fail = (message: Message, thrown: unknown) => {
      progress.changed = true
      failures.add(message, toSluiceError(thrown), id)
    }
    for (let i = from; i < messages.length && !failures.signal?.aborted; i++) {
      const message = messages[i]!
      try {
        const result = step.run!(message, failures.signal)
        if (result instanceof Promise) {
          const collected = result.then((later) => collect(progress, message, later, failures))
          return collected.catch((thrown) => fail(message, thrown)).then(() => take(batch, i + 1, progress, failures))
        }
        collect(progress, message, result, failures)
      } catch (thrown) {
        fail(message, thrown)
      }
    }
    return progress.changed || failures.signal?.aborted ? Batch.of(progress.passed) : batch
  }

  return (batch, failures) => take(batch, 0, { passed: [], changed: false }, failures)
}

interface Progress {
  readonly passed: Message[]
  /** Something other than the messages themselves came out, so the batch cannot go on as it is. */
  changed: boolean
}

function collect(progress: Progress, message: Message, result: StepResult, failures: Failures): void {
  if (result === message) {
    progress.passed.push(message)
    return
  }
  progress.changed = true
  if (result === undefined) failures.drop?.(message)
  else if (result instanceof Message) progress.passed.push(result)
  else if (result.length === 1) progress.passed.push(result[0]!)
  else for (const [i, part] of result.entries()) progress.passed.push(part.asPart(i))
}
