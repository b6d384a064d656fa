import { inspect } from 'node:util'
import { Batch } from '../contracts/batch.ts'
import { formatAddress } from '../contracts/client.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Message } from '../contracts/message.ts'
import type { SqlRow } from '../contracts/storage.ts'
import { packBatch } from './packed-batch.ts'

/** Version of the file's layout, kept in `PRAGMA user_version`. */
export const DEAD_LETTERS_VERSION = 2

/** A message that failed for good, as it was kept. */
export interface StoredDeadLetter {
  /** Grows with time and is never used twice. */
  readonly id: number
  /** When it was given up; RFC 3339. */
  readonly time: string
  /** When its last byte had been read; RFC 3339. */
  readonly received: string
  readonly endpoint: string
  /** Id of the client. */
  readonly client: string
  /** Address of the client: `ip:port`. */
  readonly peer: string
  /** Id of the step that failed; '' for the framing or the format. */
  readonly step: string
  /** Code of the error. */
  readonly code: string
  /** Text of the error. */
  readonly reason: string
  /** How often delivery was tried. */
  readonly attempts: number
  readonly event: string
  /** The frame as it was read; empty for an event. */
  readonly raw: Buffer
  /**
   * The value that the failed step got, as JSON; null when the frame could not be decoded. It is there to be looked at:
   * bytes inside are hexadecimal text, big integers are text, and what JSON cannot hold is a text that describes it.
   */
  readonly value: string | null
  /** What tells the message from all others; '' in a row of layout 1. */
  readonly key: string
  /** The message as `packBatch` gives it; null in a row of layout 1, and where a value cannot be stored. */
  readonly packed: Buffer | null
  /** It failed behind the buffer of its step: the steps behind that one have had it already. */
  readonly passed: boolean
}

/** A row as SQLite gives it. */
export interface StoredRow extends Omit<StoredDeadLetter, 'raw' | 'packed' | 'passed' | 'key'> {
  readonly raw: Uint8Array
  /** These are not there in layout 1. */
  readonly key?: string
  readonly packed?: Uint8Array | null
  readonly passed?: number
}

export function fromRow({ raw, key = '', packed = null, passed = 0, ...rest }: StoredRow): StoredDeadLetter {
  return { ...rest, raw: toBuffer(raw), key, packed: packed && toBuffer(packed), passed: passed !== 0 }
}

/** Makes the table where there is none. */
export const CREATE = `
  CREATE TABLE IF NOT EXISTS dead_letters (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    time TEXT NOT NULL,
    received TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    client TEXT NOT NULL,
    peer TEXT NOT NULL,
    step TEXT NOT NULL,
    code TEXT NOT NULL,
    reason TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    event TEXT NOT NULL,
    raw BLOB NOT NULL,
    value TEXT,
    key TEXT NOT NULL DEFAULT '',
    packed BLOB,
    passed INTEGER NOT NULL DEFAULT 0
  ) STRICT;`

/** Makes layout 2 of a table of layout 1; its rows stay, and cannot be retried. */
export const UPGRADE = `
  ALTER TABLE dead_letters ADD COLUMN key TEXT NOT NULL DEFAULT '';
  ALTER TABLE dead_letters ADD COLUMN packed BLOB;
  ALTER TABLE dead_letters ADD COLUMN passed INTEGER NOT NULL DEFAULT 0;`

/** What a row counts for the bound, besides the bytes of its message. */
const ROW_COST = 256

const sizeOf = (row: string) =>
  `octet_length(${row}raw) + octet_length(${row}reason) + coalesce(octet_length(${row}value), 0) + coalesce(octet_length(${row}packed), 0) + ${ROW_COST}`

/**
 * How many rows there are and how many bytes: kept by the database itself, so that it is known at once and right
 * whatever program writes. Then the file is marked with the version of its layout.
 */
