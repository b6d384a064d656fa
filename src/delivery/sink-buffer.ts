import { Batch } from '../contracts/batch.ts'
import type { Clock } from '../contracts/clock.ts'
import type { BufferCounters } from '../contracts/counters.ts'
import type { BufferOptions } from '../contracts/delivery.ts'
import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Events } from '../contracts/events.ts'
import { givenUp, type Outcomes } from '../contracts/sink.ts'
import { createBackoff } from '../util/backoff.ts'
import { whenStopped, withEither } from '../util/signals.ts'
import { BufferRoom, LOOK_MS } from './buffer-room.ts'
import { allFailed, Deliverer, type Delivery, deliveredPlaces, failedOf, type Result } from './deliverer.ts'
import { type Entry, MAX_MESSAGES, type Queue, sizeOf } from './queue.ts'
import { type RetryTiming, realTiming } from './retry.ts'

export interface SinkBufferOptions {
  /** Written here, and read by whoever measures. */
  readonly counters: BufferCounters
  readonly clock: Clock
  readonly events: Events
  /** Aborted when the server stops without waiting any longer. */
  readonly late: AbortSignal
  /** Whether there is room on the disk beyond what `maxSize` says; asked once a second, and whenever much has moved. */
  hasRoom?(): Promise<boolean>
  /** Time and chance; a test brings its own. */
  readonly timing?: RetryTiming
}

/**
 * The buffer of one step, for as long as the server runs: its queue, and the one delivery that empties it, in order.
 *
 * ```
 *   write ─▶ room? ─▶ queue.add ─▶ finished            queue.take ─▶ sink, tried again ─▶ queue.settle
 *              └── no: wait, drop or error                              └── refused for good ─▶ settle
 * ```
 * A write that waits holds its lane, the lane fills its queue, and then the socket is paused: so a full buffer holds
 * back exactly the senders that feed it.
 */
export class SinkBuffer {
  readonly counters: BufferCounters
  readonly #queue: Queue
  readonly #options: SinkBufferOptions
  readonly #timing: RetryTiming
  readonly #deliverer: Deliverer
  /** Where to deliver to now; undefined before the first, and behind the last. */
  #delivery: Delivery | undefined = undefined
  /** Aborted when the delivery is another, or none. */
  #current = new AbortController()
  /** Aborted when what waits on disk is left there. */
  #leaving = new AbortController()
  /** Settles when the delivery has ended, for good or until the next. */
  #delivering: Promise<void> | undefined = undefined
  /** When each delivery has ended. */
  readonly #ends = new WeakMap<Delivery, Promise<void>>()
  /** What wakes the delivery when something was added. */
  #wake: (() => void) | undefined = undefined
  #added = 0
  /** The delivery ends when nothing waits. */
  #finishing = false
  readonly #room: BufferRoom

  constructor(queue: Queue, options: SinkBufferOptions) {
    this.#queue = queue
    this.#options = options
    this.counters = options.counters
    this.#timing = options.timing ?? realTiming
    const { clock, late } = options
    this.#deliverer = new Deliverer({ step: options.counters.step, clock, late, timing: this.#timing })
    this.#room = new BufferRoom(queue, options.counters, options.events, options.hasRoom)
  }

