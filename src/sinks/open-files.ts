import type { Shared } from '../contracts/context.ts'
import type { AppendFile } from './append-file.ts'

/** Most files that one sink has open at once. */
const MOST_OPEN = 100

/**
 * The files of a sink whose path depends on the message: opened when they are first written to, and those closed that have
 * not been used for the longest time when there are too many.
 */
export class OpenFiles {
  readonly #open: (path: string) => Shared<AppendFile>
  readonly #most: number
  /** In the order of their last use. */
  readonly #files = new Map<string, Entry>()
  /** Settles when every use so far has begun, so that uses begin in the order of the calls. */
  #begun: Promise<void> = Promise.resolve()

  /** @param open gives the file of a path, shared with whoever else writes to it */
  constructor(open: (path: string) => Shared<AppendFile>, most: number = MOST_OPEN) {
    this.#open = open
    this.#most = most
  }

  /** How many are open. */
  get size(): number {
    return this.#files.size
  }

  /**
   * Uses the file of a path. The uses of one path begin in the order of the calls.
   * @throws what `use` throws
   */
  with(path: string, use: (file: AppendFile) => Promise<void>): Promise<void> {
    const begun = this.#begun.then(async () => {
      const entry = await this.#take(path)
      const used = use(entry.shared.value)
      entry.busy = used.then(nothing, nothing)
      // Wrapped, so that who comes next waits for the begin of this use and not for its end.
      return { used }
    })
    this.#begun = begun.then(nothing, nothing)
    return begun.then(({ used }) => used)
  }

  /** Closes all of them. */
  async close(): Promise<void> {
    await this.#begun
    await Promise.all(Array.from(this.#files.values(), ({ shared }) => shared.release()))
    this.#files.clear()
  }

  async #take(path: string): Promise<Entry> {
    const entry = this.#files.get(path) ?? { shared: this.#open(path), busy: undefined }
    this.#files.delete(path)
    this.#files.set(path, entry)
    while (this.#files.size > this.#most) await this.#closeOldest()
    return entry
  }

  async #closeOldest(): Promise<void> {
    const [path, { shared, busy }] = this.#files.entries().next().value!
    this.#files.delete(path)
    await busy
    await shared.release()
  }
}

interface Entry {
  readonly shared: Shared<AppendFile>
  /** Settles when the last use has ended. */
  busy: Promise<void> | undefined
}

function nothing(): void {}
