import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import type { Clock } from '../contracts/clock.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Format } from '../contracts/format.ts'
import { unpackAnswers } from '../contracts/key-file.ts'
import type { Message } from '../contracts/message.ts'
import { findInvalidUtf8 } from '../util/utf8.ts'
import { fromRow, type StoredRow, toJson } from './dead-letter-rows.ts'
import { unpackBatch } from './packed-batch.ts'
import { storedProgress } from './progress.ts'
import { BUFFERS_STORE, DEAD_LETTERS_STORE, keysStore, readStore, type StoreFile } from './store-file.ts'

/** What is exported of a message: an object that JSON can hold. */
export type Exported = Readonly<Record<string, unknown>>

/**
 * Gives each dead letter, oldest first. It blocks, so it is for command lines.
 * @throws SluiceError `storage_failed`
 */
export function exportDeadLetters(folder: string, give: (message: Exported) => void): void {
  const found = readStore(join(folder, DEAD_LETTERS_STORE.name), (database, layout) => {
    requireKnown(folder, DEAD_LETTERS_STORE, layout)
    for (const row of database.prepare('SELECT * FROM dead_letters ORDER BY id').iterate()) {
      const { raw, value, packed: _, passed: __, ...fields } = fromRow(row as unknown as StoredRow)
      give({ ...fields, ...bytesOf(raw), value: value === null ? undefined : JSON.parse(value) })
    }
    return true
  })
  if (found === undefined) throw new SluiceError('storage_failed', `there are no dead letters in ${folder}`)
}

/**
 * Gives what is kept under the id of a step: each message that waits in its buffer, in the order in which they would be
 * delivered; each key that a `dedupe` knows, with the answers, oldest first.
 * @param onDamaged told of a row that cannot be read, in a clause
 * @throws SluiceError `storage_failed`, also when nothing is kept for such a step
 */
export function exportStep(
  folder: string,
  step: string,
  give: (message: Exported) => void,
  onDamaged: (what: string) => void,
): void {
  const count = exportBuffer(folder, step, give, onDamaged) + exportKeys(folder, step, give, onDamaged)
  if (count > 0) return
  throw new SluiceError('storage_failed', `nothing is kept for a step ${step} in ${folder}`, {
    hint: 'sluice data status lists the steps.',
  })
}

/** @returns how many entries there were */
function exportBuffer(
  folder: string,
  step: string,
  give: (message: Exported) => void,
  onDamaged: (what: string) => void,
): number {
  const count = readStore(join(folder, BUFFERS_STORE.name), (database, layout) => {
    requireKnown(folder, BUFFERS_STORE, layout)
    if (layout === 0) return 0
    const progress = storedProgress(database, step)
    let entries = 0
    for (const row of database.prepare('SELECT * FROM entries WHERE step = ? ORDER BY id').iterate(step)) {
      entries++
      const data = Buffer.from(row['data'] as Uint8Array)
      try {
        if (crc32(data) !== Number(row['crc'])) throw new Error('its checksum is wrong')
        for (const message of unpackStored(data, progress.of(Number(row['id']))))
          give({ step, stored: timeOf(Number(row['time'])), ...fieldsOf(message) })
      } catch {
        onDamaged(`entry ${row['id']}`)
      }
    }
    return entries
  })
  return count ?? 0
}

/** @returns how many rows there were */
function exportKeys(
  folder: string,
  step: string,
  give: (message: Exported) => void,
  onDamaged: (what: string) => void,
): number {
  const store = keysStore(step)
  const count = readStore(join(folder, store.name), (database, layout) => {
    requireKnown(folder, store, layout)
    if (layout === 0) return 0
    let rows = 0
    for (const { id, key, time, answers } of database.prepare('SELECT * FROM keys ORDER BY id').iterate()) {
      rows++
      try {
        const kept = unpackAnswers(answers).map(({ kind, content }) => ({ kind, ...bytesOf(content) }))
        give({ step, ...keyFieldsOf(String(key)), recorded: timeOf(Number(time)), answers: kept })
      } catch {
        onDamaged(`key ${id}`)
      }
    }
    return rows
  })
  return count ?? 0
}

/** A key is kept behind the name of its endpoint; a long one as the hash of both. */
function keyFieldsOf(kept: string): Exported {
  const space = kept.indexOf(' ')
  return kept.startsWith('#') ? { hash: kept.slice(1) } : { endpoint: kept.slice(0, space), key: kept.slice(space + 1) }
}

/**
 * The messages in packed bytes; what nobody had changed has its frame as value.
 * @param done places of messages that are left out
 * @throws when the bytes are damaged
 */
export function unpackStored(bytes: Buffer, done?: ReadonlySet<number>): readonly Message[] {
  return unpackBatch(bytes, () => FRAMES, NO_TIME, done).batch.messages
}

/** What is only looked at needs no clock. */
const NO_TIME: Clock = { now: () => 0, elapsed: () => 0, sleep: async () => true, uuid: () => '', next: () => 0 }

/** Without the configuration nobody knows the format of the endpoint. */
const FRAMES: Format = {
  parse: (bytes, start, end) => bytes.subarray(start, end),
  print: (value) => value as Buffer,
}

function fieldsOf({ endpoint, client, key, topic, event, time, raw, msg, verbatim }: Message): Exported {
  const value = verbatim === undefined ? toJson(msg) : null
  return {
    endpoint,
    client: client.id,
    key,
    topic: topic === '' ? undefined : topic,
    event,
    received: timeOf(time),
    ...bytesOf(raw),
    value: value === null ? undefined : JSON.parse(value),
  }
}

/** `raw` in Base64, and as text where it is UTF-8. */
function bytesOf(raw: Buffer): Exported {
  const isText = findInvalidUtf8(raw, 0, raw.length) === -1
  return { raw: raw.toString('base64'), text: isText ? raw.toString() : undefined }
}

function timeOf(milliseconds: number): string {
  return new Date(milliseconds).toISOString()
}

function requireKnown(folder: string, { name, version }: StoreFile, layout: number): void {
  if (layout <= version) return
  const text = `${join(folder, name)} was written by a newer version of Sluice (layout ${layout})`
  throw new SluiceError('storage_failed', text, { hint: 'Use that version.' })
}
