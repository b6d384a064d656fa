import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { SluiceError } from '../contracts/errors.ts'
import { makeFolder } from '../util/folder.ts'

/**
 * Makes a folder this server's own. The lock is one that SQLite holds on a file in it, so the system takes it back when
 * the process ends, however it ends, and nothing is left over that had to be removed by hand.
 * @param folder made when missing
 * @returns what gives it back
 * @throws SluiceError `storage_failed` when another server has it
 */
export function lockFolder(folder: string): () => void {
  const holder = join(folder, 'lock.pid')
  let database: DatabaseSync | undefined
  try {
    makeFolder(folder)
    database = new DatabaseSync(join(folder, 'lock'), { timeout: 0 })
    database.exec('BEGIN EXCLUSIVE')
    writeFileSync(holder, String(process.pid))
  } catch (thrown) {
    database?.close()
    const { errcode, message } = thrown as Error & { errcode?: number }
    if (errcode !== BUSY)
      throw new SluiceError('storage_failed', `cannot lock ${folder}: ${message}`, { cause: thrown })
    throw new SluiceError('storage_failed', `another server${pidIn(holder)} uses the data folder ${folder}`, {
      hint: 'Stop it, or give each server a folder of its own with data: { dir: … }.',
    })
  }
  const locked = database
  return () => locked.close()
}

/** SQLITE_BUSY (sqlite.org/rescode.html). */
const BUSY = 5

function pidIn(file: string): string {
  try {
    return ` (process ${readFileSync(file, 'utf8')})`
  } catch {
    return ''
  }
}
