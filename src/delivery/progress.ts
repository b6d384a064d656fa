import type { DatabaseSync } from 'node:sqlite'
import { crc32 } from 'node:zlib'
import type { Database, SqlRow } from '../contracts/storage.ts'

/**
 * How far the entries are that were delivered in part: the places of their messages that are dealt with. It is in memory;
 * a clean end stores it beside the entries, so that only a crash delivers such messages once more.
 */
export class Progress {
  readonly #places = new Map<number, Set<number>>()
  #settled = 0
  #size = 0

  /** Messages that are dealt with, in all entries. */
  get size(): number {
    return this.#size
  }

  /** @returns how many places were not known; 0 for an entry that is settled */
  note(entry: number, places: Iterable<number>): number {
    if (entry <= this.#settled) return 0
    const known = this.#places.get(entry) ?? new Set()
    const before = known.size
    for (const place of places) known.add(place)
    if (known.size > 0) this.#places.set(entry, known)
    const added = known.size - before
    this.#size += added
    return added
  }

  of(entry: number): ReadonlySet<number> {
    return this.#places.get(entry) ?? NONE
  }

  /** The entries up to this id are dealt with as a whole. */
  settle(upTo: number): void {
    this.#settled = upTo
    for (const entry of this.#places.keys()) if (entry <= upTo) this.forget(entry)
  }

  /** An entry is there no more. */
  forget(entry: number): void {
    this.#size -= this.of(entry).size
    this.#places.delete(entry)
  }

  /**
   * Reads what the run before has stored.
   * @throws SluiceError `storage_failed`
   */
  static async open(database: Database, step: string): Promise<Progress> {
    await database.exec(createProgress())
    const progress = new Progress()
    const rows = await database.all(SELECT, [step])
    for (const row of rows) progress.note(Number(row['entry']), placesOf(row))
    return progress
  }

  /** Stores it. @throws SluiceError `storage_failed` */
  async store(database: Database): Promise<void> {
    const rows = Array.from(this.#places, ([entry, places]): SqlRow => {
      const text = JSON.stringify([...places])
      return [entry, text, crc32(text)]
    })
    await Promise.all([database.write(FORGET, [[]]), database.write(INSERT, rows)])
  }
}

/** What a file that no server uses says of the entries of a step. */
export function storedProgress(database: DatabaseSync, step: string): Progress {
  const progress = new Progress()
  // A file that an older version has written has no such table.
  if (database.prepare("SELECT 1 FROM sqlite_master WHERE name = 'progress'").get() === undefined) return progress
  for (const row of database.prepare(SELECT).all(step)) progress.note(Number(row['entry']), placesOf(row))
  return progress
}

/**
 * Copies it for entries that were copied from the attached file `leftover`, in their order.
 * @param before the last id that was in use here before that
 * @param last the last id of those that were copied, there
 */
export function copyProgress(database: DatabaseSync, step: string, before: number, last: number): void {
  database.prepare(COPY).run(before, step, last)
}

/** Makes its table. @param schema under which the file is attached to the connection */
export function createProgress(schema = 'main'): string {
  return `
    CREATE TABLE IF NOT EXISTS ${schema}.progress (
      entry INTEGER PRIMARY KEY, places TEXT NOT NULL, crc INTEGER NOT NULL
    ) STRICT`
}

/** None where the row is damaged: a message that is delivered twice is better than one that is not delivered. */
function placesOf(row: Readonly<Record<string, unknown>>): readonly number[] {
  const text = String(row['places'])
  return crc32(text) === Number(row['crc']) ? JSON.parse(text) : []
}

const NONE: ReadonlySet<number> = new Set()

/** Takes a step. */
const SELECT = 'SELECT entry, places, progress.crc FROM progress JOIN entries ON entries.id = entry WHERE step = ?'
const INSERT = 'INSERT OR REPLACE INTO progress (entry, places, crc) VALUES (?, ?, ?)'
const FORGET = 'DELETE FROM progress WHERE entry NOT IN (SELECT id FROM entries)'
/** Takes the last id that was in use here, a step, and the last id that was copied. */
const COPY = `
  INSERT INTO main.progress (entry, places, crc)
  SELECT here.id, places, crc
  FROM (SELECT id, row_number() OVER (ORDER BY id) AS place FROM main.entries WHERE id > ?) AS here
  JOIN (SELECT id, row_number() OVER (ORDER BY id) AS place FROM leftover.entries WHERE step = ? AND id <= ?) AS there
    USING (place)
  JOIN leftover.progress ON progress.entry = there.id`
