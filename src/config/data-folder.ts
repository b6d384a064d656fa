import { accessSync, constants, existsSync, mkdtempSync, readdirSync, rmdirSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { SluiceError } from '../contracts/errors.ts'
import { DEAD_LETTERS_FILE } from '../delivery/dead-letters.ts'
import { lockFolder } from '../storage/folder-lock.ts'

/** The folder in which a server keeps what outlives it. */
export class DataFolder {
  /** Absolute. */
  readonly path: string
  #unlock: (() => void) | undefined = undefined

  constructor(path: string) {
    this.path = path
  }

  /**
   * Keeps other servers out, for what only one may use. Dead letters may be written by several.
   * @throws SluiceError `storage_failed` when another server has the folder
   */
  lock(): void {
    this.#unlock ??= lockFolder(this.path)
  }

  unlock(): void {
    this.#unlock?.()
    this.#unlock = undefined
  }
}

/**
 * The folder of what only one of several workers may write.
 * @param slot from 1 on; the first has the data folder itself, as a single process has
 */
export function folderOfSlot(dir: string, slot: number): string {
  return slot === 1 ? dir : join(dir, `${SLOT_FOLDER}${slot}`)
}

/** The slots that have a folder in a data folder, whether there are so many workers now or not; the first is not told. */
export function slotsIn(dir: string): readonly number[] {
  if (!existsSync(dir)) return []
  const names = readdirSync(dir, { withFileTypes: true }).filter((entry) => entry.isDirectory())
  const slots = names.map(({ name }) => (name.startsWith(SLOT_FOLDER) ? Number(name.slice(SLOT_FOLDER.length)) : 0))
  return slots.filter((slot) => Number.isSafeInteger(slot) && slot > 1).sort((a, b) => a - b)
}

const SLOT_FOLDER = 'worker-'

/**
 * Finds out at the start whether dead letters could be kept: the first one that fails must not be the one that is lost.
 * The folder is not made. Where it, or the nearest one above it, is there, a folder is made in it and removed again:
 * permissions alone do not tell of a disk that is full or read-only, or of `/proc`.
 * @param dir the data folder, absolute or from the working directory
 * @throws SluiceError `storage_failed`
 */
export function requireDataFolder(dir: string): void {
  try {
    const folder = nearestFolder(resolve(dir))
    rmdirSync(mkdtempSync(join(folder, '.sluice-')))
    const file = join(dir, DEAD_LETTERS_FILE)
    if (existsSync(file)) accessSync(file, constants.R_OK | constants.W_OK)
  } catch (thrown) {
    throw new SluiceError('storage_failed', `data.dir ${dir} cannot be written: ${reasonOf(thrown)}`, {
      cause: thrown,
      hint: 'Dead letters are kept there; name another folder with data: { dir: … }.',
    })
  }
}

/** @throws Error when a file stands where a folder is needed */
function nearestFolder(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false })
  if (found === undefined) return nearestFolder(dirname(path))
  if (!found.isDirectory()) throw new Error(`${path} is no folder`)
  return path
}

function reasonOf(thrown: unknown): string {
  const { code, message } = thrown as NodeJS.ErrnoException
  return (code === undefined ? undefined : REASONS[code]) ?? message
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'this user may not write there (EACCES)',
  EPERM: 'this user may not write there (EPERM)',
  EROFS: 'the file system is read-only (EROFS)',
  ENOSPC: 'the disk is full (ENOSPC)',
  ENOENT: 'no folder can be made there (ENOENT)',
  ENOTDIR: 'a part of the path is no folder (ENOTDIR)',
}
