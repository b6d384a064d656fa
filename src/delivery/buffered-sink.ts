import type { Clock } from '../contracts/clock.ts'
import type { BufferCounters } from '../contracts/counters.ts'
import type { BufferOptions } from '../contracts/delivery.ts'
import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Events } from '../contracts/events.ts'
import { Batch, type Message } from '../contracts/message.ts'
import type { Outcomes, Sink } from '../contracts/sink.ts'
import { createBackoff } from '../util/backoff.ts'
import { formatDuration, formatSize } from '../util/units.ts'
import { type Entry, type FormatOf, type Queue, sizeOf } from './queue.ts'
import { type RetryOptions, realTiming, withRetry } from './retry.ts'

export interface BufferedSinkOptions {
  readonly buffer: BufferOptions
  /** Written here, and read by whoever measures. */
  readonly counters: BufferCounters
  readonly clock: Clock
  readonly events: Events
  readonly formatOf: FormatOf
  /** How the sink behind is tried again; a disk buffer tries without end unless `max` says otherwise. */
  readonly retry: RetryOptions
  /** Whether there is room on the disk beyond what `maxSize` says; asked at most once a second. */
  hasRoom?(): Promise<boolean>
  /** Takes care of messages that could not be delivered: `onError`, else dead letters. Never rejects. */
  settle(failed: readonly { readonly message: Message; readonly error: SluiceError }[]): Promise<void>
}

/**
 * A sink that has finished with a message when its queue has it, and delivers behind that, in order:
 *
 * ```
 *   write ─▶ room? ─▶ queue.add ─▶ finished            queue.take ─▶ sink, tried again ─▶ queue.settle
 *              └── no: wait, drop or error                              └── refused for good ─▶ settle
 * ```
 * A write that waits holds its lane, the lane fills its queue, and then the socket is paused: so a full buffer holds
 * back exactly the senders that feed it.
 */
export class BufferedSink implements Sink {
  readonly #sink: Sink
  readonly #queue: Queue
  readonly #options: BufferedSinkOptions
  /** Aborted when nothing more shall be begun. */
  readonly #closing = new AbortController()
  readonly #signal: AbortSignal
  readonly #delivering: Promise<void>
  /** How many writes were added, and what wakes the delivery when there is another. */
  #added = 0
  #wake: (() => void) | undefined = undefined
  /** The delivery ends when nothing waits. */
  #finishing = false
  /** Settles when a buffer that is full has room again. */
  #emptied: PromiseWithResolvers<void> | undefined = undefined
  /** Bytes of writes that have room and are not in the queue yet. */
  #reserved = 0
  /** When it was last seen whether the disk has room. */
  #lookedAt = Number.NEGATIVE_INFINITY
  #hasRoom = true

  constructor(sink: Sink, queue: Queue, options: BufferedSinkOptions) {
    this.#sink = sink
    this.#queue = queue
    this.#options = options
    this.#signal = AbortSignal.any([options.retry.signal, this.#closing.signal])
    this.#count()
    this.#delivering = this.#deliverAll()
  }

