import type { PartContext } from '../contracts/context.ts'
import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Format } from '../contracts/format.ts'
import { isPlainObject } from '../util/plain-object.ts'
import { fileState, readGivenFile, rereadGivenFile } from './text-file.ts'

/** What stands under each key. */
export type Table = ReadonlyMap<string, unknown>

/** How a table stands in a file. */
export interface TableFile {
  /** Absolute. */
  readonly path: string
  readonly format: Format
  /** The column by which rows are found; undefined for the first one. */
  readonly by: string | undefined
  /** The column whose value is given; undefined for the whole row. */
  readonly value: string | undefined
}

/** Reads a table while a configuration is planned or built. @throws SluiceError `step_failed` */
export function readTable(file: TableFile): Table {
  return parseTable(readGivenFile(file.path), file)
}

/**
 * A table in a file that may change. It is looked at when a message comes, at most once a second, so nothing runs while
 * nothing arrives. A new file is taken as a whole or not at all: while it cannot be used, the table from before stays.
 */
export class FileTable {
  readonly #file: TableFile
  readonly #context: PartContext
  #table: Table
  /** Of the file that was read last, whether it could be used or not. */
  #read = ''
  /** Of a file that has just changed, and may not be written to its end. */
  #seen = ''
  /** What was said last of a file that cannot be used, so that it is said once. */
  #told = ''
  #lookedAt: number
  #isLooking = false

  private constructor(file: TableFile, context: PartContext, stamp: string) {
    this.#file = file
    this.#context = context
    this.#read = stamp
    this.#table = readTable(file)
    this.#lookedAt = context.clock.now()
  }

  /** @throws SluiceError `step_failed` */
  static async open(file: TableFile, context: PartContext): Promise<FileTable> {
    const { stamp } = await fileState(file.path)
    return new FileTable(file, context, stamp)
  }

  /** The table; a promise when the file is looked at first. While one message waits for that, others use what is there. */
  current(): Table | Promise<Table> {
    const now = this.#context.clock.now()
    if (this.#isLooking || now - this.#lookedAt < LOOK_EVERY_MS) return this.#table
    this.#lookedAt = now
    this.#isLooking = true
    return this.#look(now).then(() => this.#table)
  }

  async #look(now: number): Promise<void> {
    const { path } = this.#file
    try {
      const { stamp, changed } = await fileState(path)
      if (stamp === this.#read) return
      // Whoever writes it may not have finished. Where its clock is ahead of ours, two looks tell.
      const isFinished = now - changed >= LOOK_EVERY_MS || stamp === this.#seen
      this.#seen = stamp
      if (!isFinished) return
      this.#read = stamp
      this.#table = parseTable(await rereadGivenFile(path), this.#file)
      this.#told = ''
      this.#context.log('info', `${path} has been read again: ${this.#table.size} keys`)
    } catch (thrown) {
      const { message } = toSluiceError(thrown)
      if (message !== this.#told) this.#context.log('warn', `${message}; the table from before stays in use`)
      this.#told = message
    } finally {
      this.#isLooking = false
    }
  }
}

const LOOK_EVERY_MS = 1000

function parseTable(bytes: Buffer, file: TableFile): Table {
  const { path, format } = file
  try {
    const value = format.parse(bytes, 0, bytes.length)
    if (Array.isArray(value)) return tableOfRows(value, file)
    if (isPlainObject(value)) return tableOfEntries(value, file)
    throw wrong('it is neither rows nor an object with a value under each key')
  } catch (thrown) {
    const { message, hint } = toSluiceError(thrown)
    throw new SluiceError('step_failed', `${path} is no table: ${message}`, {
      cause: thrown,
      ...(hint === undefined ? {} : { hint }),
    })
  }
}

function tableOfEntries(entries: Readonly<Record<string, unknown>>, { by, value }: TableFile): Table {
  if (by !== undefined) throw wrong('by names a column, and it has no rows')
  const found = Object.entries(entries)
  if (value === undefined) return new Map(found)
  return new Map(found.map(([key, row]) => [key, columnOf(row, value, `the entry ${key}`)]))
}

function tableOfRows(rows: readonly unknown[], { by, value }: TableFile): Table {
  const table = new Map<string, unknown>()
  for (const [i, row] of rows.entries()) {
    const place = `row ${i + 1}`
    if (!isPlainObject(row)) throw wrong(`${place} is no object`)
    const key = keyOf(columnOf(row, by ?? Object.keys(row)[0] ?? '', place))
    if (key === undefined) throw wrong(`${place} has no key: a text, a number, true or false`)
    if (table.has(key)) throw wrong(`${place} has the key ${key} a second time`)
    table.set(key, value === undefined ? row : columnOf(row, value, place))
  }
  return table
}

function columnOf(row: unknown, column: string, place: string): unknown {
  if (!isPlainObject(row)) throw wrong(`${place} has no columns`)
  if (Object.hasOwn(row, column)) return row[column]
  const names = Object.keys(row)
  const [only = ''] = names
  const hint =
    names.length === 1 && /[;\t]/.test(only)
      ? `The delimiter seems to be another: format: { csv: { header: true, delimiter: "${only.includes(';') ? ';' : '\\t'}" } }`
      : `It has ${names.slice(0, 20).join(', ') || 'none'}.`
  throw wrong(`${place} has no column ${column}`, hint)
}

/** A key as a table has it: the number 7 and the text "7" are the same. @returns undefined for what is no key */
export function keyOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  return typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean'
    ? String(value)
    : undefined
}

function wrong(message: string, hint?: string): SluiceError {
  return new SluiceError('step_failed', message, hint === undefined ? {} : { hint })
}
