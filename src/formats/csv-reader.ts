import { invalidAt, readMarkedUtf8 } from '../contracts/format.ts'
import { endRowsAtLf, findCsvFault } from './csv-guard.ts'
import type { CsvLibrary, CsvOptions } from './csv-options.ts'
import { NOT_A_NUMBER } from './numbers.ts'

type Row = readonly string[]

/** Gives the rows of one frame their meaning; papaparse reads them. */
export class CsvReader {
  readonly #options: CsvOptions
  readonly #bytes: Buffer
  readonly #start: number
  readonly #end: number
  /** A byte order mark in front, which belongs to no field, or nothing. */
  readonly #mark: string
  readonly #text: string
  readonly #rows: readonly Row[]

  /** @throws SluiceError `format_invalid` when the frame is not UTF-8, or has no rows as RFC 4180 knows them */
  constructor(library: CsvLibrary, options: CsvOptions, bytes: Buffer, start: number, end: number) {
    this.#options = options
    this.#bytes = bytes
    this.#start = start
    this.#end = end
    const { mark, text } = readMarkedUtf8(bytes, start, end)
    this.#mark = mark
    this.#text = text
    this.#rows = this.#parse(library)
  }

  /** The value of the frame. @throws SluiceError `format_invalid` */
  read(): unknown {
    const { columns, header, rows } = this.#options
    if (header) return this.#text === '' ? [] : this.#values(this.#header(), 1)
    if (rows === 'many') return this.#values(columns, 0)
    if (this.#rows.length > 1) this.#fail('a second row in the frame, and rows is one', this.#placeOf(1, 0))
    return this.#value(0, columns)
  }

  #parse(library: CsvLibrary): Row[] {
    const { delimiter, quote, header, rows } = this.#options
    const fault = findCsvFault(this.#text, quote, delimiter)
    if (fault) this.#fail(fault.problem, fault.at)
    if (this.#text === '') return header || rows === 'many' ? [] : [['']]
    // The fast mode knows no quotes. The mark is given too, since a second one would be taken for it.
    const { data } = library.parse<string[]>(this.#mark + endRowsAtLf(this.#text, quote), {
      delimiter,
      newline: '\n',
      ...(quote === '' ? { fastMode: true } : { quoteChar: quote }),
    })
    // The end of the last line is taken for the beginning of a row.
    if (this.#text.endsWith('\n')) data.pop()
    return data
  }

  #values(names: Row | undefined, first: number): unknown[] {
    const values: unknown[] = []
    for (let i = first; i < this.#rows.length; i++) {
      const row = this.#rows[i]!
      // An empty line where a row has several fields is no row: files often end with one.
      const isEmpty = row.length === 1 && row[0] === '' && names !== undefined && names.length > 1
      if (!isEmpty) values.push(this.#value(i, names))
    }
    return values
  }

  #header(): Row {
    const names = this.#rows[0]!
    const seen = new Set<string>()
    for (const [i, name] of names.entries()) {
      if (name === '') this.#fail('a column without a name', this.#placeOf(0, i))
      if (name === '__proto__') this.#fail('the column __proto__, which is refused,', this.#placeOf(0, i))
      if (seen.has(name)) this.#fail(`a second column with the name ${name}`, this.#placeOf(0, i))
      seen.add(name)
    }
    return names
  }

  #value(index: number, names: Row | undefined): unknown {
    const row = this.#rows[index]!
    if (names === undefined) {
      return this.#options.readText ? row.map((text, i) => this.#read(text, index, i, `[${i}]`)) : row
    }
    if (row.length !== names.length) {
      const problem = `the row has ${count(row.length, 'field')}, and there are ${count(names.length, 'column')}:`
      const what =
        row.length > names.length ? `nothing has a name behind ${names.at(-1)}` : `${names[row.length]} is missing`
      this.#fail(`${problem} ${what}`, this.#placeOf(index, Math.min(row.length, names.length)))
    }
    const value: Record<string, unknown> = {}
    for (let i = 0; i < names.length; i++) value[names[i]!] = this.#read(row[i]!, index, i, names[i]!)
    return value
  }

  #read(text: string, row: number, column: number, field: string): string | number {
    const value = this.#options.readText?.(text, field) ?? text
    if (value === NOT_A_NUMBER) {
      this.#fail(`"${text.slice(0, 40)}" is not a number`, this.#placeOf(row, column), field)
    }
    return value
  }

  /** Where a field begins in the text; behind the last field, where the row ends. Asked for errors only. */
  #placeOf(row: number, column: number): number {
    let at = 0
    for (const fields of this.#rows.slice(0, row)) {
      at = this.#endOf(fields, at)
      at += this.#text[at] === '\r' ? 2 : 1
    }
    if (column === 0) return at
    const fields = this.#rows[row]!
    const end = this.#endOf(fields.slice(0, column), at)
    return column === fields.length ? end : end + 1
  }

  /** Where the fields end that begin here: what was read, as it was written. */
  #endOf(fields: Row, from: number): number {
    const { quote } = this.#options
    let at = from - 1
    for (const field of fields) {
      at++
      const isQuoted = quote !== '' && this.#text[at] === quote
      at += field.length + (isQuoted ? 1 + field.split(quote).length : 0)
    }
    return at
  }

  #fail(problem: string, index: number, field?: string): never {
    const at = this.#start + Buffer.byteLength(this.#mark + this.#text.slice(0, index))
    throw invalidAt(problem, this.#bytes, this.#start, this.#end, at, field)
  }
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`
}
