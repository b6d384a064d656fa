import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { SluiceError } from '../contracts/errors.ts'
import type { Format } from '../contracts/format.ts'
import type { Message } from '../contracts/message.ts'
import { findInvalidUtf8 } from '../util/utf8.ts'
import { BUFFERS_FILE } from './buffers-file.ts'
import { fromRow, newerVersion, type StoredRow, toJson } from './dead-letter-rows.ts'
import { DEAD_LETTERS_FILE } from './dead-letters.ts'
import { unpackBatch } from './packed-batch.ts'
import { readStore, STORES } from './store-file.ts'

/** What is exported of a message: an object that JSON can hold. */
export type Exported = Readonly<Record<string, unknown>>

/**
 * Gives each dead letter, oldest first. It blocks, so it is for command lines.
 * @throws SluiceError `storage_failed`
 */
export function exportDeadLetters(folder: string, give: (message: Exported) => void): void {
  const found = readStore(join(folder, DEAD_LETTERS_FILE), (database, layout) => {
    requireKnown(folder, DEAD_LETTERS_FILE, layout)
    for (const row of database.prepare('SELECT * FROM dead_letters ORDER BY id').iterate()) {
      const { raw, value, packed: _, passed: __, ...fields } = fromRow(row as unknown as StoredRow)
      give({ ...fields, ...bytesOf(raw), value: value === null ? undefined : JSON.parse(value) })
    }
    return true
  })
  if (found === undefined) throw new SluiceError('storage_failed', `there are no dead letters in ${folder}`)
}

/**
 * Gives each message that waits in the buffer of a step, in the order in which they would be delivered.
 * @param onDamaged called for an entry that cannot be read
 * @throws SluiceError `storage_failed`, also when nothing waits for such a step
 */
export function exportBuffer(
  folder: string,
  step: string,
  give: (message: Exported) => void,
  onDamaged: (entry: number) => void,
): void {
  const count = readStore(join(folder, BUFFERS_FILE), (database, layout) => {
    requireKnown(folder, BUFFERS_FILE, layout)
    let entries = 0
    for (const row of database.prepare('SELECT * FROM entries WHERE step = ? ORDER BY id').iterate(step)) {
      entries++
      const data = Buffer.from(row['data'] as Uint8Array)
      try {
        if (crc32(data) !== Number(row['crc'])) throw new Error('its checksum is wrong')
        for (const message of unpackStored(data))
          give({ step, stored: timeOf(Number(row['time'])), ...fieldsOf(message) })
      } catch {
        onDamaged(Number(row['id']))
      }
    }
    return entries
  })
  if (count) return
  throw new SluiceError('storage_failed', `nothing waits in a buffer of a step ${step} in ${folder}`, {
    hint: 'sluice data status lists the steps.',
  })
}

/** The messages in packed bytes; what nobody had changed has its frame as value. @throws when the bytes are damaged */
export function unpackStored(bytes: Buffer): readonly Message[] {
  return unpackBatch(bytes, () => FRAMES, { now: () => 0, uuid: () => '', next: () => 0 }).batch.messages
}

/** Without the configuration nobody knows the format of the endpoint. */
const FRAMES: Format = {
  parse: (bytes, start, end) => bytes.subarray(start, end),
  print: (value) => value as Buffer,
}

function fieldsOf({ endpoint, client, key, event, time, raw, msg, verbatim }: Message): Exported {
  const value = verbatim === undefined ? toJson(msg) : null
  return {
    endpoint,
    client: client.id,
    key,
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

function requireKnown(folder: string, name: string, layout: number): void {
  if (layout > STORES.find((store) => store.name === name)!.version) throw newerVersion(join(folder, name), layout)
}
