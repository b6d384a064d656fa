import { existsSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { SluiceError } from '../contracts/errors.ts'
import { BUFFERS_FILE, BUFFERS_VERSION } from './buffers-file.ts'
import { DEAD_LETTERS_VERSION } from './dead-letter-rows.ts'
import { DEAD_LETTERS_FILE } from './dead-letters.ts'

/** The files of a data folder, with the layout that this version of Sluice writes. */
export const STORES = [
  { name: BUFFERS_FILE, version: BUFFERS_VERSION },
  { name: DEAD_LETTERS_FILE, version: DEAD_LETTERS_VERSION },
] as const

/**
 * Reads a file of the data folder, whether a server has it open or not. It blocks, so it is for command lines.
 * @returns undefined when there is no such file
 * @throws SluiceError `storage_failed`
 */
export function readStore<T>(file: string, read: (database: DatabaseSync, version: number) => T): T | undefined {
  if (!existsSync(file)) return undefined
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(file, { readOnly: true, timeout: 5000 })
    return read(database, layoutOf(database))
  } catch (thrown) {
    if (thrown instanceof SluiceError) throw thrown
    const reason = thrown instanceof Error ? thrown.message : String(thrown)
    throw new SluiceError('storage_failed', `${file} cannot be read: ${reason}`, { cause: thrown })
  } finally {
    database?.close()
  }
}

function layoutOf(database: DatabaseSync): number {
  return Number(database.prepare('PRAGMA user_version').get()?.['user_version'])
}
