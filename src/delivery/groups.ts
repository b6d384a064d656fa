import type { Batch } from '../contracts/batch.ts'
import { packBehind } from './packed-batch.ts'
import { PackingSpace } from './packing-space.ts'
import { sizeOf } from './queue.ts'

/**
 * Stores a group.
 * @param packed valid until its promise settles
 * @param messages at least one
 */
export type StoreGroup = (packed: Buffer, messages: number) => Promise<void>

/** Joins the writes of one turn of the event loop, from however many connections, into groups that are stored as one. */
export class Groups {
  readonly #store: StoreGroup
  /** Takes what is added in this turn. */
  #open: Group | undefined = undefined
  /** Not in use. */
  readonly #spaces: PackingSpace[] = []

  constructor(store: StoreGroup) {
    this.#store = store
  }

  /**
   * Resolves when the batch is stored. Groups are stored in the order in which they were begun.
   * @throws what storing it throws, or SluiceError `sink_failed` for a batch with a value that cannot be stored
   */
  async add(batch: Batch): Promise<void> {
    const group = this.#groupFor(batch.length, sizeOf(batch))
    packBehind(batch, group.space)
    group.messages += batch.length
    await group.stored
  }

  /** Resolves when the group that is open has been stored, or not. */
  async settled(): Promise<void> {
    await this.#open?.stored.catch(() => {})
  }

  #groupFor(messages: number, bytes: number): Group {
    const open = this.#open
    if (open && open.messages + messages <= MOST_MESSAGES && open.space.length + bytes <= MOST_BYTES) return open
    const { promise, resolve } = Promise.withResolvers<void>()
    const space = this.#spaces.pop() ?? new PackingSpace()
    const group: Group = { space, messages: 0, stored: promise.then(() => this.#end(group)) }
    this.#open = group
    setImmediate(resolve)
    return group
  }

  async #end(group: Group): Promise<void> {
    if (this.#open === group) this.#open = undefined
    const { space, messages } = group
    try {
      // Where the only write could not be packed, there is nothing.
      if (messages > 0) await this.#store(space.written, messages)
    } finally {
      space.clear()
      if (this.#spaces.length < MOST_SPACES) this.#spaces.push(space)
    }
  }
}

interface Group {
  /** They are packed here. */
  readonly space: PackingSpace
  messages: number
  /** Settles when it has been stored, or not. */
  readonly stored: Promise<void>
}

/** A group has no more messages, and not many more bytes, unless a single write has. */
const MOST_MESSAGES = 1024
const MOST_BYTES = 256 * 1024

/** So many spaces are kept: more groups are under way only while the disk does not answer. */
const MOST_SPACES = 4
