import { Batch } from '../contracts/batch.ts'
import type { Clock } from '../contracts/clock.ts'
import type { BufferOptions } from '../contracts/delivery.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Message } from '../contracts/message.ts'
import type { Outcomes, Sink } from '../contracts/sink.ts'
import { whenStopped } from '../util/signals.ts'
import { formatDuration } from '../util/units.ts'
import { checkOutcomes } from './outcomes.ts'
import { type Entry, type FormatOf, placeOf } from './queue.ts'
import { type RetryOptions, type RetryTiming, withRetry } from './retry.ts'

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

/** What became of an entry. */
export interface Result {
  readonly entry: Entry
  /** The messages of its batch that were not delivered, by their index. */
  readonly undelivered: ReadonlyMap<number, SluiceError>
  /** None of these is to be tried again. */
  readonly isOver: boolean
}

/** All that cannot be delivered of an entry that is over. */
export function failedOf({ entry, undelivered }: Result): readonly Undelivered[] {
  const { id, batch, failed } = entry
  if (failed.length === 0 && undelivered.size === 0) return []
  const refused = Array.from(undelivered, ([i, error]) => ({ message: batch.messages[i]!, error }))
  return [...failed, ...refused].map(({ message, error }) => ({ message, error, entry: id }))
}

/** The places in their entry of the messages that were delivered. */
export function deliveredPlaces({ entry, undelivered }: Result): readonly number[] {
  const indices = Array.from({ length: entry.batch.length }, (_, i) => i)
  return indices.filter((i) => !undelivered.has(i)).map((i) => placeOf(entry, i))
}

/** An entry that is over, and nothing of it was delivered. */
export function allFailed(entry: Entry, error: SluiceError): Result {
  const undelivered = new Map(entry.batch.messages.map((_, i) => [i, error]))
  return { entry, undelivered, isOver: true }
}

export interface DelivererOptions {
  /** Id of the step. */
  readonly step: string
  readonly clock: Clock
  readonly timing: RetryTiming
  /** Aborted when the server stops without waiting any longer. */
  readonly late: AbortSignal
}

/** Takes what has waited to a sink, and says of each message what became of it. */
export class Deliverer {
  readonly #options: DelivererOptions
  /** What the clock said when the time of {@link RetryTiming} began. */
  readonly #began: number

  constructor(options: DelivererOptions) {
    this.#options = options
    this.#began = options.clock.now() - options.timing.now()
  }

  /**
   * Writes all that is not too old in one go, for as long as the delivery says.
   * @param signal aborted when the delivery has ended: what is not delivered by then is left
   * @param onLate told what has become of them after all, when it was not known soon after that
   * @returns the results in the order of the entries
   */
  async deliver(
    entries: readonly Entry[],
    delivery: Delivery,
    signal: AbortSignal,
    onLate: (results: readonly Result[]) => void,
  ): Promise<readonly Result[]> {
    const expired = new Set(entries.filter((entry) => this.#isOld(entry, delivery)))
    const fresh = entries.filter((entry) => !expired.has(entry) && entry.batch.length > 0)
    const [oldest] = fresh
    const batch = Batch.join(fresh.map((entry) => entry.batch))
    const toResults = (outcomes: void | Outcomes): Result[] => {
      let at = 0
      return entries.map((entry) => {
        if (expired.has(entry)) return allFailed(entry, this.#tooOld(delivery))
        const undelivered = refused(entry, outcomes, at)
        at += entry.batch.length
        const isOver = undelivered.size === 0 || !this.#isTriedAgain(entry, undelivered, delivery, signal)
        return { entry, undelivered, isOver }
      })
    }
    if (oldest === undefined) return toResults(undefined)
    const { outcomes, later } = await this.#attempt(batch, oldest.since, delivery, signal)
    void later?.then((told) => onLate(toResults(told)))
    return toResults(outcomes)
  }

  /** Nothing is given up because of an end, nor before its time is over. */
  #isTriedAgain(entry: Entry, undelivered: Result['undelivered'], delivery: Delivery, signal: AbortSignal): boolean {
    if (signal.aborted) return true
    const isRetryable = undelivered.values().some(({ retryable }) => retryable)
    return isRetryable && hasTime(delivery) && !this.#isOld(entry, delivery)
  }

  /**
   * @param since when the oldest of the messages was stored
   * @returns what is known now, and what will be where the delivery has ended meanwhile
   */
  async #attempt(
    batch: Batch,
    since: number,
    { sink, buffer, retry }: Delivery,
    signal: AbortSignal,
  ): Promise<{ outcomes: void | Outcomes; later?: Promise<void | Outcomes> }> {
    const { timing } = this.#options
    const left = buffer.maxAge === 0 ? Number.POSITIVE_INFINITY : buffer.maxAge - this.#ageOf(since)
    const forMs = buffer.kind === 'memory' ? retry.forMs : left
    const delivered = new Set<Message>()
    const tried = withRetry(noting(sink, delivered), { ...retry, timing, forMs, signal })
    const written = Promise.resolve(tried.write(batch, signal))
    const ended = this.#ended(signal)
    try {
      const outcomes = await Promise.race([written, ended.promise])
      if (outcomes !== 'unknown') return { outcomes }
      const known = batch.messages.map((message) => (delivered.has(message) ? undefined : UNKNOWN))
      return { outcomes: known, later: written }
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
    const waits = [signal, late].map((one) => whenStopped(one, wait))
    const forget = () => {
      for (const stop of waits) stop()
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
    const steady = this.#began + this.#options.timing.now()
    return Math.min(steady, this.#options.clock.now()) - since
  }

  #tooOld({ buffer }: Delivery): SluiceError {
    const text = `waited in the buffer of ${this.#options.step} for longer than ${formatDuration(buffer.maxAge)}`
    return new SluiceError('buffer_expired', text)
  }
}

/**
 * Notes what a sink says it has delivered where that is not all, attempt by attempt: it is known also when a later attempt
 * does not come to its end.
 */
function noting(sink: Sink, delivered: Set<Message>): Sink {
  return {
    async write(batch, over) {
      const outcomes = checkOutcomes(await sink.write(batch, over), batch.length)
      if (outcomes === undefined) return
      for (const [i, message] of batch.messages.entries()) if (outcomes[i] === undefined) delivered.add(message)
      return outcomes
    },
    close: () => sink.close(),
  }
}

/** Messages of an entry that were not delivered. @param from which of the outcomes is that of its first */
function refused({ batch }: Entry, outcomes: void | Outcomes, from: number): Result['undelivered'] {
  // Nobody has asked for the messages of frames that were delivered as they are; making them would be for nothing.
  if (!outcomes) return NONE
  const undelivered = new Map<number, SluiceError>()
  for (let i = 0; i < batch.length; i++) if (outcomes[from + i]) undelivered.set(i, outcomes[from + i]!)
  return undelivered
}

/** A message is tried until it is too old, however long those before it have been tried. */
function hasTime({ buffer: { kind, maxAge }, retry: { max } }: Delivery): boolean {
  return kind === 'disk' && maxAge > 0 && max === undefined
}

const NONE: Result['undelivered'] = new Map()

/** Of a message with which nobody knows what became of it; it is not told to anyone. */
const UNKNOWN = new SluiceError('sink_unavailable', 'the delivery ended before this was known', { retryable: true })

/** Milliseconds that an attempt under way has to end when the delivery does, and when the server does not wait any longer. */
const GRACE_MS = 2000
const LATE_GRACE_MS = 200
