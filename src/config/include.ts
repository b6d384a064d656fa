import { globSync, readdirSync } from 'node:fs'
import { join, resolve, sep } from 'node:path'
import type { LoadedConfig } from './loaded.ts'
import { mergeConfigs, problem } from './merge.ts'
import { isMapping } from './shape.ts'

/** Loads one file. */
type Load = (file: string) => Promise<LoadedConfig>

/** Makes one configuration of all files of a folder that end in .yaml or .yml, in the order of their names. */
export async function loadFolder(folder: string, load: Load): Promise<LoadedConfig> {
  const files = configsOf(folder).map((name) => join(folder, name))
  const parts = await Promise.all(files.map(async (file) => withoutInclude(await load(file))))
  const baseDir = resolve(folder)
  const merged = mergeConfigs(parts, {
    file: folder,
    baseDir,
    watched: [baseDir, ...files.map((file) => resolve(file))],
  })
  if (files.length > 0) return merged
  const hint = 'write a configuration into it, such as sluice.yaml'
  const empty = problem('FILE_MISSING', undefined, [], `${folder} has no file that ends in .yaml or .yml`, hint)
  return { ...merged, value: undefined, problems: [empty] }
}

/** The names of the configurations in a folder, in order. Files of cases for `sluice test` are none. */
export function configsOf(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => /(?<!\.test)\.ya?ml$/.test(name) && !name.startsWith('.'))
    .sort()
}

/** Takes the files in that the `include:` of a configuration names. */
export async function withIncluded(main: LoadedConfig, load: Load): Promise<LoadedConfig> {
  const { value, file, baseDir } = main
  if (!isMapping(value) || value['include'] === undefined) return main
  const { include, ...rest } = value
  const patterns = typeof include === 'string' ? [include] : include
  const at = main.locate(['include'])
  const refuse = (message: string, hint: string, position = at) => ({
    ...main,
    value: undefined,
    problems: [...main.problems, problem('INCLUDE_INVALID', position, ['include'], message, hint)],
  })
  if (!Array.isArray(patterns) || !patterns.every((one) => typeof one === 'string' && one !== '')) {
    return refuse('include is no list of files', 'write include: [ conf.d/*.yaml ]')
  }
  const found = new Set<string>()
  const watched = new Set<string>(main.watched)
  for (const [i, pattern] of patterns.entries()) {
    const files = globSync(pattern, { cwd: baseDir }).sort()
    const isPattern = /[*?[{]/.test(pattern)
    // A folder that is filled later may be empty now; a name is meant.
    if (files.length === 0 && !isPattern) {
      const hint = `looked for ${resolve(baseDir, pattern)}`
      return refuse(
        `there is no file ${pattern}`,
        hint,
        main.locate(Array.isArray(include) ? ['include', i] : ['include']),
      )
    }
    if (isPattern) watched.add(resolve(baseDir, folderOf(pattern)))
    for (const one of files) found.add(resolve(baseDir, one))
  }
  found.delete(resolve(file))
  const named = Array.from(found, (path) => ({ path, shown: shownAs(path, baseDir, file) }))
  const parts = await Promise.all(named.map(async ({ shown }) => withoutInclude(await load(shown))))
  for (const { path } of named) watched.add(path)
  return mergeConfigs([{ ...main, value: rest }, ...parts], {
    file,
    baseDir,
    watched: [...watched],
    ...(main.text !== undefined && { text: main.text }),
  })
}

/** What is before the first folder with a wildcard in its name. */
function folderOf(pattern: string): string {
  const parts = pattern.split('/')
  return parts
    .slice(
      0,
      Math.min(
        parts.length - 1,
        parts.findIndex((part) => /[*?[{]/.test(part)),
      ),
    )
    .join(sep)
}

/** A file as people know it: beside the main file as that is written. */
function shownAs(path: string, baseDir: string, main: string): string {
  const folder = main.slice(0, Math.max(main.lastIndexOf('/'), main.lastIndexOf(sep)) + 1)
  return path.startsWith(baseDir + sep) ? folder + path.slice(baseDir.length + 1) : path
}

/** Only the file that is named may include others, so that what belongs to a configuration is seen in one place. */
function withoutInclude(part: LoadedConfig): LoadedConfig {
  const { value } = part
  if (!isMapping(value) || value['include'] === undefined) return part
  const message = 'include has no meaning in a file that is itself included, or in one of a folder'
  const hint = 'write it in the file that sluice run is given'
  const wrong = problem('INCLUDE_INVALID', part.locateKey(['include']), ['include'], message, hint)
  return { ...part, value: undefined, problems: [...part.problems, wrong] }
}
