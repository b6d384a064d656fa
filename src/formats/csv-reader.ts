import { invalidAt, readUtf8 } from '../contracts/format.ts'
import type { CsvOptions } from './csv-options.ts'
import { NOT_A_NUMBER } from './numbers.ts'

type Row = readonly string[]

/** Reads the rows of one frame (RFC 4180, section 2). */
export class CsvReader {
  readonly #options: CsvOptions
  readonly #bytes: Buffer
  readonly #start: number
  readonly #end: number
  readonly #text: string
  readonly #hasQuotes: boolean
  #at = 0
  /** The first LF that is not before `#at`; the length where there is none. */
  #newline = -1
  /** Where each field of the row that was read last begins. */
  #starts: number[] = []

  /** @throws SluiceError `format_invalid` when the frame is not UTF-8 */
  constructor(options: CsvOptions, bytes: Buffer, start: number, end: number) {
    this.#options = options
    this.#bytes = bytes
    this.#start = start
    this.#end = end
    this.#text = readUtf8(bytes, start, end)
    this.#hasQuotes = options.quote !== '' && this.#text.includes(options.quote)
  }

  /** The value of the frame. @throws SluiceError `format_invalid` */
  read(): unknown {
    const { columns, header, rows } = this.#options
    if (header) return this.#text === '' ? [] : this.#rows(this.#header())
    if (rows === 'many') return this.#rows(columns)
    const value = this.#value(this.#row(), columns)
    if (this.#at < this.#text.length) this.#fail('a second row in the frame, and rows is one', this.#at)
    return value
  }

  #rows(names: readonly string[] | undefined): unknown[] {
    const values: unknown[] = []
    while (this.#at < this.#text.length) {
      const row = this.#row()
      // An empty line where a row has several fields is no row: files often end with one.
      const isEmpty = row.length === 1 && row[0] === '' && names !== undefined && names.length > 1
      if (!isEmpty) values.push(this.#value(row, names))
    }
    return values
  }

  #header(): Row {
    const names = this.#row()
    const seen = new Set<string>()
    for (const [i, name] of names.entries()) {
      if (name === '') this.#fail('a column without a name', this.#starts[i]!)
      if (name === '__proto__') this.#fail('the column __proto__, which is refused,', this.#starts[i]!)
      if (seen.has(name)) this.#fail(`a second column with the name ${name}`, this.#starts[i]!)
      seen.add(name)
    }
    return names
  }

  #value(row: Row, names: readonly string[] | undefined): unknown {
    if (names === undefined) return this.#options.readText ? row.map((text, i) => this.#read(text, i, `[${i}]`)) : row
    if (row.length !== names.length) {
      const problem = `the row has ${count(row.length, 'field')}, and there are ${count(names.length, 'column')}:`
      const [at, what] =
        row.length > names.length
          ? [this.#starts[names.length]!, `nothing has a name behind ${names.at(-1)}`]
          : [this.#starts.at(-1)! + row.at(-1)!.length, `${names[row.length]} is missing`]
      this.#fail(`${problem} ${what}`, Math.min(at, this.#text.length))
    }
    const value: Record<string, unknown> = {}
    for (let i = 0; i < names.length; i++) value[names[i]!] = this.#read(row[i]!, i, names[i]!)
    return value
  }

  #read(text: string, index: number, field: string): string | number {
    const value = this.#options.readText?.(text, field) ?? text
    if (value === NOT_A_NUMBER) this.#fail(`"${text.slice(0, 40)}" is not a number`, this.#starts[index]!, field)
    return value
  }

  #row(): Row {
    const text = this.#text
    const { delimiter, quote } = this.#options
    const fields: string[] = []
    this.#starts = []
    for (;;) {
      this.#starts.push(this.#at)
      fields.push(this.#hasQuotes && text[this.#at] === quote ? this.#quoted() : this.#plain())
      if (this.#at < text.length && text[this.#at] === delimiter) {
        this.#at++
        continue
      }
      // Behind a field there is nothing, a delimiter or the end of the line.
      if (this.#at < text.length) this.#at += text[this.#at] === '\r' ? 2 : 1
      return fields
    }
  }

  #plain(): string {
    const text = this.#text
    const { delimiter, quote } = this.#options
    const from = this.#at
    if (this.#newline < from) this.#newline = indexOr(text.indexOf('\n', from), text.length)
    const lineEnd = this.#newline
    const end = Math.min(indexOr(text.indexOf(delimiter, from), lineEnd), lineEnd)
    const value =
      end === lineEnd && lineEnd < text.length && end > from && text[end - 1] === '\r'
        ? text.slice(from, end - 1)
        : text.slice(from, end)
    if (value.includes('\r')) this.#fail('a CR that ends no line', from + value.indexOf('\r'))
    if (this.#hasQuotes && value.includes(quote)) {
      this.#fail('a quote inside a field that does not begin with one', from + value.indexOf(quote))
    }
    this.#at = from + value.length
    return value
  }

  #quoted(): string {
    const text = this.#text
    const { delimiter, quote } = this.#options
    const from = this.#at
    let value = ''
    for (let at = from + 1; ; ) {
      const close = text.indexOf(quote, at)
      if (close === -1) this.#fail('a quote that is not closed', from)
      value += text.slice(at, close)
      at = close + 2
      if (text[close + 1] === quote) {
        value += quote
        continue
      }
      this.#at = close + 1
      const next = text[this.#at]
      const ends = next === undefined || next === delimiter || next === '\n' || text.startsWith('\r\n', this.#at)
      if (!ends) this.#fail('something between a closing quote and the end of its field', this.#at)
      return value
    }
  }

  #fail(problem: string, index: number, field?: string): never {
    const at = this.#start + Buffer.byteLength(this.#text.slice(0, index))
    throw invalidAt(problem, this.#bytes, this.#start, this.#end, at, field)
  }
}

function indexOr(index: number, otherwise: number): number {
  return index === -1 ? otherwise : index
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`
}
