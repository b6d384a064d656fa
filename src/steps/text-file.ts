import { readFileSync, statSync } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import { formatSize } from '../util/units.ts'

/** What tells that a file has changed. */
export interface FileState {
  readonly stamp: string
  /** Milliseconds since 1970. */
  readonly changed: number
}

/**
 * Reads a file with which an operator tells a step something, a schema or a table, while a configuration is planned. A
 * byte order mark is left out.
 * @throws SluiceError `step_failed`
 */
export function readGivenFile(path: string): Buffer {
  try {
    checkSize(statSync(path).size)
    return withoutMark(readFileSync(path))
  } catch (thrown) {
    throw unreadable(path, thrown)
  }
}

/** As {@link readGivenFile}, while messages are worked on. @throws SluiceError `step_failed` */
export async function rereadGivenFile(path: string): Promise<Buffer> {
  try {
    return withoutMark(await readFile(path))
  } catch (thrown) {
    throw unreadable(path, thrown)
  }
}

/** The state of a file, for one who has read it before. @throws SluiceError `step_failed` */
export async function fileState(path: string): Promise<FileState> {
  try {
    const { size, mtimeMs, ino } = await stat(path)
    checkSize(size)
    return { stamp: `${ino} ${size} ${mtimeMs}`, changed: mtimeMs }
  } catch (thrown) {
    throw unreadable(path, thrown)
  }
}

/** Bytes; what is larger is no file of this kind, and would not fit into memory as values. */
const MAX_SIZE = 64 * 1024 * 1024

function checkSize(size: number): void {
  if (size > MAX_SIZE) throw new SluiceError('step_failed', `it has more than ${formatSize(MAX_SIZE)}`)
}

function withoutMark(bytes: Buffer): Buffer {
  return bytes.subarray(0, 3).toString('latin1') === '\xef\xbb\xbf' ? bytes.subarray(3) : bytes
}

function unreadable(path: string, thrown: unknown): SluiceError {
  const { code, message } = thrown as NodeJS.ErrnoException
  const problem = code === 'ENOENT' ? 'there is no such file' : message
  return new SluiceError('step_failed', `${path} cannot be read: ${problem}`, { cause: toSluiceError(thrown) })
}
