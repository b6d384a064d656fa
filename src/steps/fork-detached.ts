import type { PartContext } from '../contracts/context.ts'
import { detachedSource } from '../contracts/detached-source.ts'
import { type SluiceError, toSluiceError } from '../contracts/errors.ts'
import { Batch, type Dataflow, type Message, type Source } from '../contracts/message.ts'

/**
 * A branch of a `fork` that is not waited for. Runs of one connection do not overlap in it: the next one waits for the
 * one before, and with it the connection. So order holds and nothing piles up in memory.
 */
export class DetachedBranch {
  readonly #name: string
  readonly #flow: Dataflow
  readonly #context: PartContext
  /** The run that is under way for a connection; never rejects. */
  readonly #running = new Map<Source, Promise<void>>()

  constructor(name: string, flow: Dataflow, context: PartContext) {
    this.#name = name
    this.#flow = flow
    this.#context = context
  }

  /** Begins a run. @returns when it could not begin at once, a promise that is fulfilled when it has begun */
  start(batch: Batch): Promise<unknown> | undefined {
    if (batch.source !== undefined) return this.#start(batch.messages, batch.source)
    // Behind a buffer a batch can have messages of several connections.
    const bySource = Map.groupBy(batch.messages, ({ source }) => source)
    return Promise.all(Array.from(bySource, ([source, messages]) => this.#start(messages, source)))
  }

  /** Waits for everything that has begun. */
  async close(): Promise<void> {
    await Promise.all(this.#running.values())
  }

  #start(messages: readonly Message[], source: Source): Promise<void> | undefined {
    const before = this.#running.get(source)
    if (before !== undefined) return before.then(() => this.#begin(messages, source))
    this.#begin(messages, source)
    return undefined
  }

  #begin(messages: readonly Message[], source: Source): void {
    const kept: Promise<void>[] = []
    const failures = {
      add: (message: Message, error: SluiceError, step = this.#context.id) => {
        kept.push(this.#keep(message, error, step))
      },
    }
    // The run that a message belongs to may have ended and sent its answers when this branch comes to a reply.
    const silent: Source = {
      ...detachedSource(source, 'Name the branch in finishedWhen.', () => source.close()),
      origin: source.origin ?? source,
    }
    const result = this.#flow.run(Batch.of(messages.map((message) => message.from(silent))), failures)
    if (!(result instanceof Promise) && kept.length === 0) return
    this.#running.set(source, this.#finish(result, kept, source))
  }

  async #finish(result: Batch | Promise<Batch>, kept: readonly Promise<void>[], source: Source): Promise<void> {
    try {
      await result
    } catch (thrown) {
      this.#context.log('error', `the branch ${this.#name} broke: ${toSluiceError(thrown, 'internal').message}`)
    }
    await Promise.all(kept)
    this.#running.delete(source)
  }

  async #keep(message: Message, error: SluiceError, step: string): Promise<void> {
    const { deadLetters, log } = this.#context
    log('warn', `${step} failed in the branch ${this.#name}: ${error.message}`, message)
    try {
      await deadLetters.add(message, error, step)
    } catch (thrown) {
      log('error', `the message is lost, because the dead letters failed: ${toSluiceError(thrown).message}`, message)
    }
  }
}