  async write(batch: Batch, over?: AbortSignal): Promise<void | Outcomes> {
    const { buffer, counters } = this.#options
    if (this.#finishing || this.#closing.signal.aborted) throw new SluiceError('sink_failed', 'the sink is closed')
    if (batch.length === 0) return
    const size = sizeOf(batch)
    const signal = over === undefined ? this.#signal : AbortSignal.any([this.#signal, over])
    if (!(await this.#roomFor(size, signal))) {
      if (buffer.whenFull === 'drop') {
        counters.dropped += batch.length
        return
      }
      throw new SluiceError('buffer_full', `the buffer of ${counters.step} is full`, { retryable: true })
    }
    try {
      return await this.#add(batch, signal)
    } finally {
      this.#reserved -= size
      this.#count()
      this.#added++
      this.#wake?.()
    }
  }

  /**
   * Ends, and closes the sink but not the queue. A memory buffer delivers what it has, as long as the server lets it; what
   * a disk buffer has waits for the next start.
   */
  async close(): Promise<void> {
    this.#finishing = true
    if (this.#options.buffer.kind === 'disk') this.#closing.abort()
    this.#wake?.()
    await this.#delivering
    await this.#sink.close()
  }

  /** Stores a batch, for as long as it takes when the reason may pass. Its senders wait meanwhile. */
  async #add(batch: Batch, signal: AbortSignal): Promise<void | Outcomes> {
    const { events, counters, retry } = this.#options
    const backoff = createBackoff({ first: FIRST_WAIT, max: LONGEST_WAIT })
    for (;;) {
      try {
        await this.#queue.add(batch)
        counters.stored += batch.length
        return
      } catch (thrown) {
        const error = toSluiceError(thrown, 'storage_failed')
        if (!error.retryable) return batch.length === 1 ? [error] : this.#addApart(batch, signal)
        if (signal.aborted) throw error
        const retryIn = backoff.next()
        events.emit('buffer.blocked', { step: counters.step, error, retryIn })
        await (retry.timing ?? realTiming).wait(retryIn, signal)
        if (signal.aborted) throw error
      }
    }
  }

  /** One message that cannot be stored must not fail its neighbours. */
  async #addApart(batch: Batch, signal: AbortSignal): Promise<Outcomes> {
    const outcomes: (SluiceError | undefined)[] = []
    for (const message of batch.messages) outcomes.push((await this.#add(Batch.of([message]), signal))?.[0])
    return outcomes
  }

  /** Waits for room where the options say so, and takes it. @returns false when there is none */
  async #roomFor(size: number, signal: AbortSignal): Promise<boolean> {
    const { buffer, counters, events, retry } = this.#options
    await this.#lookAtDisk()
    while (!this.#isRoom()) {
      if (this.#emptied === undefined) {
        this.#emptied = Promise.withResolvers()
        const reason = this.#hasRoom ? `${formatSize(this.#queue.bytes)} wait` : 'the disk is almost full'
        events.emit('buffer.filled', { step: counters.step, whenFull: buffer.whenFull, reason })
      }
      if (buffer.whenFull !== 'wait') return false
      if (signal.aborted) throw new SluiceError('buffer_full', 'the buffer was full for too long')
      await Promise.race([this.#emptied.promise, (retry.timing ?? realTiming).wait(ROOM_MS, signal)])
      await this.#lookAtDisk()
    }
    this.#reserved += size
    return true
  }

  async #lookAtDisk(): Promise<void> {
    const { hasRoom } = this.#options
    const now = performance.now()
    if (hasRoom === undefined || now - this.#lookedAt < ROOM_MS) return
    this.#lookedAt = now
    this.#hasRoom = await hasRoom()
  }

  #isRoom(): boolean {
    const { buffer, counters, events } = this.#options
    // Between the two marks it stays what it is: senders that start and stop with each message would gain nothing.
    const mark = this.#emptied === undefined ? buffer.maxSize : buffer.maxSize * LOW
    const isRoom = this.#hasRoom && this.#queue.bytes + this.#reserved < mark
    if (isRoom && this.#emptied !== undefined) {
      this.#emptied.resolve()
      this.#emptied = undefined
      events.emit('buffer.emptied', { step: counters.step })
    }
    return isRoom
  }

  async #deliverAll(): Promise<void> {
    const release = await this.#queue.read(this.#options.formatOf)
    try {
      while (!this.#signal.aborted) {
        const added = this.#added
        try {
          const entries = await this.#queue.take(MAX_MESSAGES, MAX_BYTES)
          if (entries.length > 0 && !(await this.#deliver(entries))) break
          if (entries.length === 0 && this.#finishing) break
          if (entries.length === 0) await this.#change(added)
        } catch (thrown) {
          await this.#recover(thrown)
        }
      }
    } finally {
      this.#queue.giveBack()
      release()
    }
  }

  /** The queue cannot be read now, or something is not as it should be: nothing was settled, and all of it is tried again. */
  async #recover(thrown: unknown): Promise<void> {
    const { events, counters, retry } = this.#options
    this.#queue.giveBack()
    const error = toSluiceError(thrown, 'internal')
    events.emit('buffer.blocked', { step: counters.step, error, retryIn: LONGEST_WAIT })
    await (retry.timing ?? realTiming).wait(LONGEST_WAIT, this.#signal)
  }

  /** @returns false when the server stops before the entries were dealt with */
  async #deliver(entries: readonly Entry[]): Promise<boolean> {
    const { counters, settle } = this.#options
    const failed = entries.flatMap((entry) => entry.failed)
    const { fresh, expired } = this.#byAge(entries)
    failed.push(...expired)
    const batch = Batch.join(fresh.length === 0 ? [Batch.of([])] : fresh.map((entry) => entry.batch))
    let delivered = 0
    if (batch.length > 0) {
      const outcomes = await this.#write(batch, Math.min(...fresh.map(({ since }) => since)))
      if (this.#signal.aborted && outcomes?.some((error) => error?.retryable)) return false
      const errors = outcomes ?? NO_ERRORS
      delivered = batch.length
      if (outcomes !== undefined) {
        for (const [i, message] of batch.messages.entries()) {
          const error = errors[i]
          if (error === undefined) continue
          failed.push({ message, error })
          delivered--
        }
      }
    }
    if (failed.length > 0) await settle(failed)
    this.#queue.settle(entries)
    counters.delivered += delivered
    counters.failed += failed.length
    this.#count()
    if (this.#emptied !== undefined) this.#isRoom()
    return true
  }

  /** Never rejects. @param since when the oldest of the messages was stored */
  async #write(batch: Batch, since: number): Promise<void | Outcomes> {
    const { buffer, retry, clock } = this.#options
    const left = buffer.maxAge === 0 ? Number.POSITIVE_INFINITY : buffer.maxAge - (clock.now() - since)
    const forMs = buffer.kind === 'memory' ? retry.forMs : left
    return withRetry(this.#sink, { ...retry, forMs, signal: this.#signal }).write(batch)
  }

  #byAge(entries: readonly Entry[]) {
    const { buffer, clock, counters } = this.#options
    if (buffer.maxAge === 0) return { fresh: entries, expired: [] }
    const now = clock.now()
    const isOld = ({ since }: Entry) => now - since > buffer.maxAge
    const text = `waited in the buffer of ${counters.step} for longer than ${formatDuration(buffer.maxAge)}`
    const expired = entries
      .filter(isOld)
      .flatMap(({ batch }) =>
        batch.messages.map((message) => ({ message, error: new SluiceError('buffer_expired', text) })),
      )
    return { fresh: entries.filter((entry) => !isOld(entry)), expired }
  }

  /** Resolves when more than `added` writes were added, or when the end has come. */
  #change(added: number): Promise<void> {
    if (this.#signal.aborted || this.#finishing || this.#added > added) return Promise.resolve()
    return new Promise((resolve) => {
      const wake = () => {
        this.#wake = undefined
        this.#signal.removeEventListener('abort', wake)
        resolve()
      }
      this.#wake = wake
      this.#signal.addEventListener('abort', wake, { once: true })
    })
  }

  #count(): void {
    const { counters } = this.#options
    counters.messages = this.#queue.messages
    counters.bytes = this.#queue.bytes
    counters.oldest = this.#queue.oldest
  }
}

/** So many messages and bytes are delivered in one write. */
const MAX_MESSAGES = 1024
const MAX_BYTES = 1024 * 1024

/** A buffer that was full takes messages again when it has become so empty. */
const LOW = 0.6

/** How often is looked whether the disk has room. */
const ROOM_MS = 1000

const FIRST_WAIT = 50
const LONGEST_WAIT = 1000

const NO_ERRORS: Outcomes = []