  /**
   * Stores a batch. Finished when the queue has it.
   * @param over aborted when nobody waits for it any more
   */
  async write(batch: Batch, options: BufferOptions, over?: AbortSignal): Promise<void | Outcomes> {
    if (batch.length === 0) return
    return withEither(this.#options.late, over, (signal) => this.#write(batch, options, signal, over))
  }

  /** @param signal aborted with `over`, or when the server stops without waiting any longer */
  async #write(
    batch: Batch,
    options: BufferOptions,
    signal: AbortSignal,
    over: AbortSignal | undefined,
  ): Promise<void | Outcomes> {
    const size = sizeOf(batch)
    while (!(await this.#room.reserve(size, options))) {
      if (options.whenFull === 'drop') {
        this.counters.dropped += batch.length
        return
      }
      if (options.whenFull === 'error' || signal.aborted) {
        throw new SluiceError('buffer_full', `the buffer of ${this.counters.step} is full`, { retryable: true })
      }
      await this.#room.emptied(this.#timing.wait(LOOK_MS, signal))
    }
    try {
      // Whoever waited for it has been told that it failed, and what came behind it may be stored already.
      if (over?.aborted) throw givenUp()
      return await this.#add(batch, signal)
    } finally {
      this.#room.release(size)
      this.#added++
      this.#count()
      this.#wake?.()
    }
  }

  /** Delivers there from now on. An attempt under way elsewhere has a little time to end. */
  use(delivery: Delivery): void {
    this.#current.abort()
    this.#current = new AbortController()
    this.#delivery = delivery
    this.#finishing = false
    const before = this.#delivering ?? Promise.resolve()
    const { late } = this.#options
    if (this.#leaving.signal.aborted) this.#leaving = new AbortController()
    // What was refused is taken care of to its end, whatever delivery comes next.
    const until = AbortSignal.any([this.#leaving.signal, late])
    const signal = AbortSignal.any([this.#current.signal, late])
    this.#delivering = before.then(() => this.#deliverAll(delivery, signal, until))
    this.#ends.set(delivery, this.#delivering)
    this.#count()
  }

  /**
   * A delivery goes, when what it has in hand has come to its end. When it is the one in use, a memory buffer delivers what
   * it has, as long as the server lets it, and gives up the rest; what a disk buffer has waits for the next start.
   */
  async leave(delivery: Delivery): Promise<void> {
    if (this.#delivery !== delivery) return this.#ends.get(delivery)
    this.#delivery = undefined
    if (delivery.buffer.kind === 'disk') {
      this.#current.abort()
      this.#leaving.abort()
    }
    this.#finishing = true
    this.#wake?.()
    if (delivery.buffer.kind === 'memory') this.#delivering = this.#delivering?.then(() => this.#giveUpRest(delivery))
    await this.#delivering
    if (this.#delivery !== undefined) return
    this.#current.abort()
    this.#leaving.abort()
  }

  /** Stores a batch, for as long as it takes when the reason may pass. Its senders wait meanwhile. */
  async #add(batch: Batch, signal: AbortSignal): Promise<void | Outcomes> {
    const { events } = this.#options
    const backoff = createBackoff({ first: FIRST_WAIT, max: LONGEST_WAIT })
    for (;;) {
      try {
        await this.#queue.add(batch)
        this.counters.stored += batch.length
        return
      } catch (thrown) {
        const error = toSluiceError(thrown, 'storage_failed')
        if (!error.retryable) return batch.length === 1 ? [error] : this.#addApart(batch, signal)
        if (signal.aborted) throw error
        const retryIn = backoff.next()
        events.emit('buffer.blocked', { step: this.counters.step, error, retryIn })
        await this.#timing.wait(retryIn, signal)
        if (signal.aborted) throw error
      }
    }
  }

  /** One message that cannot be stored must not fail its neighbours. When nobody waits any more, the rest is not stored. */
  async #addApart(batch: Batch, signal: AbortSignal): Promise<Outcomes> {
    const outcomes: (SluiceError | undefined)[] = []
    const text = `the buffer of ${this.counters.step} had no time left to store it`
    for (const message of batch.messages) {
      if (signal.aborted) {
        outcomes.push(new SluiceError('sink_unavailable', text, { retryable: true }))
        continue
      }
      const stored = this.#add(Batch.of([message]), signal).catch((thrown): Outcomes => [toSluiceError(thrown)])
      outcomes.push((await stored)?.[0])
    }
    return outcomes
  }

  async #deliverAll(delivery: Delivery, signal: AbortSignal, until: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const added = this.#added
      try {
        const { suspects } = this.#queue
        const entries = await this.#queue.take(suspects ? 1 : MAX_MESSAGES, MAX_BYTES, delivery.formatOf)
        const [first] = entries
        this.#count()
        const guarded = suspects && first ? { ...delivery, sink: suspects.guard(delivery.sink, first) } : delivery
        if (first !== undefined) await this.#deliver(entries, guarded, signal, until)
        else if (this.#finishing) break
        else await this.#change(added, signal)
      } catch (thrown) {
        // The queue cannot be read now, or something is not as it should be. What was not settled is tried again.
        const error = toSluiceError(thrown, 'internal')
        this.#queue.giveBack()
        this.#options.events.emit('buffer.blocked', { step: this.counters.step, error, retryIn: LONGEST_WAIT })
        await this.#timing.wait(LONGEST_WAIT, signal)
      }
    }
    this.#queue.giveBack()
  }

  /** Delivers entries and settles those, from the first on, of which every message is dealt with. */
  async #deliver(
    entries: readonly Entry[],
    delivery: Delivery,
    signal: AbortSignal,
    until: AbortSignal,
  ): Promise<void> {
    const onLate = (late: readonly Result[]) => {
      // Another delivery has them again.
      if (this.#delivery === undefined) this.#note(late)
    }
    const results = await this.#deliverer.deliver(entries, delivery, signal, onLate)
    const open = results.findIndex(({ isOver }) => !isOver)
    const over = open === -1 ? results : results.slice(0, open)
    const failed = over.flatMap(failedOf)
    const unkept = failed.length === 0 ? undefined : await delivery.settle(failed, until)
    const done = unkept === undefined ? over : over.filter(({ entry }) => entry.id < unkept)
    const before = this.#queue.bytes
    if (done.length > 0) this.#queue.settle(done.at(-1)!.entry.id)
    this.#note(results.slice(done.length))
    if (done.length < results.length) this.#queue.giveBack()
    for (const { entry, undelivered } of done) {
      this.counters.delivered += entry.batch.length - undelivered.size
      this.counters.failed += entry.failed.length + undelivered.size
    }
    this.#count()
    await this.#room.freed(before - this.#queue.bytes, delivery.buffer)
    if (unkept !== undefined) await this.#timing.wait(LONGEST_WAIT, signal)
  }

  /** What is given again must not be delivered again as far as it is delivered. */
  #note(results: readonly Result[]): void {
    for (const result of results) {
      this.counters.delivered += this.#queue.note(result.entry.id, deliveredPlaces(result))
    }
    this.#count()
  }

  /** What memory cannot deliver before the end must not vanish without a word. */
  async #giveUpRest(delivery: Delivery): Promise<void> {
    const text = `the server stopped before ${this.counters.step} could deliver it`
    const signal = this.#options.late
    // Another that has come meanwhile gets it.
    while (this.#delivery === undefined) {
      const entries = await this.#queue.take(MAX_MESSAGES, MAX_BYTES, delivery.formatOf)
      if (entries.length === 0) return
      const error = new SluiceError('sink_unavailable', text)
      const failed = entries.flatMap((entry) => failedOf(allFailed(entry, error)))
      await delivery.settle(failed, signal)
      this.#queue.settle(entries.at(-1)!.id)
      this.counters.failed += failed.length
      this.#count()
    }
  }

  /** Resolves when more than `added` writes were added, or when the end has come. */
  #change(added: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted || this.#finishing || this.#added > added) return Promise.resolve()
    return new Promise((resolve) => {
      const wake = () => {
        this.#wake = undefined
        forget()
        resolve()
      }
      this.#wake = wake
      const forget = whenStopped(signal, wake)
    })
  }

  #count(): void {
    this.counters.messages = this.#queue.messages
    this.counters.bytes = this.#queue.bytes
    this.counters.oldest = this.#queue.oldest
  }
}

/** So many bytes are delivered in one write. */
const MAX_BYTES = 1024 * 1024

const FIRST_WAIT = 50
const LONGEST_WAIT = 1000
