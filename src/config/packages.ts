import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { SluiceError } from '../contracts/errors.ts'

/**
 * Loads a package that only some parts need. One that is installed beside the configuration comes before one that is
 * installed beside Sluice.
 * @param folder that of the configuration
 * @throws SluiceError `package_missing`, saying what to install
 */
export async function importPackage(name: string, folder: string): Promise<unknown> {
  try {
    return await import(resolveFrom(folder, name) ?? name)
  } catch (thrown) {
    const code = (thrown as NodeJS.ErrnoException).code
    const message = thrown instanceof Error ? thrown.message : String(thrown)
    if (code !== 'ERR_MODULE_NOT_FOUND' || !message.includes(`'${name}'`)) {
      throw new SluiceError('package_missing', `the package ${name} cannot be loaded: ${message}`, { cause: thrown })
    }
    throw new SluiceError('package_missing', `the package ${name} is not installed`, {
      cause: thrown,
      hint: `Install it beside the configuration, or beside Sluice: npm install ${name}`,
    })
  }
}

/** Where the package lies that the files of a folder would get; undefined when there is none. */
function resolveFrom(folder: string, name: string): string | undefined {
  try {
    return pathToFileURL(createRequire(join(folder, 'sluice.yaml')).resolve(name)).href
  } catch {
    return undefined
  }
}
