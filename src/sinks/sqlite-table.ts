import { SluiceError } from '../contracts/errors.ts'
import type { Database } from '../contracts/storage.ts'
import { identifierProblem, quoteIdentifier } from '../util/sql-identifier.ts'

/** A table is never given more columns than this. One that has more already keeps them. */
export const MAX_COLUMNS = 256

export interface TableOptions {
  /** Path of the database, for errors. */
  readonly file: string
  readonly name: string
  /** May tables and columns be created? */
  readonly create: boolean
}

/** A table of an SQLite database: which columns it has, and how it gets those that it lacks. */
export class Table {
  readonly #database: Database
  readonly #options: TableOptions
  readonly #quoted: string
  /** Folded names; empty while there is no table. */
  #columns: ReadonlySet<string> = new Set()
  /** Changes of the table follow one another, as the next one depends on what the last one did. */
  #changing: Promise<void> = Promise.resolve()

  private constructor(database: Database, options: TableOptions) {
    this.#database = database
    this.#options = options
    this.#quoted = quoteIdentifier(options.name)
  }

  /**
   * Looks at the table as it is.
   * @throws SluiceError `storage_failed` when it is missing and must not be created
   */
  static async open(database: Database, options: TableOptions): Promise<Table> {
    const table = new Table(database, options)
    await table.#look()
    if (table.#columns.size > 0 || options.create) return table
    throw new SluiceError('storage_failed', `the database ${options.file} has no table ${table.#quoted}`, {
      hint: 'Create the table, or take out create: false.',
    })
  }

  /** True when rows with these columns can be inserted as things stand. */
  has(names: readonly string[]): boolean {
    return names.every((name) => this.#columns.has(fold(name))) && repeated(names) === undefined
  }

  /**
   * Creates the table with these columns when it is missing. One that is there must have them: a column of the
   * configuration that an existing table lacks is more likely a slip than a wish.
   * @throws SluiceError `storage_failed`, saying what to do
   */
  async prepare(names: readonly string[]): Promise<void> {
    if (this.#columns.size === 0) return this.add(names)
    const missing = names.find((name) => !this.#columns.has(fold(name)))
    const twice = repeated(names)
    if (twice !== undefined) throw new SluiceError('storage_failed', namedTwice(twice))
    if (missing === undefined) return
    const column = quoteIdentifier(missing)
    const text = `the table ${this.#quoted} in ${this.#options.file} has no column ${column}`
    throw new SluiceError('storage_failed', text, {
      hint: `Add it (ALTER TABLE ${this.#quoted} ADD COLUMN ${column}), or correct its name under columns.`,
    })
  }

  /**
   * Creates what is missing: the table, or columns of it.
   * @throws SluiceError `sink_failed` when that must not be, or the error of the storage
   */
  add(names: readonly string[]): Promise<void> {
    const change = this.#changing.then(() => this.#add(names))
    this.#changing = change.catch(() => {})
    return change
  }

  /** The statement that inserts a row with these columns. */
  insert(names: readonly string[]): string {
    const marks = names.map(() => '?').join(', ')
    return `INSERT INTO ${this.#quoted} (${names.map(quoteIdentifier).join(', ')}) VALUES (${marks})`
  }

  async #add(names: readonly string[]): Promise<void> {
    const twice = repeated(names)
    if (twice !== undefined) throw new SluiceError('sink_failed', namedTwice(twice))
    const missing = names.filter((name) => !this.#columns.has(fold(name)))
    if (missing.length === 0) return
    this.#check(missing)
    if (this.#columns.size === 0) {
      await this.#database.exec(
        `CREATE TABLE IF NOT EXISTS ${this.#quoted} (${missing.map(quoteIdentifier).join(', ')})`,
      )
      await this.#look()
    }
    for (const name of missing) {
      if (this.#columns.has(fold(name))) continue
      try {
        await this.#database.exec(`ALTER TABLE ${this.#quoted} ADD COLUMN ${quoteIdentifier(name)}`)
      } catch (error) {
        // Another sink, or another program, may have added it since we looked.
        await this.#look()
        if (!this.#columns.has(fold(name))) throw error
      }
    }
    await this.#look()
  }

  #check(missing: readonly string[]): void {
    for (const name of missing) {
      const problem = identifierProblem(name)
      if (problem !== undefined) {
        throw new SluiceError('sink_failed', `a key cannot be the name of a column: it ${problem}`)
      }
    }
    if (!this.#options.create) {
      const text = `the table ${this.#quoted} has no column ${quoteIdentifier(missing[0]!)} for a key of the message`
      throw new SluiceError('sink_failed', text, { hint: 'Add the column, or choose what is stored with columns.' })
    }
    if (this.#columns.size + missing.length > MAX_COLUMNS) {
      throw new SluiceError('sink_failed', `the table ${this.#quoted} would get more than ${MAX_COLUMNS} columns`, {
        hint: 'Choose what is stored with columns.',
      })
    }
  }

  async #look(): Promise<void> {
    const rows = await this.#database.all('SELECT name FROM pragma_table_xinfo(?)', [this.#options.name])
    this.#columns = new Set(rows.map(({ name }) => fold(String(name))))
  }
}

/** SQLite takes names that differ only in the case of ASCII letters for the same. */
function fold(name: string): string {
  return name.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase())
}

/** A name that is there before, perhaps in another case. */
function repeated(names: readonly string[]): string | undefined {
  const seen = new Set<string>()
  for (const name of names) {
    const folded = fold(name)
    if (seen.has(folded)) return name
    seen.add(folded)
  }
  return undefined
}

function namedTwice(name: string): string {
  return `the column ${quoteIdentifier(name)} is named twice: SQLite does not tell capital letters from small ones`
}
