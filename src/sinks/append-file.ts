import { type FileHandle, open, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Clock } from '../contracts/clock.ts'
import { SluiceError } from '../contracts/errors.ts'
import { makeFolder } from '../util/folder.ts'

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

  constructor(path: string, clock: Clock) {
    this.#path = path
    this.#clock = clock
  }

  /**
   * Opens the file, so that a mistake in the path shows at the start.
   * @throws SluiceError as `append`
   */
  async open(): Promise<void> {
    try {
      this.#opened ??= await openForAppend(this.#path)
    } catch (error) {
      throw fileError(this.#path, error)
    }
  }

  /**
   * Adds bytes at the end. They must not be changed before the promise settles.
   * @param sync wait until they are on the disk
   * @param separator the byte that stands behind each record. A file that does not end with it, because the power failed
   *   in the middle of one, gets it first, so that the next record is not a part of that one
   * @throws SluiceError `sink_unavailable`, retryable, where it may work later (a full disk, say), else `sink_failed`;
   * these bytes then are not in the file
   */
  append(parts: readonly Buffer[], sync: boolean, separator?: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#waiting.push({ parts, sync, separator, resolve, reject })
    this.#working ??= this.#work()
    return promise
  }

  /** Writes what is waiting, then closes the file. */
  async close(): Promise<void> {
    await this.#working
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
    for (;;) {
      this.#opened ??= await openForAppend(this.#path)
      const { handle } = this.#opened
      await this.#repair(this.#opened)
      const { buffers, isEnded } = joinRecords(group, this.#opened.last)
      const look = sync || Math.abs(this.#clock.now() - this.#lookedAt) >= LOOK_MS
      const place = look ? stat(this.#path).catch(nothing) : undefined
      const progress = { done: 0 }
      try {
        await writeAll(handle, buffers, progress)
        if (sync) await handle.datasync()
      } catch (error) {
        this.#torn = Buffer.concat(buffers).subarray(0, progress.done)
        await this.#repair(this.#opened).catch(nothing)
        throw error
      }
      if (isEnded) this.#opened.last = undefined
      if (place === undefined || (await this.#isKept(this.#opened, await place))) return
    }
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

interface Waiting {
  readonly parts: readonly Buffer[]
  readonly sync: boolean
  readonly separator: number | undefined
  readonly resolve: () => void
  readonly reject: (error: SluiceError) => void
}

interface Opened {
  readonly handle: FileHandle
  /** Device and number of the file: which one it is, whatever its name. */
  readonly dev: number
  readonly ino: number
  /** Its last byte; undefined when it is empty, or once we have written records that end as they should. */
  last: number | undefined
}

/**
 * Without `fsync` so many milliseconds may pass between two looks at where the path leads: a look at each group costs as
 * much as its write.
 */
const LOOK_MS = 100

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

/** Opens the file to read and append, and puts its folder and its name on the disk, should the power fail. */
async function openForAppend(path: string): Promise<Opened> {
  const folder = dirname(path)
  const created = makeFolder(folder)
  const handle = await open(path, 'a+')
  try {
    const { dev, ino, size } = await handle.stat()
    const last = await lastByte(handle, size)
    const top = created === undefined ? folder : dirname(created)
    for (let current = folder; ; current = dirname(current)) {
      await syncFolder(current)
      if (current === top) return { handle, dev, ino, last }
    }
  } catch (error) {
    await handle.close()
    throw error
  }
}

async function lastByte(handle: FileHandle, size: number): Promise<number | undefined> {
  return size === 0 ? undefined : (await handle.read(Buffer.alloc(1), 0, 1, size - 1)).buffer[0]
}

/**
 * All bytes of a group. A file that ends in half a record gets a separator before the first record that has one.
 * @param last byte of the file, where it may be in the middle of a record
 * @returns also whether one of them has a separator, so that the file then ends as it should
 */
function joinRecords(group: readonly Waiting[], last: number | undefined) {
  const buffers: Buffer[] = []
  let isEnded = false
  for (const { parts, separator } of group) {
    if (!isEnded && separator !== undefined) {
      if (last !== undefined && last !== separator) buffers.push(Buffer.of(separator))
      isEnded = true
    }
    buffers.push(...parts)
  }
  return { buffers, isEnded }
}

/** Some file systems cannot sync a folder, and some folders may not be read; their names are kept in their own way. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r').catch(nothing)
  await folder?.sync().catch(nothing)
  await folder?.close()
}

/** Writes all the bytes, however few the system takes at once. `progress` is right also when this throws. */
async function writeAll(handle: FileHandle, buffers: readonly Buffer[], progress: { done: number }): Promise<void> {
  let left = buffers
  while (left.length > 0) {
    const { bytesWritten } = await handle.writev(left)
    progress.done += bytesWritten
    left = behind(left, bytesWritten)
    if (bytesWritten === 0 && left.length > 0) throw new Error('the system takes no bytes')
  }
}

/** What is left of the buffers behind the first `count` bytes. */
function behind(buffers: readonly Buffer[], count: number): readonly Buffer[] {
  let at = 0
  for (const [i, buffer] of buffers.entries()) {
    if (at + buffer.length > count) return [buffer.subarray(count - at), ...buffers.slice(i + 1)]
    at += buffer.length
  }
  return []
}

function fileError(path: string, cause: unknown): SluiceError {
  const code = (cause as NodeJS.ErrnoException).code ?? ''
  const reason = cause instanceof Error ? cause.message : String(cause)
  const retryable = TRANSIENT.includes(code)
  return new SluiceError(retryable ? 'sink_unavailable' : 'sink_failed', `cannot write to ${path}: ${reason}`, {
    cause,
    retryable,
  })
}

/** In the place of what may fail without harm. */
function nothing(): undefined {
  return undefined
}
