import { inspect } from 'node:util'
import { formatAddress } from '../contracts/client.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Message } from '../contracts/message.ts'
import type { SqlRow } from '../contracts/storage.ts'

/** Version of the file's layout, kept in `PRAGMA user_version`. */
export const DEAD_LETTERS_VERSION = 1

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
}

/** Makes the table and marks the file with the version of its layout. */
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
    value TEXT
  ) STRICT;
  PRAGMA user_version = ${DEAD_LETTERS_VERSION}`

/** Takes what {@link toRow} gives. SQLite gives the id, so several servers may write into one file. */
export const INSERT = `
  INSERT INTO dead_letters
    (time, received, endpoint, client, peer, step, code, reason, attempts, event, raw, value)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

/** A message as a row of the table. */
export function toRow(message: Message, error: SluiceError, step: string): SqlRow {
  const { client, endpoint, event, raw, received, source, msg } = message
  return [
    new Date(source.clock.now()).toISOString(),
    received.toISOString(),
    endpoint,
    client.id,
    formatAddress(client),
    step,
    error.code,
    error.message,
    error.attempts,
    event,
    raw,
    toJson(msg),
  ]
}

/** Never fails: a message must not be lost because its value is odd. */
function toJson(value: unknown): string | null {
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