export const COUNT_ROWS = `
  CREATE INDEX IF NOT EXISTS dead_letters_by_time ON dead_letters (time);
  CREATE TABLE IF NOT EXISTS dead_letter_totals (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    letters INTEGER NOT NULL,
    bytes INTEGER NOT NULL
  ) STRICT;
  INSERT OR IGNORE INTO dead_letter_totals
    SELECT 1, count(*), coalesce(sum(${sizeOf('')}), 0) FROM dead_letters;
  CREATE TRIGGER IF NOT EXISTS dead_letter_added AFTER INSERT ON dead_letters BEGIN
    UPDATE dead_letter_totals SET letters = letters + 1, bytes = bytes + ${sizeOf('new.')};
  END;
  CREATE TRIGGER IF NOT EXISTS dead_letter_removed AFTER DELETE ON dead_letters BEGIN
    UPDATE dead_letter_totals SET letters = letters - 1, bytes = bytes - (${sizeOf('old.')});
  END;
  CREATE TRIGGER IF NOT EXISTS dead_letter_replaced AFTER UPDATE ON dead_letters BEGIN
    UPDATE dead_letter_totals SET bytes = bytes + ${sizeOf('new.')} - (${sizeOf('old.')});
  END;
  PRAGMA user_version = ${DEAD_LETTERS_VERSION};`

/** Gives `letters`, `bytes`, and `oldest`: the time of the oldest, null when there is none. */
export const TOTALS = 'SELECT letters, bytes, (SELECT min(time) FROM dead_letters) AS oldest FROM dead_letter_totals'

/**
 * Takes what {@link toRow} gives, and how many bytes there may be before it: with more, none is added. SQLite gives the id
 * and counts the bytes, so several processes may write into one file.
 */
export const INSERT = `
  INSERT INTO dead_letters
    (time, received, endpoint, client, peer, step, code, reason, attempts, event, raw, value, key, packed, passed)
  SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? WHERE (SELECT bytes FROM dead_letter_totals) < ?`

/** Takes what {@link toRow} gives, and the id: the letter has failed again. */
export const REPLACE = `
  UPDATE dead_letters SET
    time = ?, received = ?, endpoint = ?, client = ?, peer = ?, step = ?, code = ?, reason = ?, attempts = ?, event = ?,
    raw = ?, value = ?, key = ?, packed = ?, passed = ?
  WHERE id = ?`

/** What is known of a failure. */
export interface Failed {
  readonly message: Message
  readonly error: SluiceError
  /** Id of the step; '' for the framing or the format. */
  readonly step: string
  /** See {@link StoredDeadLetter.passed}. */
  readonly passed: boolean
}

/**
 * A message as a row of the table.
 * @param before the dead letter that it was when it was retried: its attempts are counted on, and so is its age
 */
export function toRow({ message, error, step, passed }: Failed, before?: StoredDeadLetter): SqlRow {
  const { client, endpoint, event, raw, received, source, msg } = message
  return [
    before?.time ?? new Date(source.clock.now()).toISOString(),
    received.toISOString(),
    endpoint,
    client.id,
    formatAddress(client),
    step,
    error.code,
    error.message,
    error.attempts + (before?.attempts ?? 0),
    event,
    raw,
    toJson(msg),
    message.key,
    pack(message),
    passed ? 1 : 0,
  ]
}

/** What a row counts for the bound, as the database counts it. */
export function sizeOfRow(row: SqlRow): number {
  const [reason, raw, value, packed] = [row[7], row[10], row[11], row[13]] as (string | Buffer | null)[]
  return [reason, raw, value, packed].reduce((sum, part) => sum + Buffer.byteLength(part ?? ''), ROW_COST)
}

function pack(message: Message): Buffer | null {
  try {
    return packBatch(Batch.of([message]))
  } catch {
    // A value that cannot be stored, a function say. It can be looked at, and that is all.
    return null
  }
}

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** A value as JSON that can be looked at. Never fails: a message must not be lost because its value is odd. */
export function toJson(value: unknown): string | null {
  if (value === null || value === undefined) return null
  try {
    const json: string | undefined = JSON.stringify(value, readable)
    if (json !== undefined) return json
  } catch {
    // Told in the text below as well as can be.
  }
  return JSON.stringify(inspect(value))
}

/** `this` holds the value as it is; the one given has been through its `toJSON` already, which makes a list of a Buffer. */
function readable(this: Readonly<Record<string, unknown>>, key: string, value: unknown): unknown {
  const original = this[key]
  if (original instanceof Uint8Array) return Buffer.from(original).toString('hex')
  return typeof value === 'bigint' ? String(value) : value
}

/** The error for a file that a later version of Sluice has written. */
export function newerVersion(file: string, version: number): SluiceError {
  const text = `the dead letters in ${file} were written by a newer version of Sluice (layout ${version})`
  return new SluiceError('storage_failed', text, { hint: 'Use that version, or move the file away.' })
}
