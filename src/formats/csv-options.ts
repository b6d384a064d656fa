import type Papa from 'papaparse'
import type { ReadText } from './numbers.ts'

/** What the package `papaparse` exports. */
export type CsvLibrary = typeof Papa

/** The options of `csv`, read. */
export interface CsvOptions {
  readonly columns: readonly string[] | undefined
  readonly header: boolean
  readonly rows: 'one' | 'many'
  readonly delimiter: string
  /** Empty when there are no quotes. */
  readonly quote: string
  readonly readText: ReadText | undefined
}
