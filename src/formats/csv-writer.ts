import { contentText } from '../contracts/codec.ts'
import { SluiceError } from '../contracts/errors.ts'
import { isRecord } from '../contracts/record.ts'
import { BYTE_ORDER_MARK } from '../util/utf8.ts'
import type { CsvLibrary, CsvOptions } from './csv-options.ts'

/** Makes texts of rows; papaparse writes them. */
export class CsvWriter {
  readonly #library: CsvLibrary
  readonly #options: CsvOptions

  constructor(library: CsvLibrary, options: CsvOptions) {
    this.#library = library
    this.#options = options
  }

  /** @throws SluiceError `format_not_printable` */
  print(value: unknown): string {
    const { columns, header, rows } = this.#options
    if (!header && rows === 'one') return this.#write([this.#row(value, columns)])
    if (!Array.isArray(value)) throw notPrintable('several rows are a list, and this is none')
    const names = header ? namesOf(value) : columns
    const lines = value.map((row) => this.#row(row, names))
    if (header && names!.length > 0) lines.unshift(this.#texts(names!))
    return lines.length === 0 ? '' : `${this.#write(lines)}\n`
  }

  #write(rows: string[][]): string {
    const { delimiter, quote } = this.#options
    return this.#library.unparse(rows, { delimiter, quoteChar: quote, newline: '\n' })
  }

  #row(row: unknown, names: readonly string[] | undefined): string[] {
    if (Array.isArray(row) && (names === undefined || names.length === row.length)) return this.#texts(row)
    if (Array.isArray(row))
      throw notPrintable(`the number of fields, ${row.length}, is not that of the columns, ${names!.length}`)
    if (!isRecord(row)) throw notPrintable('a row is an object or a list')
    if (names !== undefined) return this.#texts(names.map((name) => (Object.hasOwn(row, name) ? row[name] : undefined)))
    throw notPrintable(
      'an object has no order of its own',
      'name the fields that shall be written: csv: { columns: [ … ] }',
    )
  }

  #texts(values: readonly unknown[]): string[] {
    if (values.length === 0) throw notPrintable('a row has at least one field')
    return values.map((value) => this.#text(value))
  }

  #text(value: unknown): string {
    if (value instanceof Uint8Array)
      throw notPrintable('bytes cannot be written as CSV', 'make a text of them: hex(…) or base64(…)')
    const text = contentText(value).toString()
    if (!text.isWellFormed()) throw notPrintable('the text has half a surrogate pair')
    const { delimiter, quote } = this.#options
    // Without quotes papaparse would write the field as it is, and it would be read as something else.
    if (quote === '' && [delimiter, '\r', '\n', BYTE_ORDER_MARK].some((sign) => text.includes(sign))) {
      throw notPrintable(`the field "${text.slice(0, 40)}" needs quotes, and there are none`)
    }
    return text
  }
}

function namesOf(rows: readonly unknown[]): string[] {
  return [...new Set(rows.flatMap((row) => (isRecord(row) ? Object.keys(row) : [])))]
}

function notPrintable(problem: string, hint?: string): SluiceError {
  return new SluiceError('format_not_printable', problem, hint === undefined ? {} : { hint })
}
