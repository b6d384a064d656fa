import { Batch } from '../contracts/batch.ts'
import type { Dataflow, Failures } from '../contracts/dataflow.ts'
import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { DataflowHooks, Failure } from '../contracts/failure.ts'
import type { ErrorInfo, Message } from '../contracts/message.ts'
import type { Expression } from '../contracts/schema.ts'
import type { Outcomes, Sink } from '../contracts/sink.ts'
import type { Step } from '../contracts/step.ts'
import { whenAborted } from '../util/signals.ts'

/** A step or sink with what stands around it, as the dataflow calls it. */
export type Stage = (batch: Batch, failures: Failures) => Batch | Promise<Batch>

/** Collects failures until their owner settles them. */
export class FailureList implements Failures {
  #entries: Failure[] | undefined = undefined

  get entries(): readonly Failure[] {
    return this.#entries ?? NONE
  }

  add(message: Message, error: SluiceError, step = ''): void {
    this.#entries ??= []
    this.#entries.push({ message, error, step })
  }

  /** Every message of a batch failed in the same way. */
  addAll(batch: Batch, thrown: unknown): void {
    const error = toSluiceError(thrown, 'internal')
    for (const message of batch.messages) this.add(message, error)
  }
}

/** Keeps what a step drops, and passes on what failed in it. */
class Drops implements Failures {
  readonly failures: Failures
  /** Undefined until something is dropped. */
  dropped: Message[] | undefined = undefined
  readonly signal: AbortSignal | undefined

  constructor(failures: Failures) {
    this.failures = failures
    this.signal = failures.signal
  }

  add(message: Message, error: SluiceError, step?: string): void {
    this.failures.add(message, error, step)
  }

  drop(message: Message): void {
    this.dropped ??= []
    this.dropped.push(message)
  }
}

/** Passes on what a stage tells of its messages, and remembers of which: none may fail twice. */
export class Told implements Failures {
  /** What is told from now on is ignored. */
  over = false
  readonly signal: AbortSignal | undefined
  readonly #failures: Failures
  readonly #id: string
  #known: Set<Message> | undefined = undefined

  constructor(failures: Failures, id: string, signal = failures.signal) {
    this.#failures = failures
    this.#id = id
    this.signal = signal
  }

