import { readFileSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { makeFolder } from '../util/folder.ts'

/** Lines that were typed before, newest first. */
export interface History {
  readonly lines: string[]
  /** Keeps these instead. Without a place to write, nothing is kept, and that is no failure. */
  save(lines: readonly string[]): void
}

/** How many lines are kept. */
export const HISTORY_SIZE = 500

/**
 * The history of `sluice connect`: in the state folder of the user (XDG Base Directory Specification, version 0.8), where
 * nobody else can read it.
 */
export function openHistory(env: NodeJS.ProcessEnv): History {
  const folder = env['XDG_STATE_HOME'] || join(homedir(), '.local/state')
  const file = join(folder, 'sluice/connect-history')
  return {
    lines: read(file),
    save(lines) {
      try {
        makeFolder(dirname(file), 0o700)
        writeFileSync(
          file,
          lines
            .slice(0, HISTORY_SIZE)
            .toReversed()
            .map((line) => `${line}\n`)
            .join(''),
          { mode: 0o600 },
        )
      } catch {}
    },
  }
}

/** A history that begins empty and is forgotten. */
export function noHistory(): History {
  return { lines: [], save: () => undefined }
}

function read(file: string): string[] {
  try {
    return readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .toReversed()
  } catch {
    return []
  }
}
