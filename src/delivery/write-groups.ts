import type { Batch } from '../contracts/message.ts'
import { cannotBeStored } from './memory-queue.ts'
import { joinPacked, packBatch } from './packed-batch.ts'

/**
 * Joins the writes of one turn of the event loop, from however many connections, into one: a row for each would cost more
 * than all else that is done for a short line.
 */
export class WriteGroups {
  readonly #store: (data: Buffer<ArrayBuffer>, messages: number) => Promise<void>
  /** What was added in this turn. */
  #open: Group | undefined = undefined

  /** @param store keeps the messages of a group; called once for each, in the order in which they were begun */
  constructor(store: (data: Buffer<ArrayBuffer>, messages: number) => Promise<void>) {
    this.#store = store
  }

  /**
   * Resolves when the batch is stored.
   * @throws SluiceError `sink_failed` for a batch with a value that cannot be stored; what `store` throws
   */
  async add(batch: Batch): Promise<void> {
    const data = pack(batch)
    const group = this.#groupFor(batch.length, data.length)
    group.parts.push(data)
    group.messages += batch.length
    group.bytes += data.length
    await group.stored
  }

  /** Resolves when what was added in this turn is stored, or could not be. */
  async ended(): Promise<void> {
    await this.#open?.stored.catch(() => {})
  }

  /** The group of this turn, or another when that has no room. */
  #groupFor(messages: number, bytes: number): Group {
    const open = this.#open
    if (open && open.messages + messages <= GROUP_MESSAGES && open.bytes + bytes <= GROUP_BYTES) return open
    const { promise, resolve } = Promise.withResolvers<void>()
    const group: Group = { parts: [], messages: 0, bytes: 0, stored: promise.then(() => this.#end(group)) }
    this.#open = group
    setImmediate(resolve)
    return group
  }

  #end(group: Group): Promise<void> {
    if (this.#open === group) this.#open = undefined
    return this.#store(joinPacked(group.parts), group.messages)
  }
}

/** Writes that become one entry. */
interface Group {
  readonly parts: Buffer[]
  messages: number
  bytes: number
  readonly stored: Promise<void>
}

/** An entry has no more messages and bytes, unless a single write has. */
const GROUP_MESSAGES = 1024
const GROUP_BYTES = 256 * 1024

/** @throws SluiceError `sink_failed` for a batch with a value that cannot be stored */
function pack(batch: Batch): Buffer {
  try {
    return packBatch(batch)
  } catch (thrown) {
    throw cannotBeStored(thrown)
  }
}
