import { createReadStream, createWriteStream } from 'node:fs'
import { readdir, rename, rm, stat } from 'node:fs/promises'
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
 * is such a file already, the time is a little later.
 * @throws what the system says
 */
export async function setAside(path: string, now: number): Promise<void> {
  const names = new Set(await readdir(dirname(path)))
  let time = now
  let name = ''
  do name = `${basename(path)}.${stampOf(time++)}`
  while (names.has(name) || names.has(name + PACKED))
  await rename(path, join(dirname(path), name))
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
const UNFINISHED = '.gz.tmp'
const STAMP = /^\.(\d{8}T\d{9}Z)(?:\.gz(?:\.tmp)?)?$/

/** ISO 8601, basic format, to the millisecond: in it the order of texts is that of times. */
function stampOf(time: number): string {
  return new Date(time).toISOString().replaceAll(/[-:.]/g, '')
}

/** The times of all files that were set aside, oldest first. */
async function stampsOf(path: string): Promise<string[]> {
  const base = basename(path)
  const stamps = new Set<string>()
  for (const name of await readdir(dirname(path))) {
    const stamp = name.startsWith(base) ? STAMP.exec(name.slice(base.length))?.[1] : undefined
    if (stamp !== undefined) stamps.add(stamp)
  }
  return [...stamps].sort()
}

/** Removes the oldest, from the list too. */
async function removeFirst(path: string, stamps: string[], count: number): Promise<void> {
  for (const stamp of stamps.splice(0, Math.max(0, count))) {
    for (const ending of [UNFINISHED, '', PACKED]) await rm(`${path}.${stamp}${ending}`, { force: true })
  }
}

/** Leaves one form of a file: compressed, if it is to be or is already. */
async function settle(plain: string, compress: boolean, signal: AbortSignal): Promise<void> {
  const isThere = (await stat(plain).catch(absent)) !== undefined
  const isPacked = (await stat(plain + PACKED).catch(absent)) !== undefined
  if (isThere && !isPacked && compress) {
    const target = createWriteStream(plain + UNFINISHED, { flush: true })
    await pipeline(createReadStream(plain), createGzip(), target, { signal })
    await rename(plain + UNFINISHED, plain + PACKED)
    await syncFolder(dirname(plain))
  }
  if (isPacked || !isThere || compress) await rm(plain, { force: true })
  await rm(plain + UNFINISHED, { force: true })
}

async function sizeOf(plain: string): Promise<number> {
  const info = (await stat(plain).catch(absent)) ?? (await stat(plain + PACKED).catch(absent))
  return info?.size ?? 0
}

function absent(): undefined {
  return undefined
}
