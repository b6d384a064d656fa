import { readFileSync } from 'node:fs'
import { createRequire, findPackageJSON } from 'node:module'
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
    return whole((await import(resolveFrom(folder, name) ?? name)) as Namespace)
  } catch (thrown) {
    const code = (thrown as NodeJS.ErrnoException).code
    const message = thrown instanceof Error ? thrown.message : String(thrown)
    if (code !== 'ERR_MODULE_NOT_FOUND' || !message.includes(`'${name}'`)) {
      throw new SluiceError('package_missing', `the package ${name} cannot be loaded: ${message}`, { cause: thrown })
    }
    throw notInstalled(name, thrown)
  }
}

/**
 * Where a package lies that only some parts need, for a part that loads it without waiting. It is found as by
 * {@link importPackage}.
 * @returns the absolute path of what a `require` of it loads
 * @throws SluiceError `package_missing`, saying what to install
 */
export function resolvePackage(name: string, folder: string): string {
  for (const from of [join(folder, 'sluice.yaml'), import.meta.url]) {
    try {
      return createRequire(from).resolve(name)
    } catch {
      // Not there: the next place may have it.
    }
  }
  throw notInstalled(name)
}

/** What an `import` gives; of a CommonJS module also what a `require` of it would give. */
type Namespace = { readonly 'module.exports'?: unknown }

/** Of a CommonJS module Node.js names only what it finds in the text, and in that of `pg` it finds nothing. */
function whole(namespace: Namespace): unknown {
  return namespace['module.exports'] ?? namespace
}

function notInstalled(name: string, cause?: unknown): SluiceError {
  return new SluiceError('package_missing', `the package ${name} is not installed`, {
    cause,
    hint: `Install it beside the configuration, or beside Sluice: npm install ${name}`,
  })
}

/** Where the package lies that the files of a folder would get; undefined when there is none. */
function resolveFrom(folder: string, name: string): string | undefined {
  const file = join(folder, 'sluice.yaml')
  try {
    return pathToFileURL(createRequire(file).resolve(name)).href
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === 'ERR_PACKAGE_PATH_NOT_EXPORTED'
      ? importEntry(file, name)
      : undefined
  }
}

/** The entry of a package that has one for `import` alone; Node.js resolves only from the module that imports. */
function importEntry(file: string, name: string): string | undefined {
  const manifest = findPackageJSON(name, file)
  if (manifest === undefined) return undefined
  const { exports } = JSON.parse(readFileSync(manifest, 'utf8')) as { exports?: Target }
  const entry = typeof exports === 'object' ? (pick(exports['.']) ?? pick(exports)) : exports
  return entry && new URL(entry, pathToFileURL(manifest)).href
}

/** What a package says under `exports`: a path, or one for each condition. */
type Target = string | { readonly [condition: string]: Target }

/** The first condition that holds decides. */
function pick(target: Target | undefined): string | undefined {
  if (typeof target !== 'object') return target
  const found = Object.keys(target).find((condition) => ['import', 'node', 'default'].includes(condition))
  return found && pick(target[found])
}
