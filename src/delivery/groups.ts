import type { Batch } from '../contracts/message.ts'
import { packBehind } from './packed-batch.ts'
import { PackingSpace } from './packing-space.ts'
import { sizeOf } from './queue.ts'

/**
 * Stores a group.
 * @param packed valid until its promise settles
 * @param messages at least one
 */
export type StoreGroup = (packed: Buffer, messages: number) => Promise<void>

/**
 * Joins the writes of one turn of the event loop, from however many connections, into groups that are stored as one.
 *
 * Under load all connections wait for one commit, go on together, and meet again in the next: the storage thread then waits
 * for the main thread, and the main thread for it. Where a commit takes less than what is done between two of them, half of
 * the writes are told of their end a little later, so that one half is stored while the other goes on.
 */
export class Groups {
  readonly #store: StoreGroup
  /** Takes what is added in this turn. */
  #open: Group | undefined = undefined
  /** Not in use. */
  readonly #spaces: PackingSpace[] = []
  /** Groups that are being stored. */
  #storing = 0
  /** When the last of them was stored, and how long it took then to the next; milliseconds. */
  #idleSince = Number.NEGATIVE_INFINITY
  #idleFor = 0

  constructor(store: StoreGroup) {
    this.#store = store
  }

  /**
   * Resolves when the batch is stored. Groups are stored in the order in which they were begun.
   * @throws what storing it throws, or DataCloneError for a batch with a value that cannot be stored
   */
  async add(batch: Batch): Promise<void> {
    const group = this.#groupFor(batch.length, sizeOf(batch))
    packBehind(batch, group.space)
    group.messages += batch.length
    group.writes++
    const half = group.writes % 2
    group.halves[half] ??= Promise.withResolvers<void>()
    await group.halves[half].promise
  }

  /** Resolves when the group that is open has been stored, or not. */
  async settled(): Promise<void> {
    await this.#open?.ended
  }

  #groupFor(messages: number, bytes: number): Group {
    const open = this.#open
    if (open && open.messages + messages <= MOST_MESSAGES && open.space.length + bytes <= MOST_BYTES) return open
    const { promise, resolve } = Promise.withResolvers<void>()
    const space = this.#spaces.pop() ?? new PackingSpace()
    const group: Group = { space, messages: 0, writes: 0, halves: [], ended: promise.then(() => this.#end(group)) }
    this.#open = group
    setImmediate(resolve)
    return group
  }

  async #end(group: Group): Promise<void> {
    if (this.#open === group) this.#open = undefined
    const { space, messages, halves } = group
    const began = performance.now()
    if (this.#storing === 0) this.#idleFor = began - this.#idleSince
    this.#storing++
    const stored = messages === 0 ? Promise.resolve() : this.#store(space.written, messages)
    const outcome = await stored.then(
      () => undefined,
      (error: unknown) => ({ error }),
    )
    space.clear()
    this.#spaces.push(space)
    this.#storing--
    if (this.#storing === 0) this.#idleSince = performance.now()
    const tell = (half: Half) => (outcome === undefined ? half?.resolve() : half?.reject(outcome.error))
    const [one, other] = halves
    tell(one)
    const isAlone = this.#storing === 0 && this.#open === undefined
    if (!isAlone || performance.now() - began > this.#idleFor) return tell(other)
    // In the next turn the first half has gone on: what it has added is being stored.
    setImmediate(() => setImmediate(() => tell(other)))
  }
}

interface Group {
  /** They are packed here. */
  readonly space: PackingSpace
  messages: number
  writes: number
  /** What tells the writes of each half, where there is one, that they are stored. */
  readonly halves: Half[]
  /** Resolves when it has been stored, or not. */
  readonly ended: Promise<void>
}

type Half = PromiseWithResolvers<void> | undefined

/** A group has no more messages, and not many more bytes, unless a single write has. */
const MOST_MESSAGES = 1024
const MOST_BYTES = 256 * 1024
