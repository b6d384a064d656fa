import type { DeadLetterCounters } from '../contracts/counters.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Events } from '../contracts/events.ts'
import type { Database } from '../contracts/storage.ts'
import { whenAborted } from '../util/signals.ts'
import { TOTALS } from './dead-letter-rows.ts'
import type { RetryTiming } from './retry.ts'

/** The bounds of the dead letters. */
export interface DeadLetterBounds {
  /** Most bytes; above that what fails waits. */
  readonly maxSize: number
  /** Milliseconds after which a dead letter is removed; 0 for never. */
  readonly maxAge: number
}

interface RoomOptions extends DeadLetterBounds {
  readonly events: Pick<Events, 'emit'>
  readonly timing: RetryTiming
  /** Ends every wait. */
  readonly signal: AbortSignal
  /** Milliseconds since 1970. */
  now(): number
}

/**
 * Room for dead letters. It is counted here as they come, and looked up in the file now and then, because others bring some
 * and take some away: the other workers, `sluice dead drop`, a second server. What is stored is bounded by the file itself.
 */
export class DeadLetterRoom {
  readonly counters: DeadLetterCounters = { letters: 0, bytes: 0, oldest: 0, expired: 0 }
  readonly #options: RoomOptions
  /** Bytes that have room and are not in the file yet, and how many letters that are. */
  #reserved = 0
  #onTheWay = 0
  /** How many letters were stored; tells a look whether one came in between. */
  #stored = 0
  /** It is not known whether the last look saw what was just being stored. */
  #isUnsure = false
  /** The wait before the next look; all who wait for room share it. */
  #look: Promise<void> | undefined = undefined
  #isFull = false

  constructor(options: RoomOptions) {
    this.#options = options
  }

  /**
   * Waits until there is room, and takes it.
   * @param signal ends the wait
   * @throws SluiceError `storage_failed` when the wait was ended
   */
  async take(database: Database, size: number, signal: AbortSignal): Promise<void> {
    const { maxSize, events } = this.#options
    while (this.counters.bytes + this.#reserved >= maxSize) {
      if (signal.aborted) {
        throw new SluiceError('storage_failed', 'the server stopped while the dead letters were full')
      }
      if (!this.#isFull) {
        this.#isFull = true
        const { letters, bytes } = this.counters
        events.emit('deadLetters.filled', { letters, bytes, maxSize })
      }
      this.#look ??= this.#lookAgain(database)
      const { promise, resolve } = Promise.withResolvers<void>()
      const forget = whenAborted(signal, resolve)
      await Promise.race([this.#look, promise])
      forget()
    }
    this.#reserved += size
    this.#onTheWay++
    if (!this.#isFull) return
    this.#isFull = false
    events.emit('deadLetters.emptied', {})
  }

  /** Gives back what was taken. @param stored it is in the file now */
  release(database: Database, size: number, stored: boolean): void {
    this.#reserved -= size
    this.#onTheWay--
    if (stored) {
      this.#stored++
      this.counters.letters++
      this.counters.bytes += size
      if (this.counters.oldest === 0) this.counters.oldest = this.#options.now()
    }
    // What cannot be read now is looked up with the next refresh.
    if (this.#isUnsure && this.#onTheWay === 0) void this.#count(database).catch(() => {})
  }

  /** Removes what is too old and looks what is left. @throws SluiceError `storage_failed` */
  async refresh(database: Database): Promise<void> {
    const { maxAge, events, now } = this.#options
    await this.#count(database)
    if (maxAge === 0 || this.counters.oldest === 0 || now() - this.counters.oldest <= maxAge) return
    const before = new Date(now() - maxAge).toISOString()
    let count = 0
    for (let removed = MOST; removed === MOST; count += removed) removed = (await database.all(EXPIRE, [before])).length
    if (count === 0) return
    this.counters.expired += count
    await this.#count(database)
    events.emit('deadLetters.expired', { count, maxAge })
  }

  async #lookAgain(database: Database): Promise<void> {
    const { timing, signal } = this.#options
    await timing.wait(LOOK_MS, signal)
    // What cannot be read now may be readable at the next look.
    await this.refresh(database).catch(() => {})
    this.#look = undefined
  }

  async #count(database: Database): Promise<void> {
    const stored = this.#stored
    const [totals] = await database.all(TOTALS)
    const { letters, bytes, oldest } = totals!
    this.#isUnsure = this.#onTheWay > 0
    if (stored !== this.#stored && !this.#isUnsure) return this.#count(database)
    this.counters.letters = Number(letters)
    this.counters.bytes = Number(bytes)
    this.counters.oldest = oldest === null ? 0 : Date.parse(String(oldest))
  }
}

/** How often is looked whether there is room again, in milliseconds. */
const LOOK_MS = 1000

/** So many are removed at once: others write in between. */
const MOST = 1000

const EXPIRE = `
  DELETE FROM dead_letters WHERE id IN (SELECT id FROM dead_letters WHERE time < ? ORDER BY time LIMIT ${MOST})
  RETURNING id`
