import { statSync, watch } from 'node:fs'
import { dirname, resolve } from 'node:path'

/**
 * Calls back when a file has changed. Its folder is watched, because editors put a new file in the place of the old one,
 * and because containers exchange a link above it.
 * @param onFailure the folder cannot be watched any more
 * @returns what ends it
 * @throws Error when the folder cannot be watched
 */
export function watchFile(file: string, onChange: () => void, onFailure: (error: Error) => void): () => void {
  const path = resolve(file)
  let seen = signatureOf(path)
  let timer: NodeJS.Timeout | undefined
  const look = () => {
    timer = undefined
    const now = signatureOf(path)
    // A file that is away for a moment is about to be replaced.
    if (now === undefined || now === seen) return
    seen = now
    onChange()
  }
  const watcher = watch(dirname(path), () => {
    timer ??= setTimeout(look, SETTLE_MS)
  })
  watcher.on('error', onFailure)
  return () => {
    clearTimeout(timer)
    watcher.close()
  }
}

/** Time in which an editor writes all of a file, and in which other files of the folder may change without a look. */
const SETTLE_MS = 200

function signatureOf(path: string): string | undefined {
  const found = statSync(path, { throwIfNoEntry: false })
  return found && `${found.dev} ${found.ino} ${found.size} ${found.mtimeMs}`
}
