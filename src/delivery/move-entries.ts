import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { SluiceError } from '../contracts/errors.ts'
import { makeFolder } from '../util/folder.ts'
import { BUFFERS_VERSION, CREATE_BUFFERS } from './buffers-file.ts'
import { copyProgress, createProgress } from './progress.ts'
import { readStore } from './store-file.ts'

/** Ids of the steps for which something waits in a file of buffers. @throws SluiceError `storage_failed` */
export function stepsWaitingIn(file: string): readonly string[] {
  const steps = readStore(file, (database, layout) => {
    if (layout === 0 || layout > BUFFERS_VERSION) return []
    return database.prepare('SELECT DISTINCT step FROM entries').all()
  })
  return (steps ?? []).map(({ step }) => String(step))
}

/** Whether nothing at all is left in a file of buffers, nothing that was put aside either. */
export function holdsNothing(file: string): boolean {
  const rows = readStore(file, (database, layout) => {
    if (layout === 0 || layout > BUFFERS_VERSION) return layout === 0 ? [] : [layout]
    return database.prepare('SELECT id FROM entries UNION ALL SELECT id FROM damaged LIMIT 1').all()
  })
  return rows === undefined || rows.length === 0
}

/**
 * Moves what waits for a step to the end of another file of buffers, which is made when missing. No server may use either
 * file. It is on the disk there before it is removed here, so a crash in between doubles some and loses none. It blocks.
 * @returns how many messages have been moved
 * @throws SluiceError `storage_failed`
 */
export function moveEntries(from: string, to: string, step: string): number {
  if (!existsSync(from)) return 0
  let database: DatabaseSync | undefined
  try {
    makeFolder(dirname(to))
    database = new DatabaseSync(to, { timeout: 5000 })
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
    requireLayout(database, to)
    database.prepare('ATTACH ? AS leftover').run(from)
    database.exec('PRAGMA leftover.synchronous = FULL')
    for (const schema of ['main', 'leftover']) database.exec(createProgress(schema))
    let messages = 0
    for (let moved = moveSome(database, step); moved !== undefined; moved = moveSome(database, step)) messages += moved
    return messages
  } catch (thrown) {
    if (thrown instanceof SluiceError) throw thrown
    const reason = thrown instanceof Error ? thrown.message : String(thrown)
    throw new SluiceError('storage_failed', `what waits in ${from} cannot be moved to ${to}: ${reason}`, {
      cause: thrown,
    })
  } finally {
    database?.close()
  }
}

/** @returns messages; undefined when nothing is left */
function moveSome(database: DatabaseSync, step: string): number | undefined {
  const [chosen] = database.prepare(CHOSEN).all(step, MOST_ROWS)
  if (chosen?.['last'] == null) return undefined
  const last = Number(chosen['last'])
  const before = Number(database.prepare('SELECT coalesce(max(id), 0) AS id FROM main.entries').get()!['id'])
  database.prepare(COPY).run(step, last)
  copyProgress(database, step, before, last)
  database.prepare('DELETE FROM leftover.entries WHERE step = ? AND id <= ?').run(step, last)
  return Number(chosen['messages'])
}

function requireLayout(database: DatabaseSync, file: string): void {
  const layout = Number(database.prepare('PRAGMA user_version').get()?.['user_version'])
  if (layout < BUFFERS_VERSION) database.exec(CREATE_BUFFERS)
  if (layout <= BUFFERS_VERSION) return
  const text = `the buffers in ${file} were written by a newer version of Sluice (layout ${layout})`
  throw new SluiceError('storage_failed', text, { hint: 'Use that version, or let it deliver what is in them.' })
}

/** So many are moved at once: what is there twice meanwhile needs room on the disk. */
const MOST_ROWS = 512

const CHOSEN = `
  SELECT max(id) AS last, sum(messages) AS messages
  FROM (SELECT id, messages FROM leftover.entries WHERE step = ? ORDER BY id LIMIT ?)`
const COPY = `
  INSERT INTO main.entries (step, time, messages, bytes, crc, data)
  SELECT step, time, messages, bytes, crc, data FROM leftover.entries WHERE step = ? AND id <= ? ORDER BY id`
