import { Batch } from '../contracts/batch.ts'
import type { SluiceError } from '../contracts/errors.ts'
import type { Message } from '../contracts/message.ts'
import type { Step } from '../contracts/step.ts'
import { createDataflow } from '../engine/dataflow.ts'

/** What a step made of some messages. */
export interface StepRun {
  /** The values that go on. */
  readonly gives: readonly unknown[]
  readonly messages: readonly Message[]
  readonly failures: readonly Failure[]
}

interface Failure {
  readonly message: Message
  readonly error: SluiceError
  readonly step: string
}

/** Runs a step as a dataflow does. @returns at once when the step did not have to wait */
export function runStep(step: Step, messages: Batch | readonly Message[]): StepRun | Promise<StepRun> {
  const failures: Failure[] = []
  const flow = createDataflow([{ id: 'tested', step }], { dropped() {}, handled() {} })
  const batch = messages instanceof Batch ? messages : Batch.of(messages)
  const describe = (result: Batch): StepRun => ({
    gives: result.messages.map(({ msg }) => msg),
    messages: result.messages,
    failures,
  })
  const result = flow.run(batch, { add: (message, error, at = '') => failures.push({ message, error, step: at }) })
  return result instanceof Promise ? result.then(describe) : describe(result)
}

/** Like {@link runStep}, for a step that must not wait. */
export function runStepNow(step: Step, messages: Batch | readonly Message[]): StepRun {
  const run = runStep(step, messages)
  if (run instanceof Promise) throw new Error('the step is not synchronous: it returned a promise')
  return run
}
