import type { SluiceError } from '../contracts/errors.ts'
import type { Format } from '../contracts/format.ts'
import type { Batch, Message } from '../contracts/message.ts'

/** What an endpoint reads with. */
export type FormatOf = (endpoint: string) => Format

/** One write that waits in a queue. */
export interface Entry {
  readonly batch: Batch
  /** Messages of it that cannot be delivered, whatever the sink does. */
  readonly failed: readonly { readonly message: Message; readonly error: SluiceError }[]
  readonly messages: number
  readonly bytes: number
  /** When it was stored; milliseconds since 1970. */
  readonly since: number
}

/** What stands behind a buffer: writes that wait, in the order in which they came. One reader takes them. */
export interface Queue {
  /** Messages and bytes that wait, those that were taken included; and since when the oldest does, 0 for none. */
  readonly messages: number
  readonly bytes: number
  readonly oldest: number
  /**
   * Resolves when the batch is as safe as this queue makes it.
   * @throws SluiceError when it could not be stored; `retryable` says whether trying again makes sense
   */
  add(batch: Batch): Promise<void>
  /**
   * The oldest entries that have not been taken, up to so many messages and bytes, but at least one if there is one.
   * @throws SluiceError `storage_failed` when they cannot be read now
   */
  take(maxMessages: number, maxBytes: number): Promise<readonly Entry[]>
  /** The oldest entries are dealt with: they need not be kept any longer. */
  settle(entries: readonly Entry[]): void
  /** What was taken and not settled is given again, to the next reader. */
  giveBack(): void
  /**
   * Waits until no other reader is left, after a change of the configuration say.
   * @param formatOf what an endpoint reads with: gives the values of frames that nobody has touched
   * @returns what ends this reader
   */
  read(formatOf: FormatOf): Promise<() => void>
  close(): Promise<void>
}

/** Lets one reader at a time. */
export class Turns {
  #last: Promise<void> = Promise.resolve()

  async next(): Promise<() => void> {
    const before = this.#last
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#last = promise
    await before
    return resolve
  }
}

/** Bytes that a batch takes in memory, roughly. */
export function sizeOf(batch: Batch): number {
  if (batch.frames !== undefined) {
    let bytes = 0
    for (const frames of batch.frames) bytes += frames.bytes.length
    return bytes
  }
  return batch.messages.reduce((sum, { raw }) => sum + raw.length + MESSAGE_COST, 0)
}

/** What a message takes besides its bytes. */
const MESSAGE_COST = 256
