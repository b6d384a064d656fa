import type { Batch } from '../contracts/batch.ts'
import type { SluiceError } from '../contracts/errors.ts'
import type { Format } from '../contracts/format.ts'
import type { Message } from '../contracts/message.ts'
import type { Sink } from '../contracts/sink.ts'

/** What an endpoint reads with: gives the values of frames that nobody has touched. */
export type FormatOf = (endpoint: string) => Format

/** One write that waits in a queue. */
export interface Entry {
  /** Grows from entry to entry. */
  readonly id: number
  /** What is to be delivered of it. */
  readonly batch: Batch
  /** The place of each message of `batch` in the whole entry; absent where that is its index. */
  readonly places?: readonly number[]
  /** Messages of it that cannot be delivered, whatever the sink does. */
  readonly failed: readonly { readonly message: Message; readonly error: SluiceError }[]
  /** When it was stored; milliseconds since 1970. */
  readonly since: number
}

/** Delivers what may have killed the process. */
export interface Guard {
  /** A sink that gives another the messages of an entry one by one, and finds the one that kills. */
  guard(sink: Sink, entry: Entry): Sink
}

/** What stands behind a buffer: writes that wait, in the order in which they came. */
export interface Queue {
  /** Messages and bytes that wait, those that were taken included; and since when the oldest does, 0 for none. */
  readonly messages: number
  readonly bytes: number
  readonly oldest: number
  /** Given while what is taken next may have killed the process: it is to be delivered one entry at a time, guarded. */
  readonly suspects?: Guard | undefined
  /**
   * Resolves when the batch is as safe as this queue makes it.
   * @throws SluiceError when it could not be stored; `retryable` says whether trying again makes sense
   */
  add(batch: Batch): Promise<void>
  /**
   * The oldest entries that have not been taken, up to so many messages and bytes, but at least one if there is one.
   * @throws SluiceError `storage_failed` when they cannot be read now; nothing was taken then
   */
  take(maxMessages: number, maxBytes: number, formatOf: FormatOf): Promise<readonly Entry[]>
  /** The entries up to this id, all of them taken, are dealt with: they need not be kept any longer. */
  settle(upTo: number): void
  /**
   * The messages at these places of an entry are dealt with: they are not given again.
   * @returns how many of them were not known to be; 0 when the entry is settled
   */
  note(entry: number, places: readonly number[]): number
  /** What was taken and not settled is given again. */
  giveBack(): void
  close(): Promise<void>
}

/** The place of a message in the whole entry. @param index in the batch of the entry */
export function placeOf({ places }: Entry, index: number): number {
  return places === undefined ? index : places[index]!
}

/** So many messages are delivered in one write. */
export const MAX_MESSAGES = 1024

/** Bytes that a batch takes in memory, roughly. */
export function sizeOf(batch: Batch): number {
  if (batch.frames !== undefined) {
    let bytes = 0
    for (const { starts, ends } of batch.frames) bytes += ends[ends.length - 1]! - starts[0]!
    return bytes
  }
  return batch.messages.reduce((sum, { raw }) => sum + raw.length + MESSAGE_COST, 0)
}

/** What a message takes besides its bytes. */
const MESSAGE_COST = 256
