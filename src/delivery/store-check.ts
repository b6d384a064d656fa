import { join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { crc32 } from 'node:zlib'
import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import { unpackAnswers } from '../contracts/key-file.ts'
import { unpackStored } from './store-export.ts'
import { readStore, type StoreFile, storesIn } from './store-file.ts'

/**
 * Looks for damage in the files of a data folder: what SQLite says of each, the checksum of each entry of a buffer, and
 * whether each message and each kept answer can be read. It blocks, so it is for command lines.
 * @returns a clause for each thing that is damaged
 */
export function checkStores(folder: string): {
  readonly checked: readonly string[]
  readonly damage: readonly string[]
} {
  const checked: string[] = []
  const damage: string[] = []
  for (const { name, kind, version } of storesIn(folder)) {
    try {
      const found = readStore(join(folder, name), (database, layout) => {
        if (layout > version) return [...integrity(database), 'its layout is newer than this version of Sluice']
        if (layout === 0) return integrity(database)
        return [...integrity(database), ...CHECKS[kind](database, layout)]
      })
      if (found === undefined) continue
      checked.push(name)
      damage.push(...found.map((one) => `${name}: ${one}`))
    } catch (thrown) {
      checked.push(name)
      const { message } = thrown instanceof SluiceError ? thrown : toSluiceError(thrown, 'storage_failed')
      damage.push(`${name}: ${message}`)
    }
  }
  return { checked, damage }
}

const CHECKS: Readonly<Record<StoreFile['kind'], (database: DatabaseSync, layout: number) => string[]>> = {
  buffers: entries,
  deadLetters: letters,
  keys,
}

function integrity(database: DatabaseSync): string[] {
  const rows = database.prepare('PRAGMA integrity_check').all()
  return rows.map((row) => String(row['integrity_check'])).filter((text) => text !== 'ok')
}

function entries(database: DatabaseSync): string[] {
  const damage: string[] = []
  for (const { id, step, crc, data } of database.prepare('SELECT id, step, crc, data FROM entries').iterate()) {
    const what = `entry ${id} of the buffer ${step}`
    const bytes = Buffer.from(data as Uint8Array)
    if (crc32(bytes) !== Number(crc)) damage.push(`${what}: its checksum is wrong`)
    else if (!isReadable(bytes)) damage.push(`${what}: it cannot be read`)
  }
  for (const { step, detail } of database.prepare('SELECT step, detail FROM damaged').iterate()) {
    damage.push(`put aside from the buffer ${step}: ${detail}`)
  }
  return damage
}

function letters(database: DatabaseSync, layout: number): string[] {
  if (layout < 2) return []
  const damage: string[] = []
  const rows = database.prepare('SELECT id, packed FROM dead_letters WHERE packed IS NOT NULL').iterate()
  for (const { id, packed } of rows) {
    if (!isReadable(Buffer.from(packed as Uint8Array))) damage.push(`dead letter ${id}: it cannot be read`)
  }
  return damage
}

function keys(database: DatabaseSync): string[] {
  const damage: string[] = []
  for (const { id, answers } of database.prepare('SELECT id, answers FROM keys WHERE answers IS NOT NULL').iterate()) {
    if (!works(() => unpackAnswers(answers))) damage.push(`key ${id}: its answers cannot be read`)
  }
  return damage
}

function isReadable(bytes: Buffer): boolean {
  return works(() => unpackStored(bytes))
}

function works(read: () => unknown): boolean {
  try {
    read()
    return true
  } catch {
    return false
  }
}
