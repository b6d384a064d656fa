import { stat } from 'node:fs/promises'
import type { Clock } from '../contracts/clock.ts'
import { SluiceError } from '../contracts/errors.ts'
import { joinRecords, lastByte, type Opened, openForAppend, type Records, writeAll } from './append-io.ts'
import { isDue, type Rotation, setAside, tidy } from './file-rotation.ts'

/**
 * A file that grows at its end, shared by all sinks that write to its path.
 *
 * ```
 *   append ─▶ waiting ─┐                     ┌─▶ all of the group: written (and synced)
 *   append ─▶ waiting ─┼─▶ group: one writev ┤
 *   append ─▶ waiting ─┘   one fdatasync     └─▶ all of the group: failed, the file ends where it did before
 * ```
 * While a group is being written the next one collects, so that groups grow as the disk gets slower, and a fast disk
 * adds no delay. The order of calls is the order in the file.
 */
export class AppendFile {
  readonly #path: string
  readonly #clock: Clock
  #opened: Opened | undefined
  /** When it was last seen that the path leads to the open file. */
  #lookedAt = 0
  #waiting: Waiting[] = []
  /** Settles when nothing is waiting or being written any more; undefined while idle. */
  #working: Promise<void> | undefined
  /** Bytes of a group that failed, which still stand at the end of the file. */
  #torn: Buffer | undefined
  /** No rotation is tried before this time, because one has failed. */
  #rotatesFrom = 0
  /** A file was set aside, or may have been before we came. */
  #untidy: Rotating | undefined
  /** Settles when what was set aside is in order; undefined while nothing is done there. */
  #tidying: Promise<void> | undefined
  readonly #closing = new AbortController()

  constructor(path: string, clock: Clock) {
    this.#path = path
    this.#clock = clock
  }

  /**
   * Opens the file, so that a mistake in the path shows at the start.
   * @throws SluiceError as `append`
   */
  async open(rotating?: Rotating): Promise<void> {
    try {
      await this.#open(rotating)
    } catch (error) {
      throw fileError(this.#path, error)
    }
  }

  /**
   * Adds bytes at the end. They must not be changed before the promise settles. A file that does not end with `separator`,
   * because the power failed in the middle of a record, gets it first, so that the next record is not a part of that one.
   * @throws SluiceError `sink_unavailable`, retryable, where it may work later (a full disk, say), else `sink_failed`;
   * these bytes then are not in the file
   */
  append(parts: readonly Buffer[], { sync, separator, rotating }: AppendOptions): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#waiting.push({ parts, sync, separator, rotating, resolve, reject })
    this.#working ??= this.#work()
    return promise
  }

