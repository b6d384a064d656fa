import type { Batch } from '../contracts/batch.ts'
import type { Clock } from '../contracts/clock.ts'
import { packBehind, unpackBatch } from './packed-batch.ts'
import { copyOf, PackingSpace } from './packing-space.ts'
import { Progress } from './progress.ts'
import type { Entry, FormatOf, Queue } from './queue.ts'

/**
 * Writes that wait in memory. What is in it when the process ends is lost.
 *
 * They are kept packed, as on disk: then their size is known, no read of 64 KiB is held for one small frame, and they are
 * delivered with the state that their connection had when they were queued.
 */
export class MemoryQueue implements Queue {
  bytes = 0
  #messages = 0
  readonly #progress = new Progress()
  /** Each batch is written into it before it is copied. */
  readonly #space = new PackingSpace()
  readonly #clock: Clock
  #entries: PackedEntry[] = []
  /** How many of `#entries` have been taken. */
  #taken = 0
  #last = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get messages(): number {
    return this.#messages - this.#progress.size
  }

  get oldest(): number {
    return this.#entries[0]?.since ?? 0
  }

  async add(batch: Batch): Promise<void> {
    packBehind(batch, this.#space)
    const data = copyOf(this.#space.written)
    this.#space.clear()
    this.#entries.push({ id: ++this.#last, data, messages: batch.length, since: this.#clock.now() })
    this.#messages += batch.length
    this.bytes += data.length
  }

  take(maxMessages: number, maxBytes: number, formatOf: FormatOf): Promise<readonly Entry[]> {
    const taken: Entry[] = []
    let messages = 0
    let bytes = 0
    for (let next = this.#entries[this.#taken]; next !== undefined; next = this.#entries[this.#taken]) {
      const { id, data, since } = next
      if (taken.length > 0 && (messages + next.messages > maxMessages || bytes + data.length > maxBytes)) break
      taken.push({ id, since, ...unpackBatch(data, formatOf, this.#clock, this.#progress.of(id)) })
      messages += next.messages
      bytes += data.length
      this.#taken++
    }
    return Promise.resolve(taken)
  }

  settle(upTo: number): void {
    const behind = this.#entries.findIndex(({ id }) => id > upTo)
    const settled = this.#entries.splice(0, behind === -1 ? this.#entries.length : behind)
    this.#taken -= settled.length
    for (const { messages, data } of settled) {
      this.#messages -= messages
      this.bytes -= data.length
    }
    this.#progress.settle(upTo)
  }

  note(entry: number, places: readonly number[]): number {
    return this.#progress.note(entry, places)
  }

  giveBack(): void {
    this.#taken = 0
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

interface PackedEntry {
  readonly id: number
  readonly data: Buffer
  readonly messages: number
  readonly since: number
}
