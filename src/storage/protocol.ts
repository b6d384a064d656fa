import type { SqlRow, SqlValue } from '../contracts/storage.ts'

/**
 * What the main thread and the storage worker say to each other. The worker answers every request once. Requests travel
 * together, and so do answers: a message is a list of them.
 */
export type Request = { readonly id: number } & Action

/** A file is opened by the first action that names it, so a worker that is started anew needs to be told nothing. */
export type Action =
  | ({ readonly kind: 'open' } & Target)
  | ({ readonly kind: 'exec'; readonly sql: string } & Target)
  | ({ readonly kind: 'write' } & Target & Write)
  | ({ readonly kind: 'all'; readonly sql: string; readonly parameters: SqlRow } & Target)
  | ({ readonly kind: 'close' } & Target)
  /** Closes every file. The worker has then nothing left that ending it could harm. */
  | { readonly kind: 'end' }

/** Which file, and how it is opened: one that is only read is opened apart from the same file that is written. */
export interface Target {
  readonly file: string
  readonly readOnly: boolean
}

/** Bytes of a value from which on its memory is given from one thread to the other, and given back when it is of no use. */
export const LARGE = 4096

/** Tells what is opened from everything else that is. */
export function targetKey({ file, readOnly }: Target): string {
  return `${readOnly ? 'read' : 'write'} ${file}`
}

/** One statement and the rows to run it for. */
export interface Write {
  readonly sql: string
  readonly rows: readonly SqlRow[]
  /** True when the ids of the rows are wanted. */
  readonly wantsIds: boolean
  /** Memory of both threads: 1 as soon as nobody waits for the outcome any more. Absent where somebody always does. */
  readonly givenUp?: Int32Array<SharedArrayBuffer>
}

/** What became of the rows of one write. */
export interface Written {
  /** The rows that failed, by their position. Usually empty, and then nothing per row travels back. */
  readonly failed: Map<number, Failure>
  /** The id of each row that did not fail, by its position, 0 for none; empty unless it was wanted. */
  readonly ids: number[]
}

/** What an action gives when it succeeds. */
export interface Results {
  open: null
  exec: null
  write: Written
  all: readonly Record<string, SqlValue>[]
  close: null
  end: null
}

export type Answer =
  | { readonly id: number; readonly result: Results[keyof Results] }
  | { readonly id: number; readonly failure: Failure }

/** The parts of a `SluiceError` with the code `storage_failed`; an error object itself would lose them on the way. */
export interface Failure {
  readonly message: string
  readonly hint: string | undefined
  readonly retryable: boolean
}
