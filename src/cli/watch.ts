import { readdirSync, statSync, watch } from 'node:fs'
import { dirname } from 'node:path'

/** Looks after files and folders. */
export interface Watch {
  /** What to look after from now on: absolute paths. @throws Error when a folder cannot be watched */
  follow(paths: readonly string[]): void
  close(): void
}

/**
 * Calls back when one of some files has changed, or when files of YAML have come or gone in one of some folders. The
 * folders of files are watched, because editors put a new file in the place of the old one, and because containers
 * exchange a link above it.
 * @param onFailure a folder cannot be watched any more
 */
export function createWatch(onChange: () => void, onFailure: (error: Error) => void): Watch {
  const watchers = new Map<string, { close(): void }>()
  let followed: readonly string[] = []
  let seen = ''
  let timer: NodeJS.Timeout | undefined
  const look = () => {
    timer = undefined
    const now = signatureOf(followed)
    // A file that is away for a moment is about to be replaced.
    if (now === undefined || now === seen) return
    seen = now
    onChange()
  }
  const close = () => {
    clearTimeout(timer)
    for (const watcher of watchers.values()) watcher.close()
    watchers.clear()
  }
  return {
    follow(paths) {
      // What has changed since the last look is still to be seen.
      if (paths.join() === followed.join()) return
      followed = paths
      const folders = new Set(paths.map((path) => (isFolder(path) ? path : dirname(path))))
      for (const [folder, watcher] of watchers) {
        if (folders.has(folder)) continue
        watcher.close()
        watchers.delete(folder)
      }
      for (const folder of folders) {
        if (watchers.has(folder)) continue
        const watcher = watch(folder, () => {
          timer ??= setTimeout(look, SETTLE_MS)
        })
        watcher.on('error', onFailure)
        watchers.set(folder, watcher)
      }
      seen = signatureOf(paths) ?? ''
    },
    close,
  }
}

/** Time in which an editor writes all of a file, and in which other files of the folder may change without a look. */
const SETTLE_MS = 200

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}

/** @returns undefined when nothing of it is there */
function signatureOf(paths: readonly string[]): string | undefined {
  const signatures = paths.map((path) => {
    const found = statSync(path, { throwIfNoEntry: false })
    if (found?.isDirectory())
      return readdirSync(path)
        .filter((name) => /\.ya?ml$/.test(name))
        .sort()
        .join()
    return found && `${found.dev} ${found.ino} ${found.size} ${found.mtimeMs}`
  })
  return signatures[0] === undefined ? undefined : signatures.join('\n')
}
