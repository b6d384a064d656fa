import { contentText } from '../contracts/codec.ts'
import type { PartContext } from '../contracts/context.ts'
import { toSluiceError } from '../contracts/errors.ts'
import { Batch, type Dataflow, type Failures, type Message } from '../contracts/message.ts'
import type { Expression } from '../contracts/schema.ts'
import type { Step } from '../contracts/step.ts'
import { Emitter } from './emitter.ts'

/** What is made of the messages with one key. */
export interface Bucket {
  /** How much is held. */
  readonly size: number
  /**
   * Takes a message.
   * @returns whether it is complete now
   * @throws what fails this message; the bucket is as before then
   */
  add(message: Message): boolean
  /** What is sent on. @param key what `per` gave; undefined without it */
  value(key: unknown): unknown
}

/** When buckets are complete, besides what they say themselves. */
export interface Holding {
  readonly per: Expression | undefined
  /** Milliseconds; undefined for no time. */
  readonly every: number | undefined
  /** All buckets end at multiples of `every`: at full minutes, say. Else each ends so long after its first message. */
  readonly aligned: boolean
  /** Most that is held in all buckets together; beyond it the oldest bucket is sent on. */
  readonly max: number
  open(): Bucket
}

/**
 * A step that keeps messages in buckets, one for each key. A message is settled when it is in its bucket; a bucket is sent on
 * when it is complete, or when the server stops or takes another configuration.
 */
export class Holder implements Step {
  readonly #holding: Holding
  readonly #context: PartContext
  /** In the order in which they were opened, which is that in which they end. */
  readonly #open = new Map<string, Open>()
  #held = 0
  #timer: NodeJS.Timeout | undefined = undefined
  #way: { readonly emitter: Emitter; readonly rest: Dataflow } | undefined = undefined

  constructor(holding: Holding, context: PartContext) {
    this.#holding = holding
    this.#context = context
  }

  runAround({ messages }: Batch, rest: Dataflow, failures: Failures): Batch | Promise<Batch> {
    if (messages.length === 0) return NOTHING
    this.#way ??= { emitter: new Emitter(this.#context, messages[0]!.source.boot), rest }
    for (const message of messages) {
      try {
        this.#take(message)
      } catch (thrown) {
        failures.add(message, toSluiceError(thrown))
      }
    }
    this.#arm()
    const { emitter } = this.#way
    // Where the steps behind are slow, those who send have to wait.
    return emitter.waiting > MAX_WAITING ? emitter.idle().then(() => NOTHING) : NOTHING
  }

  async flush(): Promise<void> {
    clearTimeout(this.#timer)
    for (const id of [...this.#open.keys()]) this.#emit(id)
    await this.#way?.emitter.idle()
  }

  #take(message: Message): void {
    // That a client came or went is no message.
    if (message.event === 'connect' || message.event === 'disconnect') return
    const { per, open } = this.#holding
    const key = per?.(message)
    const id = per === undefined ? '' : contentText(key).toString('latin1')
    const now = this.#context.clock.elapsed()
    // The timer may be late.
    if ((this.#open.get(id)?.ends ?? now + 1) <= now) this.#emit(id)
    const one = this.#open.get(id) ?? { bucket: open(), key, ends: this.#endFrom(now) }
    const before = one.bucket.size
    const isComplete = one.bucket.add(message)
    if (!this.#open.has(id)) {
      this.#open.set(id, one)
      this.#held += one.bucket.size
    } else this.#held += one.bucket.size - before
    if (isComplete) this.#emit(id)
    while (this.#held > this.#holding.max) this.#emit(this.#open.keys().next().value!)
  }

  #endFrom(now: number): number {
    const { every, aligned } = this.#holding
    if (every === undefined) return Number.POSITIVE_INFINITY
    return now + every - (aligned ? this.#context.clock.now() % every : 0)
  }

  #emit(id: string): void {
    const { bucket, key } = this.#open.get(id)!
    this.#open.delete(id)
    this.#held -= bucket.size
    const { emitter, rest } = this.#way!
    emitter.emit(bucket.value(key), rest)
  }

  /** Sets the timer for the bucket that ends first. */
  #arm(): void {
    const [first] = this.#open.values()
    if (this.#timer !== undefined || first === undefined || first.ends === Number.POSITIVE_INFINITY) return
    const left = Math.max(1, Math.ceil(first.ends - this.#context.clock.elapsed()))
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      const now = this.#context.clock.elapsed()
      for (const [id, { ends }] of this.#open) {
        if (ends > now) break
        this.#emit(id)
      }
      this.#arm()
    }, left)
    this.#timer.unref()
  }
}

interface Open {
  readonly bucket: Bucket
  readonly key: unknown
  /** In the time of `clock.elapsed`. */
  readonly ends: number
}

/** Most messages that may wait for the steps behind. */
const MAX_WAITING = 10_000

const NOTHING = Batch.of([])
