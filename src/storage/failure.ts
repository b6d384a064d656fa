import { SluiceError } from '../contracts/errors.ts'
import type { Failure } from './protocol.ts'

/**
 * Says in one sentence what SQLite or the file system refused, and what to do about it.
 * @param thrown what was caught
 * @param file path of the database
 */
export function toFailure(thrown: unknown, file: string): Failure {
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  const code = primaryCode(thrown)
  const known = code === undefined ? undefined : KNOWN[code]
  if (known !== undefined) {
    return { message: known.says(file, message), hint: known.hint, retryable: known.retryable ?? false }
  }
  if (thrown instanceof Error && 'syscall' in thrown && 'code' in thrown) {
    return {
      message: `the folder of the database ${file} cannot be created (${thrown.code})`,
      hint: 'Check that every part of the path is a folder and that the user that runs Sluice may write there.',
      retryable: false,
    }
  }
  return { message: `the database ${file} reports: ${message}`, hint: undefined, retryable: false }
}

/** The failure as the error that the rest of the program knows. */
export function toStorageError({ message, hint, retryable }: Failure): SluiceError {
  return new SluiceError('storage_failed', message, hint === undefined ? { retryable } : { retryable, hint })
}

/** True for an error that concerns a single row, not the file: the rows before and after it are as good as ever. */
export function isRowError(thrown: unknown): boolean {
  const code = primaryCode(thrown)
  return code === undefined || ROW_CODES.has(code)
}

/** The result code of SQLite without its extension (sqlite.org/rescode.html), undefined when the error is not its own. */
function primaryCode(thrown: unknown): number | undefined {
  const code = thrown instanceof Error && 'errcode' in thrown ? thrown.errcode : undefined
  return typeof code === 'number' ? code & 0xff : undefined
}

const BUSY = 5
const LOCKED = 6
const NOMEM = 7
const READONLY = 8
const IOERR = 10
const CORRUPT = 11
const FULL = 13
const CANTOPEN = 14
const PROTOCOL = 15
const CONSTRAINT = 19
const NOTADB = 26

/** SQLITE_ERROR, SQLITE_TOOBIG, SQLITE_CONSTRAINT, SQLITE_MISMATCH and SQLITE_RANGE. */
const ROW_CODES: ReadonlySet<number> = new Set([1, 18, CONSTRAINT, 20, 25])

interface Known {
  says(file: string, message: string): string
  readonly hint?: string
  readonly retryable?: boolean
}

const BUSY_ENTRY: Known = {
  says: (file) => `another program holds the database ${file} locked`,
  hint: 'End the transaction of the other program, a database browser perhaps.',
  retryable: true,
}

const KNOWN: Readonly<Record<number, Known>> = {
  [BUSY]: BUSY_ENTRY,
  [LOCKED]: BUSY_ENTRY,
  [PROTOCOL]: BUSY_ENTRY,
  [NOMEM]: {
    says: (file) => `there is not enough memory to use the database ${file}`,
    hint: 'Give the server more memory, or less to keep in it.',
    retryable: true,
  },
  [READONLY]: {
    says: (file) => `the database ${file} is read-only`,
    hint: 'Give the user that runs Sluice write permission on the file and its folder.',
  },
  [IOERR]: {
    says: (file, message) => `reading or writing the database ${file} failed (${message})`,
    hint: 'Check the disk and the log of the system.',
    retryable: true,
  },
  [CORRUPT]: {
    says: (file) => `the database ${file} is damaged`,
    hint: 'Move the file away and restore it from a backup, or let Sluice create a new one.',
  },
  [FULL]: {
    says: (file) => `the database ${file} cannot grow: the disk is full`,
    hint: 'Free space on the disk.',
    retryable: true,
  },
  [CANTOPEN]: {
    says: (file) => `the database ${file} cannot be opened or created`,
    hint:
      'Check that the path is a file in a folder where the user that runs Sluice may write, and how many files the process ' +
      'may open (ulimit -n).',
    // Where no more files can be opened, that passes when connections close.
    retryable: true,
  },
  [CONSTRAINT]: { says: (_file, message) => `the table refuses the row: ${message}` },
  [NOTADB]: {
    says: (file) => `${file} is not an SQLite database`,
    hint: 'Give the name of another file; Sluice creates it when it is missing.',
  },
}
