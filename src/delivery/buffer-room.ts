import type { BufferCounters } from '../contracts/counters.ts'
import type { BufferOptions } from '../contracts/delivery.ts'
import type { Events } from '../contracts/events.ts'
import { formatSize } from '../util/units.ts'
import type { Queue } from './queue.ts'

/**
 * Whether a buffer has room: under its own bound and on the disk. When it has become full it stays so until it is emptier
 * by far: senders that start and stop with each message would gain nothing.
 */
export class BufferRoom {
  readonly #queue: Queue
  readonly #counters: BufferCounters
  readonly #events: Events
  readonly #hasDiskRoom: (() => Promise<boolean>) | undefined
  #isFull = false
  /** Those who wait until it is not. */
  readonly #waiting = new Set<() => void>()
  /** Bytes of writes that have room and are not in the queue yet. */
  #reserved = 0
  /** When it was last seen whether the disk has room, and how many bytes were stored and delivered since. */
  #lookedAt = Number.NEGATIVE_INFINITY
  #movedSince = 0
  #isDiskFull = false

  /** @param hasDiskRoom asked once a second, and whenever much has moved; undefined for a buffer that needs no disk */
  constructor(queue: Queue, counters: BufferCounters, events: Events, hasDiskRoom?: () => Promise<boolean>) {
    this.#queue = queue
    this.#counters = counters
    this.#events = events
    this.#hasDiskRoom = hasDiskRoom
  }

  /**
   * Resolves when a buffer that was full has room again, or when somebody has waited for long enough. A promise of its own for
   * each: one for all, raced with the wait of each, would remember all who have ever waited for it.
   */
  async emptied(wait: Promise<void>): Promise<void> {
    if (!this.#isFull) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#waiting.add(resolve)
    void wait.then(resolve)
    await promise
    this.#waiting.delete(resolve)
  }

  /**
   * Takes room for a write of so many bytes, until `release`. Between the look and the taking no other write comes in.
   * @returns false when there is none
   */
  async reserve(size: number, options: BufferOptions): Promise<boolean> {
    if (this.#isLookDue()) await this.#lookAtDisk()
    if (!this.#isRoom(options)) return false
    this.#reserved += size
    this.#movedSince += size
    return true
  }

  /** The write has been stored, or not. */
  release(size: number): void {
    this.#reserved -= size
  }

  /** So many bytes have been delivered. Looks at once whether a buffer that was full has room now. */
  async freed(bytes: number, options: BufferOptions): Promise<void> {
    this.#movedSince += bytes
    if (!this.#isFull) return
    if (this.#queue.messages === 0) this.#lookedAt = Number.NEGATIVE_INFINITY
    if (this.#isLookDue()) await this.#lookAtDisk()
    this.#isRoom(options)
  }

  /** Tells when it has changed. */
  #isRoom({ maxSize, whenFull }: BufferOptions): boolean {
    const mark = this.#isFull ? maxSize * LOW : maxSize
    const isRoom = !this.#isDiskFull && this.#queue.bytes + this.#reserved < mark
    if (isRoom && this.#isFull) {
      this.#isFull = false
      for (const goOn of this.#waiting) goOn()
      this.#events.emit('buffer.emptied', { step: this.#counters.step })
    } else if (!isRoom && !this.#isFull) {
      this.#isFull = true
      const reason = this.#isDiskFull ? 'the disk is almost full' : `${formatSize(this.#queue.bytes)} wait`
      this.#events.emit('buffer.filled', { step: this.#counters.step, whenFull, reason })
    }
    return isRoom
  }

  #isLookDue(): boolean {
    if (this.#hasDiskRoom === undefined) return false
    return this.#movedSince >= LOOK_BYTES || performance.now() - this.#lookedAt >= LOOK_MS
  }

  async #lookAtDisk(): Promise<void> {
    this.#lookedAt = performance.now()
    this.#movedSince = 0
    // A disk that does not even say how full it is takes nothing now.
    this.#isDiskFull = !(await this.#hasDiskRoom!().catch(() => false))
  }
}

/** A buffer that was full takes messages again when it has become so empty. */
const LOW = 0.6

/** How often is looked whether the disk has room: so many milliseconds, so many bytes. */
export const LOOK_MS = 1000
const LOOK_BYTES = 4 * 1024 * 1024
