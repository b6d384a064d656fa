import { SluiceError } from '../contracts/errors.ts'
import type { Database, SqlValue } from '../contracts/storage.ts'

/** Name of the file in the data folder that holds the buffers of all steps. */
export const BUFFERS_FILE = 'buffers.db'

/**
 * Version of the file's layout, kept in `PRAGMA user_version`. Layout 2 has other bytes in `data`
 * (`packed-frames.ts`, `packBehind`) in the same table; those of layout 1 are read as they are.
 */
export const BUFFERS_VERSION = 2

/** An entry as it is in the file. */
export interface StoredEntry {
  readonly id: number
  readonly data: Buffer
  /** What the checksum of the data must be; undefined when they come from memory. */
  readonly crc: number | undefined
  readonly messages: number
  /** Of the data, as they were when it was stored. */
  readonly bytes: number
  readonly since: number
}

/** A row of `entries`. */
export function toEntry(row: Readonly<Record<string, SqlValue>>): StoredEntry {
  const data = row['data'] as Uint8Array
  return {
    id: Number(row['id']),
    data: Buffer.from(data.buffer, data.byteOffset, data.byteLength),
    crc: Number(row['crc']),
    messages: Number(row['messages']),
    bytes: Number(row['bytes']),
    since: Number(row['time']),
  }
}

/**
 * Makes the tables, or takes over those of an older layout.
 * @throws SluiceError `storage_failed` for a file of a newer version
 */
export async function prepare(database: Database, file: string): Promise<void> {
  const [pragma] = await database.all('PRAGMA user_version')
  const version = Number(pragma?.['user_version'])
  if (version > BUFFERS_VERSION) {
    const text = `the buffers in ${file} were written by a newer version of Sluice (layout ${version})`
    throw new SluiceError('storage_failed', text, { hint: 'Use that version, or let it deliver what is in them.' })
  }
  if (version < BUFFERS_VERSION) await database.exec(CREATE_BUFFERS)
  // Entries are written once and read once, one behind the other: pages that are kept are of little use. It holds for this
  // connection: a storage thread that had to be started anew keeps what SQLite does by itself.
  await database.exec('PRAGMA cache_size = -512')
}

/** Takes the step, the time, how many messages and bytes, the checksum, and the bytes of an entry. */
export const INSERT = 'INSERT INTO entries (step, time, messages, bytes, crc, data) VALUES (?, ?, ?, ?, ?, ?)'
/**
 * Takes a step, the id behind which to begin, and the most rows and bytes: the row with which there are more comes, too.
 * Which entries, by the index alone; then those.
 */
export const SELECT = `
  SELECT entries.* FROM (
    SELECT id, sum(bytes) OVER (ORDER BY id) - bytes AS before FROM entries WHERE step = ? AND id > ? ORDER BY id LIMIT ?
  ) AS chosen JOIN entries ON entries.id = chosen.id WHERE chosen.before < ? ORDER BY entries.id`
/** Takes a step. Answered by the index alone: the entries themselves need not be read. */
export const COUNT = `
  SELECT coalesce(sum(messages), 0) AS messages, coalesce(sum(bytes), 0) AS bytes, coalesce(min(time), 0) AS oldest,
    coalesce(max(id), 0) AS last
  FROM entries WHERE step = ?`
/** Takes what is wrong with an entry, and its id. */
export const PUT_ASIDE = `
  INSERT OR REPLACE INTO damaged (id, step, time, detail, data)
  SELECT id, step, time, ?, data FROM entries WHERE id = ?`

/** Makes the tables of a file that has none, and takes over an older one. */
export const CREATE_BUFFERS = `
  CREATE TABLE IF NOT EXISTS entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    step TEXT NOT NULL,
    time INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    crc INTEGER NOT NULL,
    data BLOB NOT NULL
  ) STRICT;
  CREATE INDEX IF NOT EXISTS entries_by_step ON entries (step, id, messages, bytes, time);
  CREATE TABLE IF NOT EXISTS damaged (
    id INTEGER PRIMARY KEY,
    step TEXT NOT NULL,
    time INTEGER NOT NULL,
    detail TEXT NOT NULL,
    data BLOB NOT NULL
  ) STRICT;
  PRAGMA user_version = ${BUFFERS_VERSION}`
