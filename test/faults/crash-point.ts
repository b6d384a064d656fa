import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** A system call of the server at which it is killed. The product has no code for this: `strace` does it. */
export interface CrashPoint {
  /** Stands in results. */
  readonly name: string
  /** While it starts for the first time, under load, or while it stops. */
  readonly phase: 'start' | 'load' | 'stop'
  readonly calls: readonly string[]
  /** The file that the call is about, from the folder of the store; none for any call of the name. */
  readonly file?: string
  /** Which of these calls it is, counted from 1: one between these two. */
  readonly nth: readonly [number, number]
}

/** Whether the call is not done any more, or has been done and the program does not hear of it. */
export type Side = 'before' | 'after'

/** The files are those of the setup `buffer`: a disk buffer before a table. */
const BUFFER = 'data/buffers.db'
const TABLE = 'rows.db'
const SYNC = ['fsync', 'fdatasync'] as const

/** The most telling ones first. */
export const crashPoints: readonly CrashPoint[] = [
  { name: 'journal-sync', phase: 'load', calls: SYNC, file: `${BUFFER}-wal`, nth: [20, 300] },
  { name: 'answer', phase: 'load', calls: ['write'], nth: [100, 2000] },
  { name: 'checkpoint-write', phase: 'load', calls: ['pwrite64'], file: BUFFER, nth: [1, 60] },
  { name: 'buffer-create', phase: 'start', calls: ['openat'], file: BUFFER, nth: [1, 1] },
  { name: 'journal-remove', phase: 'stop', calls: ['unlink'], file: `${BUFFER}-wal`, nth: [1, 1] },
  { name: 'journal-write', phase: 'load', calls: ['pwrite64'], file: `${BUFFER}-wal`, nth: [60, 900] },
  { name: 'delivery-sync', phase: 'load', calls: SYNC, file: `${TABLE}-wal`, nth: [10, 100] },
  { name: 'folder-make', phase: 'start', calls: ['mkdir'], file: 'data', nth: [1, 1] },
  { name: 'checkpoint-sync', phase: 'load', calls: SYNC, file: BUFFER, nth: [1, 3] },
  { name: 'lock-create', phase: 'start', calls: ['openat'], file: 'data/lock', nth: [1, 1] },
  { name: 'layout-write', phase: 'start', calls: ['pwrite64'], file: BUFFER, nth: [1, 1] },
  { name: 'layout-commit', phase: 'start', calls: ['unlink'], file: `${BUFFER}-journal`, nth: [1, 1] },
  { name: 'journal-create', phase: 'start', calls: ['openat'], file: `${BUFFER}-wal`, nth: [1, 1] },
  { name: 'index-size', phase: 'start', calls: ['ftruncate'], file: `${BUFFER}-shm`, nth: [1, 1] },
  { name: 'table-create', phase: 'start', calls: ['openat'], file: TABLE, nth: [1, 1] },
  { name: 'delivery-write', phase: 'load', calls: ['pwrite64'], file: `${TABLE}-wal`, nth: [10, 300] },
  { name: 'last-checkpoint', phase: 'stop', calls: ['pwrite64'], file: BUFFER, nth: [1, 1] },
  { name: 'index-remove', phase: 'stop', calls: ['unlink'], file: `${BUFFER}-shm`, nth: [1, 1] },
]

/** How long a call that has been done is kept from returning, in microseconds: until the process is killed. */
const HOLD = 120_000_000

/** What `strace` writes when it holds a call that has been done. */
export const HELD = '(DELAYED)'

/**
 * A command before that of the server. `before`: strace injects SIGKILL on entry, and the kernel then does not do the call.
 * `after`: strace holds the thread at the end of the call, and whoever reads {@link HELD} kills the process.
 * @param nth which of the calls it is
 */
export function straceOf({ calls, file }: CrashPoint, side: Side, nth: number, store: string): string[] {
  const names = calls.join(',')
  const what = side === 'before' ? 'signal=SIGKILL' : `delay_exit=${HOLD}`
  const path = file === undefined ? [] : ['-P', join(store, file)]
  return [
    'strace',
    '-f',
    '-qq',
    '-s',
    '16',
    ...path,
    '-e',
    `trace=${names}`,
    '-e',
    `inject=${names}:${what}:when=${nth}`,
  ]
}

/** The process that `strace` runs. */
export function traceeOf(strace: number): number {
  const [child] = readFileSync(`/proc/${strace}/task/${strace}/children`, 'utf8').split(' ')
  return Number(child)
}
