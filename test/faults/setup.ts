import { closeSync, existsSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { BUFFERS_FILE } from '../../src/delivery/buffers-file.ts'
import { unpackBatch } from '../../src/delivery/packed-batch.ts'
import { text } from '../../src/formats/text.ts'
import { createTestClock } from '../../src/testing/part-context.ts'
import type { Place } from './ledger-check.ts'

/**
 * What is put to the test: a dataflow that answers `OK <id>` to each line when the message is safe, and the places where
 * messages lie then. The scenarios know nothing else of it, so they hold for whatever makes a message durable.
 */
export interface Setup {
  readonly name: string
  /** Messages that may be there twice after one fault: as many as a delivery that was cut short. 0 without a buffer. */
  readonly window: number
  /**
   * The text of a `sluice.yaml`: one endpoint on this port of 127.0.0.1 that reads lines and answers `OK <id>`, the id
   * being all before the first blank.
   * @param store absolute path of the folder in which everything that must survive lies, `data.dir` too
   */
  config(at: { readonly port: number; readonly store: string }): string
  /**
   * Where messages lie, a place that they leave before the one that they go to. Read while the server runs without load,
   * or when it has ended. A file that is not there yet is an empty place.
   */
  places(store: string): Place[]
}

/** The configuration of a setup. */
export type Configured = Pick<Setup, 'config'>

/** The same with so many workers. */
export function withWorkers<Some extends Configured>(workers: number, setup: Some): Some {
  return {
    ...setup,
    config: (at: { readonly port: number; readonly store: string }) => `workers: ${workers}\n${setup.config(at)}`,
  }
}

/** Messages that a buffer delivers at once, at most. */
export const DELIVERY = 1024

/** A table, with the answer behind it: the row is committed when the answer is sent. */
export const sqliteSetup: Setup = {
  name: 'sqlite',
  window: 0,
  config: ({ port, store }) =>
    configOf(port, store, [`sqlite: { file: ${join(store, 'rows.db')}, table: rows, columns: { line: msg } }`, REPLY]),
  places: (store) => [rowsOf('sqlite', join(store, 'rows.db'), 'rows', 'line'), deadLetters(store)],
}

/** A file, synced or not before the answer. Without it, a process may be killed and power may not be lost. */
export function fileSetup({ fsync }: { readonly fsync: boolean }): Setup {
  return {
    name: fsync ? 'file-fsync' : 'file',
    window: 0,
    config: ({ port, store }) =>
      configOf(port, store, [`file: { path: ${join(store, 'lines.txt')}, fsync: ${fsync} }`, REPLY]),
    places: (store) => [linesOf('file', join(store, 'lines.txt')), deadLetters(store)],
  }
}

/** A disk buffer that delivers to a table: the answer is sent when the buffer has the message. */
export const bufferSetup: Setup = {
  name: 'buffer',
  window: DELIVERY,
  config: ({ port, store }) =>
    configOf(port, store, [
      `{ sqlite: { file: ${join(store, 'rows.db')}, table: rows, columns: { line: msg }, buffer: disk }, id: store }`,
      REPLY,
    ]),
  places: (store) => [bufferOf(store), rowsOf('sqlite', join(store, 'rows.db'), 'rows', 'line'), deadLetters(store)],
}

/** A disk buffer whose destination is down for good, so that all must be found in the buffer. */
export const bufferAloneSetup: Setup = {
  name: 'buffer-alone',
  window: 0,
  config: ({ port, store }) =>
    configOf(port, store, ['{ tcp: { host: 127.0.0.1, port: 1, buffer: disk }, id: send }', REPLY]),
  places: (store) => [bufferOf(store), deadLetters(store)],
}

/** The order that must lose messages: the answer stands before the sink. It shows that the harness finds a loss. */
export const answerFirstSetup: Setup = {
  ...sqliteSetup,
  name: 'answer-first',
  config: ({ port, store }) =>
    configOf(port, store, [REPLY, `sqlite: { file: ${join(store, 'rows.db')}, table: rows, columns: { line: msg } }`]),
}

/** Those that must lose nothing, for the long form. */
export const setups: readonly Setup[] = [sqliteSetup, fileSetup({ fsync: true }), bufferSetup, bufferAloneSetup]

/** The answer that the ledger client waits for. */
export const REPLY = `reply: "OK \${before(msg, ' ')}"`

/** A configuration with one endpoint, whose dataflow is these steps, each as it stands in YAML behind its dash. */
export function configOf(port: number, store: string, steps: readonly string[]): string {
  return `listen:
  ledger:
    host: 127.0.0.1
    port: ${port}
    dataflow:
${steps.map((step) => `      - ${step}\n`).join('')}data: { dir: ${join(store, 'data')} }
`
}

/** Messages that were given up are kept all the same, so they are not lost. */
export function deadLetters(store: string): Place {
  return { ...rowsOf('dead letters', join(store, 'data', 'dead-letters.db'), 'dead_letters', 'raw'), ordered: false }
}

/** The messages of a disk buffer, entry by entry. @param folder the data folder in the store */
export function bufferOf(store: string, folder = 'data'): Place {
  const file = join(store, folder, BUFFERS_FILE)
  const utf8 = text.create({ encoding: 'utf-8' })
  function* lines(): Generator<string> {
    for (const data of query(file, 'SELECT data AS line FROM entries ORDER BY id')) {
      const { batch } = unpackBatch(Buffer.from(data, 'latin1'), () => utf8, createTestClock())
      for (const { raw } of batch.messages) yield raw.toString()
    }
  }
  return { name: 'buffer', ordered: true, lines, salvage: () => untilError(lines()) }
}

/** A column of a table, text or bytes, in the order in which the rows were written. */
export function rowsOf(name: string, file: string, table: string, column: string): Place {
  const sql = `SELECT ${column} AS line FROM ${table} ORDER BY rowid`
  return {
    name,
    ordered: true,
    lines: () => query(file, sql),
    *salvage() {
      // A damaged page stops the one that comes from the front and the one that comes from the back.
      yield* untilError(query(file, sql))
      yield* untilError(query(file, `${sql} DESC`))
    },
  }
}

function* query(file: string, sql: string): Generator<string> {
  if (!existsSync(file)) return
  using database = new DatabaseSync(file, { readOnly: true, timeout: 10_000 })
  for (const row of database.prepare(sql).iterate()) {
    const { line } = row as { line: unknown }
    yield line instanceof Uint8Array ? Buffer.from(line).toString('latin1') : String(line)
  }
}

function* untilError(lines: Generator<string>): Generator<string> {
  try {
    yield* lines
  } catch {
    // What follows cannot be read.
  }
}

/** The lines of a text file. One without its end counts too: it was cut short. */
export function linesOf(name: string, file: string): Place {
  return { name, ordered: true, lines: () => readLines(file), salvage: () => readLines(file) }
}

function* readLines(file: string): Generator<string> {
  if (!existsSync(file)) return
  let rest = ''
  for (const text of chunksOf(file)) {
    const lines = (rest + text).split('\n')
    rest = lines.pop()!
    yield* lines
  }
  if (rest !== '') yield rest
}

function* chunksOf(file: string): Generator<string> {
  const descriptor = openSync(file, 'r')
  try {
    const chunk = Buffer.allocUnsafe(1024 * 1024)
    for (let read = -1; read !== 0; ) {
      read = readSync(descriptor, chunk)
      yield chunk.toString('latin1', 0, read)
    }
  } finally {
    closeSync(descriptor)
  }
}
