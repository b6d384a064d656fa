import { Batch } from '../contracts/batch.ts'
import { contentText } from '../contracts/codec.ts'
import type { PartContext, Shared } from '../contracts/context.ts'
import type { Dataflow, Failures } from '../contracts/dataflow.ts'
import { toSluiceError } from '../contracts/errors.ts'
import type { Message } from '../contracts/message.ts'
import { type Expression, size } from '../contracts/schema.ts'
import type { Step } from '../contracts/step.ts'
import { keptKey } from '../util/kept-key.ts'
import { ownText } from '../util/kept-value.ts'
import { Emitter } from './emitter.ts'
import { identityOf } from './identity.ts'

/** What is made of the messages with one key. */
export interface Bucket {
  /** How much is held, as `Holding.max` counts it. */
  readonly size: number
  /** Bytes of memory that it takes, about. */
  readonly bytes: number
  /**
   * Takes a message.
   * @returns whether it is complete now
   * @throws what fails this message; the bucket is as before then
   */
  add(message: Message): boolean
  /** What is sent on. */
  value(): unknown
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
  /** The same in bytes. As many may wait for the steps behind; beyond it who sends has to wait. */
  readonly maxSize: number
  /** @param key what `per` gives for the message that is its first; undefined without it */
  open(key: unknown, first: Message): Bucket
}

/** What holders have in common. */
export const holderOptions = {
  maxSize: size()
    .prefault('64MiB')
    .describe(
      'Most bytes of memory, about, that are held; beyond it the oldest ends early. As much may wait for the steps behind, then senders wait. Default: 64MiB.',
    ),
}

/**
 * A step that keeps messages in buckets, one for each key. A message is settled when it is in its bucket; a bucket is sent on
 * when it is complete, or when the server stops. A reload that leaves the step as it is leaves its buckets too: the step
 * before the reload and the one after it have them together for a while.
 */
export class Holder implements Step {
  readonly #shared: Shared<Buckets>

  /** @param options of the step: it is the same as before where they and its place are the same */
  constructor(holding: Holding, options: unknown, context: PartContext) {
    this.#shared = context.share(`held ${identityOf(options, context)}`, () => new Buckets(holding, context))
  }

  attach(rest: Dataflow): void {
    this.#shared.value.ways.set(this, rest)
  }

  runAround(batch: Batch, _rest: Dataflow, failures: Failures): Batch | Promise<Batch> {
    return this.#shared.value.take(batch, failures)
  }

  async flush(): Promise<void> {
    const { ways } = this.#shared.value
    // Where another step has the buckets too, that one goes on with them.
    if (ways.size > 1) ways.delete(this)
    else if (ways.has(this)) this.#shared.value.emitAll()
    await this.#shared.value.idle()
    ways.delete(this)
    await this.#shared.release()
  }
}

class Buckets {
  /** What stands behind those who have these buckets. The last one is in force. */
  readonly ways = new Map<Holder, Dataflow>()
  readonly #holding: Holding
  readonly #context: PartContext
  /** In the order in which they were opened, which is that in which they end. */
  readonly #open = new Map<string, Open>()
  #held = 0
  #bytes = 0
  #timer: NodeJS.Timeout | undefined = undefined
  #emitter: Emitter | undefined = undefined

  constructor(holding: Holding, context: PartContext) {
    this.#holding = holding
    this.#context = context
  }

  take({ messages }: Batch, failures: Failures): Batch | Promise<Batch> {
    if (messages.length === 0) return NOTHING
    this.#emitter ??= new Emitter(this.#context, messages[0]!.source.boot, () => [...this.ways.values()].at(-1)!)
    for (const message of messages) {
      try {
        this.#take(message)
      } catch (thrown) {
        failures.add(message, toSluiceError(thrown))
      }
    }
    this.#arm()
    const emitter = this.#emitter
    // Where the steps behind are slow, those who send have to wait.
    const isBehind = emitter.waiting > MAX_WAITING || emitter.bytes > this.#holding.maxSize
    return isBehind ? emitter.idle().then(() => NOTHING) : NOTHING
  }

  emitAll(): void {
    for (const id of [...this.#open.keys()]) this.#emit(id)
  }

  /** Resolves when all that was sent on has come to its end. */
  async idle(): Promise<void> {
    await this.#emitter?.idle()
  }

  close(): void {
    clearTimeout(this.#timer)
  }

  #take(message: Message): void {
    // That a client came or went is no message.
    if (message.event === 'connect' || message.event === 'disconnect') return
    const { per, open, max, maxSize } = this.#holding
    const key = per?.(message)
    const id = per === undefined ? '' : keptKey(contentText(key).toString('latin1'))
    const now = this.#context.clock.elapsed()
    // The timer may be late.
    if ((this.#open.get(id)?.ends ?? now + 1) <= now) this.#emit(id)
    const known = this.#open.get(id)
    const bucket = known?.bucket ?? open(key, message)
    const [size, bytes] = known === undefined ? [0, 0] : [bucket.size, bucket.bytes]
    const isComplete = bucket.add(message)
    if (known === undefined) this.#open.set(ownText(id), { bucket, ends: this.#endFrom(now) })
    this.#held += bucket.size - size
    this.#bytes += bucket.bytes - bytes
    if (isComplete) this.#emit(id)
    while (this.#held > max || this.#bytes > maxSize) this.#emit(this.#open.keys().next().value!)
  }

  #endFrom(now: number): number {
    const { every, aligned } = this.#holding
    if (every === undefined) return Number.POSITIVE_INFINITY
    return now + every - (aligned ? this.#context.clock.now() % every : 0)
  }

  #emit(id: string): void {
    const { bucket } = this.#open.get(id)!
    this.#open.delete(id)
    this.#held -= bucket.size
    this.#bytes -= bucket.bytes
    this.#emitter!.emit(bucket.value(), bucket.bytes)
  }

  /** Sets the timer for the bucket that ends first. */
  #arm(): void {
    const [first] = this.#open.values()
    if (this.#timer !== undefined || first === undefined || first.ends === Number.POSITIVE_INFINITY) return
    const wait = Math.max(1, Math.ceil(first.ends - this.#context.clock.elapsed()))
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      const now = this.#context.clock.elapsed()
      let left = MAX_EMITTED
      for (const [id, { ends }] of this.#open) {
        if (ends > now || left-- === 0) break
        this.#emit(id)
      }
      this.#arm()
    }, wait)
    this.#timer.unref()
  }
}

interface Open {
  readonly bucket: Bucket
  /** In the time of `clock.elapsed`. */
  readonly ends: number
}

/** Most that end in one turn of the event loop; the others have theirs a millisecond later. */
const MAX_EMITTED = 5000

/** Most messages that may wait for the steps behind. */
const MAX_WAITING = 10_000

const NOTHING = Batch.of([])
