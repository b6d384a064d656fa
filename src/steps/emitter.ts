import { Batch } from '../contracts/batch.ts'
import type { PartContext } from '../contracts/context.ts'
import type { Dataflow } from '../contracts/dataflow.ts'
import { detachedSource, noClient } from '../contracts/detached-source.ts'
import { type SluiceError, toSluiceError } from '../contracts/errors.ts'
import { Message, type Source } from '../contracts/message.ts'
import { Turns } from '../util/turns.ts'
import { keepFailed } from './keep-failed.ts'

/**
 * The lane of what a step makes of many messages: new messages without a connection (`event == "timer"`), one run through
 * the steps behind at a time. What fails there, and has no `onError` of its step, is kept in the dead letters.
 */
export class Emitter {
  readonly #context: PartContext
  readonly #source: Source
  readonly #rest: () => Dataflow
  #sequence = 0
  #waiting: Emitted[] = []
  #bytes = 0
  readonly #turns = new Turns()
  /** Settles when nothing waits and nothing runs; undefined then. Never rejects. */
  #work: Promise<void> | undefined = undefined

  /**
   * @param boot of the server's run, as the messages that are held have it
   * @param rest the steps behind, asked for at each run
   */
  constructor(context: PartContext, boot: string, rest: () => Dataflow) {
    const { endpoint, clock } = context
    const client = noClient(endpoint, clock.now())
    this.#context = context
    this.#rest = rest
    this.#source = detachedSource(
      { client, boot, endpoint, clock, state: {} },
      'Put the reply before the step that holds.',
    )
  }

  /** How many messages wait for the run that is under way. */
  get waiting(): number {
    return this.#waiting.length
  }

  /** Bytes of memory that those take, about, and those that are in the run. */
  get bytes(): number {
    return this.#bytes
  }

  /** Takes a message through the steps behind, after those that wait. @param bytes that its value takes */
  emit(value: unknown, bytes: number): void {
    const { clock } = this.#context
    const extras = { givenKey: `${this.#context.id}-${clock.uuid()}` }
    const args = [NO_BYTES, 0, 0, undefined, extras] as const
    const message = new Message(value, this.#source, 'timer', clock.now(), ++this.#sequence, ...args)
    this.#waiting.push({ message, bytes })
    this.#bytes += bytes
    this.#work ??= this.#runAll()
  }

  /** Resolves when nothing waits and nothing runs. */
  async idle(): Promise<void> {
    await this.#work
  }

  async #runAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      // What is made in one turn goes together, and after each batch it is the turn of others.
      await this.#turns.next()
      const emitted = this.#waiting.splice(0, MAX_BATCH)
      await this.#run(Batch.of(emitted.map(({ message }) => message)))
      for (const { bytes } of emitted) this.#bytes -= bytes
    }
    this.#work = undefined
  }

  async #run(batch: Batch): Promise<void> {
    const kept: Promise<void>[] = []
    const { id } = this.#context
    const add = (message: Message, error: SluiceError, step = id) => {
      kept.push(keepFailed(this.#context, `behind ${id}`, message, error, step))
    }
    try {
      await this.#rest().run(batch, { add })
    } catch (thrown) {
      for (const message of batch.messages) add(message, toSluiceError(thrown, 'internal'))
    }
    await Promise.all(kept)
  }
}

interface Emitted {
  readonly message: Message
  readonly bytes: number
}

/** Most messages of one run. */
const MAX_BATCH = 1000

const NO_BYTES = Buffer.alloc(0)
