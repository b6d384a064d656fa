import { type FileHandle, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { makeFolder } from '../util/folder.ts'

/** A file that is open to append. */
export interface Opened {
  readonly handle: FileHandle
  /** Device and number of the file: which one it is, whatever its name. */
  readonly dev: number
  readonly ino: number
  /** Its last byte; undefined when it is empty, or once we have written records that end as they should. */
  last: number | undefined
  /** Its length in bytes, as far as we know. */
  size: number
  /** When it was last written to, as far as we know; milliseconds since 1970. */
  writtenAt: number
}

/** Bytes that are written together. */
export interface Records {
  readonly parts: readonly Buffer[]
  /** The byte that stands behind each record, where there is one. */
  readonly separator: number | undefined
}

/** Opens the file to read and append, and puts its folder and its name on the disk, should the power fail. */
export async function openForAppend(path: string): Promise<Opened> {
  const folder = dirname(path)
  const created = makeFolder(folder)
  const handle = await open(path, 'a+')
  try {
    const { dev, ino, size, mtimeMs } = await handle.stat()
    const last = await lastByte(handle, size)
    const top = created === undefined ? folder : dirname(created)
    for (let current = folder; ; current = dirname(current)) {
      await syncFolder(current)
      if (current === top) return { handle, dev, ino, last, size, writtenAt: mtimeMs }
    }
  } catch (error) {
    await handle.close()
    throw error
  }
}

/** The last byte of a file of this length; undefined when it is empty. */
export async function lastByte(handle: FileHandle, size: number): Promise<number | undefined> {
  return size === 0 ? undefined : (await handle.read(Buffer.alloc(1), 0, 1, size - 1)).buffer[0]
}

/**
 * All bytes of a group. A file that ends in half a record gets a separator before the first record that has one.
 * @param last byte of the file, where it may be in the middle of a record
 * @returns also whether one of them has a separator, so that the file then ends as it should
 */
export function joinRecords(group: readonly Records[], last: number | undefined) {
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

/** Puts the names in a folder on the disk. Some file systems cannot sync a folder, and some folders may not be read; their names are kept in their own way. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r').catch(nothing)
  await folder?.sync().catch(nothing)
  await folder?.close()
}

/** Writes all the bytes, however few the system takes at once. `progress` is right also when this throws. */
export async function writeAll(
  handle: FileHandle,
  buffers: readonly Buffer[],
  progress: { done: number },
): Promise<void> {
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

function nothing(): undefined {
  return undefined
}
