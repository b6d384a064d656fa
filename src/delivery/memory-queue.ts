import type { Clock } from '../contracts/clock.ts'
import type { Batch } from '../contracts/message.ts'
import { type Entry, type Queue, sizeOf, Turns } from './queue.ts'

/** Writes that wait in memory. What is in it when the process ends is lost. */
export class MemoryQueue implements Queue {
  messages = 0
  bytes = 0
  readonly #clock: Clock
  readonly #turns = new Turns()
  #entries: Entry[] = []
  /** How many of `#entries` have been taken. */
  #taken = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get oldest(): number {
    return this.#entries[0]?.since ?? 0
  }

  add(batch: Batch): Promise<void> {
    const messages = batch.length
    const bytes = sizeOf(batch)
    this.#entries.push({ batch, failed: [], messages, bytes, since: this.#clock.now() })
    this.messages += messages
    this.bytes += bytes
    return Promise.resolve()
  }

  take(maxMessages: number, maxBytes: number): Promise<readonly Entry[]> {
    const from = this.#taken
    let messages = 0
    let bytes = 0
    while (this.#taken < this.#entries.length) {
      const entry = this.#entries[this.#taken]!
      if (this.#taken > from && (messages + entry.messages > maxMessages || bytes + entry.bytes > maxBytes)) break
      messages += entry.messages
      bytes += entry.bytes
      this.#taken++
    }
    return Promise.resolve(this.#entries.slice(from, this.#taken))
  }

  settle(entries: readonly Entry[]): void {
    for (const { messages, bytes } of entries) {
      this.messages -= messages
      this.bytes -= bytes
    }
    this.#entries.splice(0, entries.length)
    this.#taken -= entries.length
  }

  giveBack(): void {
    this.#taken = 0
  }

  read(): Promise<() => void> {
    return this.#turns.next()
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}
