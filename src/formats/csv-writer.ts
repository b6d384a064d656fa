import { contentText } from '../contracts/codec.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { CsvOptions } from './csv-options.ts'

/** Writes rows (RFC 4180, section 2). */
export class CsvWriter {
  readonly #options: CsvOptions
  readonly #needsQuotes: RegExp

  constructor(options: CsvOptions) {
    this.#options = options
    const signs = [options.delimiter, options.quote].map((sign) => sign.replaceAll(/[^\w]/g, '\\$&')).join('')
    this.#needsQuotes = new RegExp(`[${signs}\\r\\n]`)
  }

  /** @throws SluiceError `format_not_printable` */
  print(value: unknown): string {
    const { columns, header, rows } = this.#options
    if (!header && rows === 'one') return this.#row(value, columns)
    if (!Array.isArray(value)) throw notPrintable('several rows are a list, and this is none')
    const names = header ? namesOf(value) : columns
    const lines = value.map((row) => `${this.#row(row, names)}\n`)
    if (header && names!.length > 0) lines.unshift(`${this.#line(names!)}\n`)
    return lines.join('')
  }

  #row(row: unknown, names: readonly string[] | undefined): string {
    if (Array.isArray(row) && (names === undefined || names.length === row.length)) return this.#line(row)
    if (Array.isArray(row))
      throw notPrintable(`the number of fields, ${row.length}, is not that of the columns, ${names!.length}`)
    if (!isRecord(row)) throw notPrintable('a row is an object or a list')
    if (names !== undefined) return this.#line(names.map((name) => (Object.hasOwn(row, name) ? row[name] : undefined)))
    throw notPrintable(
      'an object has no order of its own',
      'name the fields that shall be written: csv: { columns: [ … ] }',
    )
  }

  #line(values: readonly unknown[]): string {
    if (values.length === 0) throw notPrintable('a row has at least one field')
    return values.map((value) => this.#field(value)).join(this.#options.delimiter)
  }

  #field(value: unknown): string {
    if (value instanceof Uint8Array)
      throw notPrintable('bytes cannot be written as CSV', 'make a text of them: hex(…) or base64(…)')
    const text = contentText(value).toString()
    if (!text.isWellFormed()) throw notPrintable('the text has half a surrogate pair')
    if (!this.#needsQuotes.test(text)) return text
    const { quote } = this.#options
    if (quote === '') throw notPrintable(`the field "${text.slice(0, 40)}" needs quotes, and there are none`)
    return quote + text.replaceAll(quote, quote + quote) + quote
  }
}

function namesOf(rows: readonly unknown[]): string[] {
  return [...new Set(rows.flatMap((row) => (isRecord(row) ? Object.keys(row) : [])))]
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Uint8Array) &&
    !(value instanceof Date)
  )
}

function notPrintable(problem: string, hint?: string): SluiceError {
  return new SluiceError('format_not_printable', problem, hint === undefined ? {} : { hint })
}