  add(message: Message, error: SluiceError, step = this.#id): void {
    if (this.#remember(message)) this.#failures.add(message, error, step)
  }

  drop(message: Message): void {
    if (this.#remember(message)) this.#failures.drop?.(message)
  }

  /** Fails the messages of which nothing was told. A step may have changed what it told of, so their places count. */
  failRest(batch: Batch, error: SluiceError): Batch {
    const changed = new Set(this.#known)
    const untold = batch.messages.filter((message) => !changed.delete(message))
    const places = Map.groupBy(changed, ({ source }) => source)
    for (const message of untold) {
      const told = places.get(message.source) ?? []
      const at = told.findIndex(({ sequence, part }) => sequence === message.sequence && part === message.part)
      if (at === -1) this.add(message, error)
      else told.splice(at, 1)
    }
    return Batch.of([])
  }

  #remember(message: Message): boolean {
    if (this.over || this.#known?.has(message)) return false
    this.#known = (this.#known ?? new Set()).add(message)
    return true
  }
}

/** A sink as a step: what it has delivered goes on. */
export function asStep(sink: Sink): Step {
  return {
    runBatch(batch, failures) {
      const settle = (outcomes: Outcomes | void) => (outcomes ? delivered(batch, outcomes, failures) : batch)
      const result = sink.write(batch, failures.signal)
      return result instanceof Promise ? result.then(settle) : settle(result)
    },
  }
}

function delivered(batch: Batch, outcomes: Outcomes, failures: Failures): Batch {
  const passed = batch.messages.filter((message, i) => {
    const error = outcomes[i]
    if (error !== undefined) failures.add(message, error)
    return error === undefined
  })
  return passed.length === batch.length ? batch : Batch.of(passed)
}

/** After the deadline the batch has failed, whatever the stage still does; what it tells later is ignored. */
export function withTimeout(stage: Stage, milliseconds: number, id: string): Stage {
  return (batch, failures) => {
    const over = new AbortController()
    const told = new Told(failures, id, over.signal)
    const forget = failures.signal && whenAborted(failures.signal, () => over.abort(failures.signal!.reason))
    const pending = stage(batch, told)
    if (!(pending instanceof Promise)) {
      forget?.()
      return pending
    }
    return new Promise((resolve) => {
      const settle = (result: Batch) => {
        told.over = true
        forget?.()
        clearTimeout(timer)
        resolve(result)
      }
      const timer = setTimeout(() => {
        const error = new SluiceError('step_timeout', `${id} did not finish within ${milliseconds} ms`)
        over.abort()
        settle(told.failRest(batch, error))
      }, milliseconds)
      void pending.then(settle)
    })
  }
}

/** Takes what does not meet a condition past a stage. */
export function withCondition(stage: Stage, condition: Expression<boolean>, id: string): Stage {
  return (batch, failures) => {
    const matching: Message[] = []
    const others: Message[] = []
    for (const message of batch.messages) {
      try {
        const list = condition(message) ? matching : others
        list.push(message)
      } catch (thrown) {
        failures.add(message, toSluiceError(thrown, 'expression_failed'), id)
      }
    }
    if (matching.length === 0) return Batch.of(others)
    const result = stage(matching.length === batch.length ? batch : Batch.of(matching), failures)
    const around = Batch.of(others)
    if (result instanceof Promise) return result.then((passed) => Batch.merge([passed, around]))
    return Batch.merge([result, around])
  }
}

/** Counts what a step drops and takes it through `else`, where it ends. */
export function withDrops(stage: Stage, otherwise: Dataflow | undefined, hooks: DataflowHooks): Stage {
  const leave = (passed: Batch, { dropped, failures }: Drops): Batch | Promise<Batch> => {
    if (dropped === undefined) return passed
    hooks.dropped(dropped.length)
    const ended = otherwise?.run(Batch.of(dropped), failures)
    return ended instanceof Promise ? ended.then(() => passed) : passed
  }
  return (batch, failures) => {
    const drops = new Drops(failures)
    const result = stage(batch, drops)
    return result instanceof Promise ? result.then((passed) => leave(passed, drops)) : leave(result, drops)
  }
}

/** Takes what fails in a stage through its `onError`, where it ends. */
export function withOnError(stage: Stage, onError: Dataflow, id: string, hooks: DataflowHooks): Stage {
  return (batch, failures) => {
    const own = new FailureList()
    // A message that comes from an onError has had its chance: what fails now goes up, and from there to dead letters.
    const split: Failures = {
      signal: failures.signal,
      add: (message, error, step = id) =>
        message.error === undefined ? own.add(message, error, step) : failures.add(message, error, step),
    }
    const handle = (passed: Batch): Batch | Promise<Batch> => {
      if (own.entries.length === 0) return passed
      const ended = runOnError(onError, own.entries, failures, hooks)
      return ended instanceof Promise ? ended.then(() => passed) : passed
    }
    const result = stage(batch, split)
    return result instanceof Promise ? result.then(handle) : handle(result)
  }
}

/** Runs an `onError` dataflow for what failed; what fails in it in turn is given to `failures`. */
function runOnError(
  onError: Dataflow,
  failed: readonly Failure[],
  failures: Failures,
  hooks: DataflowHooks,
): Batch | Promise<Batch> {
  const messages = failed.map(({ message, error, step }) => {
    hooks.handled(message, error, step)
    message.source.failed?.(message.sequence)
    return message.withError(errorInfo(error, step))
  })
  return onError.run(Batch.of(messages), failures)
}

/**
 * Settles what failed in a run and has no `onError` of its step: the endpoint's `onError` takes what fails for the first
 * time; the rest is buried as dead letters.
 */
export async function settleFailures(
  failed: readonly Failure[],
  onError: Dataflow | undefined,
  hooks: DataflowHooks,
  bury: (failure: Failure) => Promise<void>,
): Promise<void> {
  const first: Failure[] = []
  const last = new FailureList()
  for (const failure of failed) {
    if (onError !== undefined && failure.message.error === undefined) first.push(failure)
    else last.add(failure.message, failure.error, failure.step)
  }
  if (onError !== undefined && first.length > 0) {
    try {
      await runOnError(onError, first, last, hooks)
    } catch (thrown) {
      for (const { message, step } of first) last.add(message, toSluiceError(thrown, 'internal'), step)
    }
  }
  await Promise.all(last.entries.map(bury))
}

function errorInfo(error: SluiceError, step: string): ErrorInfo {
  return { message: error.message, code: error.code, step, retryable: error.retryable }
}

const NONE: readonly Failure[] = []
