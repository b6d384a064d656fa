import { readFileSync } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { SluiceError } from '../contracts/errors.ts'
import { formatSize } from '../util/units.ts'

/** Files with which an operator tells a step something: a schema, a table. None may be larger: bytes. */
const MAX_SIZE = 64 * 1024 * 1024

/** Reads a file when a configuration is planned or built. @throws SluiceError `step_failed` */
export function readTextFile(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (thrown) {
    throw unreadable(path, thrown)
  }
}

/** What tells that a file has changed: its size, when that was, and which file it is. @throws SluiceError `step_failed` */
export async function fileStamp(path: string): Promise<string> {
  try {
    const { size, mtimeMs, ino } = await stat(path)
    if (size > MAX_SIZE) throw new Error(`it has more than ${formatSize(MAX_SIZE)}`)
    return `${ino} ${size} ${mtimeMs}`
  } catch (thrown) {
    throw unreadable(path, thrown)
  }
}

/** The bytes of a file. @throws SluiceError `step_failed` */
export async function readBytesFile(path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (thrown) {
    throw unreadable(path, thrown)
  }
}

function unreadable(path: string, thrown: unknown): SluiceError {
  const { code, message } = thrown as NodeJS.ErrnoException
  const problem = code === 'ENOENT' ? 'there is no such file' : message
  return new SluiceError('step_failed', `${path} cannot be read: ${problem}`, { cause: thrown })
}
