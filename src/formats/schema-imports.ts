import { realpathSync } from 'node:fs'
import { dirname, isAbsolute, join, relative } from 'node:path'
import { SluiceError } from '../contracts/errors.ts'

/**
 * Where a file lies that another one imports: as seen from the folder of the main file, as `protoc` does it, or from that
 * of the file that imports. Nothing outside the folder of the main file is found, also by no symbolic link.
 * @param file the main file, absolute
 * @param importer the file that imports, absolute
 * @returns an absolute path
 * @throws SluiceError `schema_invalid`
 */
export function findImport(file: string, importer: string, target: string): string {
  const folder = realpathSync(dirname(file))
  for (const from of [folder, dirname(importer)]) {
    const found = real(join(from, target))
    if (found === undefined) continue
    const way = relative(folder, found)
    if (!way.startsWith('..') && !isAbsolute(way) && !isAbsolute(target)) return found
    throw new SluiceError('schema_invalid', `${importer} imports ${target}, which is not in the folder ${folder}`, {
      hint: 'put all files that belong together into one folder',
    })
  }
  throw new SluiceError('schema_invalid', `${importer} imports ${target}, and there is no such file in ${folder}`)
}

function real(path: string): string | undefined {
  try {
    return realpathSync(path)
  } catch {
    return undefined
  }
}