  /** Writes what is waiting, then closes the file. Compressing is broken off; whoever opens the file next does it again. */
  async close(): Promise<void> {
    await this.#working
    this.#closing.abort()
    await this.#tidying
    if (this.#opened !== undefined) await this.#repair(this.#opened).catch(nothing)
    await this.#opened?.handle.close()
    this.#opened = undefined
  }

  async #work(): Promise<void> {
    while (this.#waiting.length > 0) {
      const group = this.#waiting
      this.#waiting = []
      try {
        await this.#write(group)
        for (const { resolve } of group) resolve()
      } catch (error) {
        const failure = fileError(this.#path, error)
        for (const { reject } of group) reject(failure)
      }
      // Those who were just confirmed often have more at once; a turn of the event loop lets them join the next group.
      await new Promise(setImmediate)
    }
    this.#working = undefined
  }

  async #write(group: readonly Waiting[]): Promise<void> {
    const sync = group.some((waiting) => waiting.sync)
    const rotating = group.findLast((waiting) => waiting.rotating !== undefined)?.rotating
    const length = group.reduce((sum, { parts }) => parts.reduce((bytes, part) => bytes + part.length, sum), 0)
    for (;;) {
      const opened = await this.#open(rotating)
      const { handle } = opened
      await this.#repair(opened)
      if (rotating !== undefined && (await this.#rotate(opened, rotating, length))) continue
      const { buffers, isEnded } = joinRecords(group, opened.last)
      const look = sync || Math.abs(this.#clock.now() - this.#lookedAt) >= LOOK_MS
      const place = look ? stat(this.#path).catch(nothing) : undefined
      const progress = { done: 0 }
      try {
        await writeAll(handle, buffers, progress)
        if (sync) await handle.datasync()
      } catch (error) {
        this.#torn = Buffer.concat(buffers).subarray(0, progress.done)
        await this.#repair(opened).catch(nothing)
        throw error
      }
      if (isEnded) opened.last = undefined
      opened.size += length
      opened.writtenAt = this.#clock.now()
      if (place === undefined || (await this.#isKept(opened, await place))) return
    }
  }

  async #open(rotating: Rotating | undefined): Promise<Opened> {
    if (this.#opened !== undefined) return this.#opened
    this.#opened = await openForAppend(this.#path)
    if (rotating !== undefined) this.#tidy(rotating)
    return this.#opened
  }

  /**
   * Sets the file aside when that is due. When it cannot be, it grows on: better one long file than a message less.
   * @returns whether a new file is to be opened
   */
  async #rotate(opened: Opened, { rotation, warn }: Rotating, length: number): Promise<boolean> {
    const now = this.#clock.now()
    if (now < this.#rotatesFrom || !isDue(rotation, opened, length, now)) return false
    try {
      // Another program may have emptied it meanwhile, or renamed it, and then it is not ours to rename.
      const [{ size }, place] = await Promise.all([opened.handle.stat(), stat(this.#path).catch(nothing)])
      opened.size = size
      if (!isDue(rotation, opened, length, now)) return false
      if (place?.ino === opened.ino && place.dev === opened.dev) await setAside(this.#path, now)
    } catch (error) {
      this.#rotatesFrom = now + ROTATE_AGAIN_MS
      warn(`cannot rotate ${this.#path}, so it grows on: ${reasonOf(error)}`)
      return false
    }
    this.#opened = undefined
    await opened.handle.close()
    return true
  }

  /** Puts in order what was set aside, beside the writing. */
  #tidy(rotating: Rotating): void {
    this.#untidy = rotating
    this.#tidying ??= this.#tidyUp()
  }

  async #tidyUp(): Promise<void> {
    const { signal } = this.#closing
    while (this.#untidy !== undefined && !signal.aborted) {
      const { rotation, warn } = this.#untidy
      this.#untidy = undefined
      await tidy(this.#path, rotation, signal).catch((error) => {
        if (!signal.aborted) warn(`cannot tidy up behind ${this.#path}: ${reasonOf(error)}`)
      })
    }
    this.#tidying = undefined
  }

  /**
   * Cuts what a failed group left at the end of the file; else the next record would stand on half a line, and a retry
   * would write whole records twice. Until that has worked nothing more is written. Bytes that do not stand at the end
   * any more, because another program has written or emptied the file, are not ours to cut.
   */
  async #repair(opened: Opened): Promise<void> {
    const { handle } = opened
    const torn = this.#torn
    if (torn === undefined) return
    const info = await handle.stat()
    if (torn.length > 0 && info.isFile() && info.size >= torn.length) {
      const tail = torn.subarray(-COMPARED)
      const { buffer } = await handle.read(Buffer.alloc(tail.length), 0, tail.length, info.size - tail.length)
      if (buffer.equals(tail)) await handle.truncate(info.size - torn.length)
      else opened.last = await lastByte(handle, info.size)
    }
    this.#torn = undefined
  }

  /**
   * Whether what was written is where a reader finds it. When the path leads elsewhere by now the next group opens it
   * anew: log rotation renames files, and the bytes are then in the renamed one.
   * @param place what the path leads to
   * @returns false when the file was removed, and the bytes with it
   */
  async #isKept({ handle, dev, ino }: Opened, place: { dev: number; ino: number } | undefined): Promise<boolean> {
    this.#lookedAt = this.#clock.now()
    if (place?.ino === ino && place.dev === dev) return true
    const { nlink } = await handle.stat()
    this.#opened = undefined
    await handle.close()
    return nlink > 0
  }
}

/** How bytes are appended. */
export interface AppendOptions {
  /** Wait until they are on the disk. */
  readonly sync: boolean
  /** The byte that stands behind each record. */
  readonly separator?: number | undefined
  readonly rotating?: Rotating | undefined
}

/** How a file is rotated, and who is told when it cannot be. */
export interface Rotating {
  readonly rotation: Rotation
  warn(text: string): void
}

interface Waiting extends Records, AppendOptions {
  readonly separator: number | undefined
  readonly resolve: () => void
  readonly reject: (error: SluiceError) => void
}

/**
 * Without `fsync` so many milliseconds may pass between two looks at where the path leads: a look at each group costs as
 * much as its write.
 */
const LOOK_MS = 100

/** So many milliseconds after a rotation that failed another one is tried. */
const ROTATE_AGAIN_MS = 60_000

/** How many bytes of a torn tail are compared before it is cut. */
const COMPARED = 4096

/** Problems that somebody may cure while the server runs. */
const TRANSIENT = [
  'ENOSPC',
  'EDQUOT',
  'EIO',
  'ENOENT',
  'EMFILE',
  'ENFILE',
  'EROFS',
  'ESTALE',
  'EAGAIN',
  'EBUSY',
  'ETIMEDOUT',
]

function fileError(path: string, cause: unknown): SluiceError {
  const code = (cause as NodeJS.ErrnoException).code ?? ''
  const retryable = TRANSIENT.includes(code)
  return new SluiceError(
    retryable ? 'sink_unavailable' : 'sink_failed',
    `cannot write to ${path}: ${reasonOf(cause)}`,
    {
      cause,
      retryable,
    },
  )
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}

/** In the place of what may fail without harm. */
function nothing(): undefined {
  return undefined
}
