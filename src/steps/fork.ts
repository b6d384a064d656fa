import { Batch } from '../contracts/batch.ts'
import type { Dataflow, Failures } from '../contracts/dataflow.ts'
import { defineStep } from '../contracts/define.ts'
import type { SluiceError } from '../contracts/errors.ts'
import type { ErrorInfo, Message, Source } from '../contracts/message.ts'
import { dataflow, withoutProto, z } from '../contracts/schema.ts'
import { suggest } from '../util/suggest.ts'
import { DetachedBranch } from './fork-detached.ts'

/** Gives each of several dataflows the same messages. */
export const fork = defineStep({
  name: 'fork',
  summary: 'Gives each of several branches the same message; then the original goes on.',
  details:
    'The step has finished when the branches named in `finishedWhen` have, and a message that fails in one of those ' +
    'has failed here. The other branches go on by themselves: no step in them can answer, what fails in them goes to ' +
    'the dead letters, and none of them falls more than one batch behind its connection, which is what bounds the memory. What comes out at the ' +
    'end of a branch ends there.',
  options: z
    .strictObject({
      branches: withoutProto(z.record(z.string(), dataflow()))
        .refine((branches) => Object.keys(branches).length > 0, 'name at least one branch')
        .describe('Names, with the steps of each branch.'),
      finishedWhen: z
        .array(z.string())
        .optional()
        .describe('Names of the branches that are waited for. Default: all. `[]` waits for none.'),
    })
    .superRefine(({ branches, finishedWhen = [] }, context) => {
      const names = Object.keys(branches)
      for (const [i, name] of finishedWhen.entries()) {
        if (names.includes(name)) continue
        const meant = suggest(name, names)
        const message = `there is no branch "${name}"${meant === undefined ? '' : `; did you mean "${meant}"?`}`
        context.addIssue({ code: 'custom', message, path: ['finishedWhen', i] })
      }
    }),
  examples: [
    {
      title: 'Log and answer, and go on with the original',
      config: { fork: { branches: { trace: [{ log: '${msg}' }], answer: [{ map: 'msg * 2' }, { reply: '${msg}' }] } } },
      given: [21],
      gives: [21],
      replies: ['42'],
    },
  ],
  afterInner: ({ finishedWhen }, [, name]) => (isAwaited(String(name), finishedWhen) ? 'whole' : 'end'),
  unanswerable({ finishedWhen }, [, name]) {
    if (isAwaited(String(name), finishedWhen)) return undefined
    const message = `fork does not wait for the branch ${name}, and what it answers would come too late`
    return { message, hint: `add ${name} to finishedWhen, or answer outside the branch` }
  },
  create({ branches, finishedWhen }, context) {
    const awaited: Dataflow[] = []
    const detached: DetachedBranch[] = []
    for (const [name, flow] of Object.entries(branches)) {
      if (isAwaited(name, finishedWhen)) awaited.push(flow)
      else detached.push(new DetachedBranch(name, flow, context))
    }
    return {
      runBatch(batch, failures) {
        const pending: Promise<unknown>[] = []
        const failed = new FailedOriginals(batch, failures.signal)
        for (const branch of detached) {
          const turn = branch.start(batch)
          if (turn !== undefined) pending.push(turn)
        }
        for (const flow of awaited) {
          const result = flow.run(batch, failed)
          if (result instanceof Promise) pending.push(result)
        }
        if (pending.length === 0) return failed.settle(failures)
        return Promise.all(pending).then(() => failed.settle(failures))
      },
      async close() {
        await Promise.all(detached.map((branch) => branch.close()))
      },
    }
  },
})

function isAwaited(branch: string, finishedWhen: readonly string[] | undefined): boolean {
  return finishedWhen === undefined || finishedWhen.includes(branch)
}

/** Finds, for the messages that failed in branches, the originals that must not go on. */
class FailedOriginals implements Failures {
  readonly signal: AbortSignal | undefined
  readonly #batch: Batch
  readonly #failed = new Map<Message, BranchFailure>()
  /** Made for the first failure: a search through the batch for each would be quadratic. */
  #members: ReadonlySet<Message> | undefined = undefined
  /** Batches behind a buffer come from several sources, and each of those counts for itself. */
  #bySource: ReadonlyMap<Source, Map<number, readonly Message[]>> | undefined = undefined

  constructor(batch: Batch, signal: AbortSignal | undefined) {
    this.#batch = batch
    this.signal = signal
  }

  /**
   * A branch may have changed the message; its sequence then tells where it came from. Where an earlier step had made
   * several messages of one, they share it and all of them fail: none must pass as delivered that was not.
   */
  add(message: Message, error: SluiceError, step?: string): void {
    const failure = { error, step, handled: message.error }
    this.#members ??= new Set(this.#batch.messages)
    if (this.#members.has(message)) {
      this.#fail(message, failure)
      return
    }
    this.#bySource ??= bySourceAndSequence(this.#batch.messages)
    const bySequence = this.#bySource.get(message.source)
    for (const original of bySequence?.get(message.sequence) ?? []) this.#fail(original, failure)
    // They all have failed now, so the others of the branch that came of them need no look at each again.
    bySequence?.delete(message.sequence)
  }

  /** Reports each original once, with its first error. @returns those that go on */
  settle(failures: Failures): Batch {
    if (this.#failed.size === 0) return this.#batch
    const passed: Message[] = []
    for (const message of this.#batch.messages) {
      const failure = this.#failed.get(message)
      if (failure === undefined) passed.push(message)
      else failures.add(withChanceUsed(message, failure), failure.error, failure.step)
    }
    return Batch.of(passed)
  }

  #fail(original: Message, failure: BranchFailure): void {
    if (!this.#failed.has(original)) this.#failed.set(original, failure)
  }
}

function bySourceAndSequence(messages: readonly Message[]): ReadonlyMap<Source, Map<number, readonly Message[]>> {
  const bySource = Map.groupBy(messages, ({ source }) => source)
  return new Map(Array.from(bySource, ([source, its]) => [source, Map.groupBy(its, ({ sequence }) => sequence)]))
}

/** Why an original must not go on. */
interface BranchFailure {
  readonly error: SluiceError
  readonly step: string | undefined
  /** Set when an `onError` of the branch has had the message already. */
  readonly handled: ErrorInfo | undefined
}

/** A message gets one chance in an `onError`: one that a branch has given it counts for the original. */
function withChanceUsed(original: Message, { handled }: BranchFailure): Message {
  return handled === undefined ? original : original.withError(handled)
}
