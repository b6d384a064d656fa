import { Batch } from '../contracts/batch.ts'
import type { PartContext } from '../contracts/context.ts'
import type { Dataflow } from '../contracts/dataflow.ts'
import { detachedSource } from '../contracts/detached-source.ts'
import { type SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Message, Source } from '../contracts/message.ts'
import { keepFailed } from './keep-failed.ts'

/**
 * A branch of a `fork` that is not waited for. Runs of one client do not overlap in it: the next one waits for the one
 * before, and with it whoever brings it; so does one of another client where {@link MOST_RUNS} are under way. So order holds
 * and nothing piles up in memory, whether messages come from the connection itself, from a buffer or from a retry.
 */
export class DetachedBranch {
  readonly #name: string
  readonly #flow: Dataflow
  readonly #context: PartContext
  /** The run that is under way for a client; never rejects. */
  readonly #running = new Map<string, Promise<void>>()

  constructor(name: string, flow: Dataflow, context: PartContext) {
    this.#name = name
    this.#flow = flow
    this.#context = context
  }

  /** Begins a run. @returns when it could not begin at once, a promise that is fulfilled when it has begun */
  start(batch: Batch): Promise<unknown> | undefined {
    if (batch.source !== undefined) return this.#start(batch.messages, clientOf(batch.source))
    // Behind a buffer a batch can have messages of several clients, and several sources of one.
    const byClient = Map.groupBy(batch.messages, ({ source }) => clientOf(source))
    return Promise.all(Array.from(byClient, ([client, messages]) => this.#start(messages, client)))
  }

  /** Waits for everything that has begun. */
  async close(): Promise<void> {
    await Promise.all(this.#running.values())
  }

  #start(messages: readonly Message[], client: string): Promise<void> | undefined {
    if (this.#before(client) !== undefined) return this.#startLater(messages, client)
    this.#begin(messages, client)
    return undefined
  }

  /** What a run of a client has to wait for. */
  #before(client: string): Promise<void> | undefined {
    const own = this.#running.get(client)
    return own !== undefined || this.#running.size < MOST_RUNS ? own : this.#running.values().next().value
  }

  async #startLater(messages: readonly Message[], client: string): Promise<void> {
    // Of several that wait the first begins, and the others wait for that one.
    for (let run = this.#before(client); run !== undefined; run = this.#before(client)) await run
    this.#begin(messages, client)
  }

  #begin(messages: readonly Message[], client: string): void {
    const kept: Promise<void>[] = []
    const failures = {
      add: (message: Message, error: SluiceError, step = this.#context.id) => {
        kept.push(keepFailed(this.#context, `in the branch ${this.#name}`, message, error, step))
      },
    }
    const silent = new Map<Source, Source>()
    const own = messages.map((message) => {
      const source = silent.get(message.source) ?? silenced(message.source)
      silent.set(message.source, source)
      return message.from(source)
    })
    const result = this.#flow.run(Batch.of(own), failures)
    if (!(result instanceof Promise) && kept.length === 0) return
    this.#running.set(client, this.#finish(result, kept, client))
  }

  async #finish(result: Batch | Promise<Batch>, kept: readonly Promise<void>[], client: string): Promise<void> {
    try {
      await result
    } catch (thrown) {
      this.#context.log('error', `the branch ${this.#name} broke: ${toSluiceError(thrown, 'internal').message}`)
    }
    await Promise.all(kept)
    this.#running.delete(client)
  }
}

/** As many as there can be connections, unless somebody has more in mind; clients that send and go come on top of those. */
const MOST_RUNS = 10_000

/** The same for all sources of a client, and different in another run of the server, which gives the same ids again. */
function clientOf({ boot, client }: Source): string {
  return `${boot} ${client.id}`
}

/** The run that a message belongs to may have ended and sent its answers when this branch comes to a reply. */
function silenced(source: Source): Source {
  return {
    ...detachedSource(source, 'Name the branch in finishedWhen.', () => source.close()),
    origin: source.origin ?? source,
  }
}
