import type { Clock } from '../contracts/clock.ts'
import type { BufferCounters } from '../contracts/counters.ts'
import type { BufferOptions } from '../contracts/delivery.ts'
import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Events } from '../contracts/events.ts'
import { Batch, type Message } from '../contracts/message.ts'
import type { Outcomes, Sink } from '../contracts/sink.ts'
import { createBackoff } from '../util/backoff.ts'
import { formatDuration } from '../util/units.ts'
import { BufferRoom, LOOK_MS } from './buffer-room.ts'
import { type Entry, type FormatOf, MAX_MESSAGES, type Queue, sizeOf } from './queue.ts'
import { type RetryOptions, type RetryTiming, realTiming, withRetry } from './retry.ts'

/** A message that could not be delivered. */
export interface Undelivered {
  readonly message: Message
  readonly error: SluiceError
  /** Id of the entry in which it has waited. */
  readonly entry: number
}

/** Where a buffer delivers to, and how. A reload puts another in its place. */
export interface Delivery {
  readonly sink: Sink
  readonly buffer: BufferOptions
  /** How the sink is tried again; a disk buffer tries without end unless `max` says otherwise. */
  readonly retry: Omit<RetryOptions, 'signal'>
  readonly formatOf: FormatOf
  /**
   * Takes care of messages that could not be delivered: `onError`, else dead letters.
   * @param until aborted when it may take no longer
   * @returns the first entry of which something could not be taken care of by then, and is to be kept; undefined for none
   */
  settle(failed: readonly Undelivered[], until: AbortSignal): Promise<number | undefined>
}

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
  /** What the clock said when the time of {@link RetryTiming} began. */
  readonly #began: number
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
    this.#began = options.clock.now() - this.#timing.now()
    this.#room = new BufferRoom(queue, options.counters, options.events, options.hasRoom)
  }

  /**
   * Stores a batch. Finished when the queue has it.
   * @param over aborted when nobody waits for it any more
   */
  async write(batch: Batch, options: BufferOptions, over?: AbortSignal): Promise<void | Outcomes> {
    if (batch.length === 0) return
    const { late } = this.#options
    const size = sizeOf(batch)
    const signal = over === undefined ? late : AbortSignal.any([late, over])
    while (!(await this.#room.reserve(size, options))) {
      if (options.whenFull === 'drop') {
        this.counters.dropped += batch.length
        return
      }
      if (options.whenFull === 'error' || signal.aborted) {
        throw new SluiceError('buffer_full', `the buffer of ${this.counters.step} is full`, { retryable: true })
      }
      await Promise.race([this.#room.emptied, this.#timing.wait(LOOK_MS, signal)])
    }
    try {
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
   * A delivery goes, when what it has in hand has come to its end. When it is the one in use, a memory buffer delivers what it has, as long as the server lets it, and
   * gives up the rest; what a disk buffer has waits for the next start.
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
    const expired = new Set(entries.filter((entry) => this.#isOld(entry, delivery)))
    const fresh = entries.filter((entry) => !expired.has(entry))
    const batch = fresh.length === 0 ? Batch.of([]) : Batch.join(fresh.map((entry) => entry.batch))
    const outcomes = batch.length === 0 ? undefined : await this.#attempt(batch, fresh[0]!.since, delivery, signal)
    if (outcomes === 'unknown') return this.#queue.giveBack()
    let at = 0
    const ended: Ended[] = []
    for (const entry of entries) {
      const isFresh = !expired.has(entry)
      const isOld = this.#isOld(entry, delivery)
      const undelivered = isFresh ? refused(entry, outcomes, at) : this.#expire(entry, delivery)
      at += isFresh ? entry.batch.length : 0
      // This and what is behind it is tried again: nothing is given up because of an end, nor before its time is over.
      if (isFresh && undelivered.length > 0 && signal.aborted) break
      if (!isOld && hasTime(delivery) && undelivered.some(({ error }) => error.retryable)) break
      const failed = [...entry.failed, ...undelivered].map((one) => ({ ...one, entry: entry.id }))
      ended.push({ id: entry.id, failed, delivered: entry.batch.length - undelivered.length })
    }
    const failed = ended.flatMap((one) => one.failed)
    const unkept = failed.length === 0 ? undefined : await delivery.settle(failed, until)
    const done = unkept === undefined ? ended : ended.filter(({ id }) => id < unkept)
    const before = this.#queue.bytes
    if (done.length > 0) this.#queue.settle(done.at(-1)!.id)
    if (done.length < entries.length) this.#queue.giveBack()
    for (const one of done) {
      this.counters.delivered += one.delivered
      this.counters.failed += one.failed.length
    }
    this.#count()
    await this.#room.freed(before - this.#queue.bytes, delivery.buffer)
    if (unkept !== undefined) await this.#timing.wait(LONGEST_WAIT, signal)
  }

  /**
   * Writes for as long as the delivery says.
   * @param since when the oldest of the messages was stored
   * @returns `unknown` when the delivery has ended meanwhile and it is not known what was delivered
   */
  async #attempt(batch: Batch, since: number, { sink, buffer, retry }: Delivery, signal: AbortSignal) {
    const left = buffer.maxAge === 0 ? Number.POSITIVE_INFINITY : buffer.maxAge - this.#ageOf(since)
    const forMs = buffer.kind === 'memory' ? retry.forMs : left
    const written = withRetry(sink, { ...retry, timing: this.#timing, forMs, signal }).write(batch, signal)
    const ended = this.#ended(signal)
    try {
      return await Promise.race([written, ended.promise])
    } finally {
      ended.forget()
    }
  }

  /** Resolves some time after the end of a delivery: an attempt that is under way may still tell what became of it. */
  #ended(signal: AbortSignal) {
    const { promise, resolve } = Promise.withResolvers<'unknown'>()
    const { late } = this.#options
    let timer: NodeJS.Timeout | undefined
    const wait = () => {
      clearTimeout(timer)
      timer = setTimeout(() => resolve('unknown'), late.aborted ? LATE_GRACE_MS : GRACE_MS)
    }
    if (signal.aborted) wait()
    signal.addEventListener('abort', wait, { once: true })
    late.addEventListener('abort', wait, { once: true })
    const forget = () => {
      signal.removeEventListener('abort', wait)
      late.removeEventListener('abort', wait)
      clearTimeout(timer)
    }
    return { promise, forget }
  }

  #isOld({ since }: Entry, { buffer: { maxAge } }: Delivery): boolean {
    return maxAge > 0 && this.#ageOf(since) >= maxAge
  }

  /**
   * Milliseconds since then, or fewer: when the clock of the machine is set while something waits, by hours and in either
   * direction, nothing is given up too early.
   */
  #ageOf(since: number): number {
    const steady = this.#began + this.#timing.now()
    return Math.min(steady, this.#options.clock.now()) - since
  }

  #expire({ batch }: Entry, { buffer }: Delivery): Entry['failed'] {
    const text = `waited in the buffer of ${this.counters.step} for longer than ${formatDuration(buffer.maxAge)}`
    return batch.messages.map((message) => ({ message, error: new SluiceError('buffer_expired', text) }))
  }

  /** What memory cannot deliver before the end must not vanish without a word. */
  async #giveUpRest(delivery: Delivery): Promise<void> {
    const text = `the server stopped before ${this.counters.step} could deliver it`
    const signal = this.#options.late
    // Another that has come meanwhile gets it.
    while (this.#delivery === undefined) {
      const entries = await this.#queue.take(MAX_MESSAGES, MAX_BYTES, delivery.formatOf)
      if (entries.length === 0) return
      const failed = entries.flatMap(({ id, batch, failed: unreadable }) =>
        [
          ...unreadable,
          ...batch.messages.map((message) => ({ message, error: new SluiceError('sink_unavailable', text) })),
        ].map((one) => ({ ...one, entry: id })),
      )
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
        signal.removeEventListener('abort', wake)
        resolve()
      }
      this.#wake = wake
      signal.addEventListener('abort', wake, { once: true })
    })
  }

  #count(): void {
    this.counters.messages = this.#queue.messages
    this.counters.bytes = this.#queue.bytes
    this.counters.oldest = this.#queue.oldest
  }
}

/** An entry of which every message was delivered, or is not to be tried again. */
interface Ended {
  readonly id: number
  readonly failed: readonly Undelivered[]
  readonly delivered: number
}

/** Messages of an entry that were not delivered. @param from which of the outcomes is that of its first */
function refused({ batch }: Entry, outcomes: void | Outcomes, from: number): Entry['failed'] {
  // Nobody has asked for the messages of frames that were delivered as they are; making them would be for nothing.
  if (!outcomes) return []
  return batch.messages.flatMap((message, i) => (outcomes[from + i] ? [{ message, error: outcomes[from + i]! }] : []))
}

/** A message is tried until it is too old, however long those before it have been tried. */
function hasTime({ buffer: { kind, maxAge }, retry: { max } }: Delivery): boolean {
  return kind === 'disk' && maxAge > 0 && max === undefined
}

/** So many bytes are delivered in one write. */
const MAX_BYTES = 1024 * 1024

/** Milliseconds that an attempt under way has to end when the delivery does, and when the server does not wait any longer. */
const GRACE_MS = 2000
const LATE_GRACE_MS = 200

const FIRST_WAIT = 50
const LONGEST_WAIT = 1000
