import { readdirSync, readFileSync } from 'node:fs'

/** How many files this process has open, connections included; 0 where the system does not say (it is not Linux). */
export function countOpenFiles(): number {
  return orZero(() => readdirSync('/proc/self/fd').length)
}

/**
 * How many files this process may have open: the soft limit, which Node.js has raised to the hard one at its start; 0
 * where the system does not say. Node.js reports no lack of them: it accepts a connection, closes it at once and tells
 * nobody.
 */
export function readOpenFilesLimit(): number {
  return orZero(() => Number(/^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? 0))
}

function orZero(read: () => number): number {
  try {
    return read()
  } catch {
    return 0
  }
}
