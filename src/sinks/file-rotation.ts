import { createReadStream, createWriteStream } from 'node:fs'
import { open, readdir, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { syncFolder } from './append-io.ts'

/** When a file is set aside and a new one begun, and what becomes of those that were set aside. */
export interface Rotation {
  /** Bytes that a file has at most, unless one write is longer. */
  readonly maxSize?: number | undefined
  /** Milliseconds; periods of that length follow each other from the begin of 1970, in UTC. */
  readonly every?: number | undefined
  /** How many files that were set aside stay. */
  readonly keep?: number | undefined
  /** How many bytes those have together at most. */
  readonly maxTotal?: number | undefined
  readonly compress: 'none' | 'gzip'
}

/** What is known of the file that is written to. */
export interface Grown {
  readonly size: number
  /** When it was last written to; milliseconds since 1970. */
  readonly writtenAt: number
}

/** Whether a file has to be set aside before so many bytes are written. An empty one never has. */
export function isDue({ maxSize, every }: Rotation, { size, writtenAt }: Grown, length: number, now: number): boolean {
  if (size === 0) return false
  if (maxSize !== undefined && size + length > maxSize) return true
  return every !== undefined && Math.floor(writtenAt / every) < Math.floor(now / every)
}

/**
 * Sets a file aside: from one moment to the next it has the name `PATH.20261128T062219123Z`, the time in UTC. Where there
 * is such a file already, the time is a little later. The name is taken before by an empty file, which a rename replaces:
 * else two workers that write to one path could choose the same name, and the second would replace what the first has set
 * aside.
 * @throws what the system says
 */
export async function setAside(path: string, now: number): Promise<void> {
  const names = new Set(await readdir(dirname(path)))
  for (let time = now; ; time++) {
    const name = join(dirname(path), `${basename(path)}.${stampOf(time)}`)
    if (names.has(basename(name)) || names.has(basename(name) + PACKED) || !(await reserve(name))) continue
    try {
      return await rename(path, name)
    } catch (error) {
      await rm(name, { force: true })
      throw error
    }
  }
}

/**
 * Removes files that were set aside and are too many, and compresses the others. What an end in the middle of that has
 * left is finished: a file is removed only when its compressed form is complete and on the disk.
 * @throws what the system says, or an AbortError
 */
export async function tidy(path: string, rotation: Rotation, signal: AbortSignal): Promise<void> {
  const { keep = Number.POSITIVE_INFINITY, maxTotal = Number.POSITIVE_INFINITY, compress } = rotation
  const stamps = await stampsOf(path)
  await removeFirst(path, stamps, stamps.length - keep)
  for (const stamp of stamps) {
    signal.throwIfAborted()
    await settle(`${path}.${stamp}`, compress === 'gzip', signal)
  }
  let total = 0
  const sizes = await Promise.all(stamps.map((stamp) => sizeOf(`${path}.${stamp}`)))
  const fitting = sizes.toReversed().findIndex((size) => {
    total += size
    return total > maxTotal
  })
  if (fitting >= 0) await removeFirst(path, stamps, stamps.length - fitting)
}

const PACKED = '.gz'

/** What stands behind the path in the name of a file that was set aside, and what stands behind that. */
const ASIDE = /^\.(\d{8}T\d{9}Z)(?:\.gz(?:\.(\d+)\.tmp)?)?$/

/** The ending of a file that this process has not finished. Another worker has another one. */
const UNFINISHED = `${PACKED}.${process.pid}.tmp`

/** ISO 8601, basic format, to the millisecond: in it the order of texts is that of times. */
function stampOf(time: number): string {
  return new Date(time).toISOString().replaceAll(/[-:.]/g, '')
}

/** @returns false when there is such a file */
async function reserve(path: string): Promise<boolean> {
  try {
    await (await open(path, 'wx')).close()
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

/**
 * The times of all files that were set aside, oldest first. What a process that has died did not finish is removed. An empty
 * file is a name that was taken: whoever took it may be about to rename its file to it, so it is left alone.
 */
async function stampsOf(path: string): Promise<string[]> {
  const base = basename(path)
  const stamps = new Set<string>()
  for (const name of await readdir(dirname(path))) {
    const [, stamp, pid] = (name.startsWith(base) && ASIDE.exec(name.slice(base.length))) || []
    const whole = join(dirname(path), name)
    if (pid !== undefined) {
      if (Number(pid) === process.pid || !isAlive(Number(pid))) await rm(whole, { force: true })
    } else if (stamp !== undefined && (await sizeIfThere(whole)) > 0) stamps.add(stamp)
  }
  return [...stamps].sort()
}

/** Signal 0 is not sent; it only asks whether it could be (kill(2)). */
function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Removes the oldest, from the list too. */
async function removeFirst(path: string, stamps: string[], count: number): Promise<void> {
  for (const stamp of stamps.splice(0, Math.max(0, count))) {
    for (const ending of ['', PACKED]) await rm(`${path}.${stamp}${ending}`, { force: true })
  }
}

/** Leaves one form of a file: compressed, if it is to be or is already. */
async function settle(plain: string, compress: boolean, signal: AbortSignal): Promise<void> {
  const isThere = (await sizeIfThere(plain)) > 0
  if (!isThere) return
  const isPacked = (await sizeIfThere(plain + PACKED)) > 0
  if (!isPacked && compress) {
    const source = createReadStream(plain)
    const target = createWriteStream(plain + UNFINISHED, { flush: true })
    await pipeline(source, createGzip(), target, { signal })
    // Another worker may not have noticed yet that the file was set aside: then it is left for the next time.
    if ((await sizeIfThere(plain)) !== source.bytesRead) return rm(plain + UNFINISHED, { force: true })
    await rename(plain + UNFINISHED, plain + PACKED)
    await syncFolder(dirname(plain))
  }
  if (isPacked || compress) await rm(plain, { force: true })
}

/** The bytes of a file that was set aside, in whichever form. */
async function sizeOf(plain: string): Promise<number> {
  return (await sizeIfThere(plain)) || (await sizeIfThere(plain + PACKED))
}

/** 0 when there is no such file. */
async function sizeIfThere(path: string): Promise<number> {
  const info = await stat(path).catch(() => undefined)
  return info?.size ?? 0
}
