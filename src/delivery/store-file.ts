import { existsSync, readdirSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { SluiceError } from '../contracts/errors.ts'
import { KEYS_VERSION, keysFileOf, stepOfKeysFile } from '../contracts/key-file.ts'
import { BUFFERS_FILE, BUFFERS_VERSION } from './buffers-file.ts'
import { DEAD_LETTERS_VERSION } from './dead-letter-rows.ts'
import { DEAD_LETTERS_FILE } from './dead-letters.ts'

/** A file of a data folder. */
export interface StoreFile {
  readonly name: string
  readonly kind: 'buffers' | 'deadLetters' | 'keys'
  /** The layout that this version of Sluice writes. */
  readonly version: number
}

export const BUFFERS_STORE: StoreFile = { name: BUFFERS_FILE, kind: 'buffers', version: BUFFERS_VERSION }
export const DEAD_LETTERS_STORE: StoreFile = {
  name: DEAD_LETTERS_FILE,
  kind: 'deadLetters',
  version: DEAD_LETTERS_VERSION,
}

/** The keys of a step `dedupe`. */
export function keysStore(step: string): StoreFile {
  return { name: keysFileOf(step), kind: 'keys', version: KEYS_VERSION }
}

/** The files that may be in a data folder, and those of all the `dedupe` steps that are. */
export function storesIn(folder: string): readonly StoreFile[] {
  const steps = existsSync(folder) ? readdirSync(folder).sort().map(stepOfKeysFile) : []
  return [BUFFERS_STORE, DEAD_LETTERS_STORE, ...steps.flatMap((step) => (step === undefined ? [] : keysStore(step)))]
}

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
