import { existsSync, mkdirSync } from 'node:fs'
import { dirname, resolve } from 'node:path'

/**
 * Makes a folder and those above it that are missing. It blocks, so it is for moments when something is opened.
 *
 * Node's own recursive `mkdir` never returns where the system answers ENOENT for a folder that cannot be made, as under
 * `/proc`; this one fails.
 * @param mode of the folders that are made
 * @returns the topmost folder that was made, absolute; undefined when the folder was there
 * @throws what the system says, such as ENOTDIR, EACCES or EROFS
 */
export function makeFolder(path: string, mode?: number): string | undefined {
  const missing: string[] = []
  for (let folder = resolve(path); !existsSync(folder); folder = dirname(folder)) missing.unshift(folder)
  for (const folder of missing) {
    try {
      mkdirSync(folder, { mode })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
  }
  return missing[0]
}
