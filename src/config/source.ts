import { statSync } from 'node:fs'
import { access, constants, readFile, stat } from 'node:fs/promises'
import { dirname, extname, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { loadFolder, withIncluded } from './include.ts'
import { configOfValue, type LoadedConfig } from './loaded.ts'
import type { MistakeCode, Problem } from './problems.ts'
import { readYaml } from './yaml-source.ts'

/**
/**
 * Reads a configuration: a file and what it includes, or all files of a folder. Never throws: what is wrong is in
 * `problems`.
 * @param text what stood in the file when somebody else has read it; a module is always loaded anew
 */
export async function loadConfig(file: string, text?: string): Promise<LoadedConfig> {
  const isFolder = statSync(file, { throwIfNoEntry: false })?.isDirectory() === true
  return isFolder ? loadFolder(file, loadFile) : withIncluded(await loadFile(file, text), loadFile)
}

/** Reads one file: YAML (or JSON), or the default export of a TypeScript or JavaScript module. */
async function loadFile(file: string, text?: string): Promise<LoadedConfig> {
  const baseDir = dirname(resolve(file))
  if (MODULES.has(extname(file))) return loadModule(file, baseDir)
  return text === undefined ? readText(file, baseDir) : readYaml(text, file, baseDir)
}

async function readText(file: string, baseDir: string): Promise<LoadedConfig> {
  let content: Buffer
  try {
    content = await readFile(file)
  } catch (error) {
    return unreadable(file, baseDir, error)
  }
  const text = decodeUtf8(content)
  if (text !== undefined) return readYaml(text, file, baseDir)
  return broken(file, baseDir, 'FILE_NOT_UTF8', `${file} is not UTF-8 text`, 'save it with the encoding UTF-8')
}

const MODULES: ReadonlySet<string> = new Set(['.ts', '.mts', '.js', '.mjs', '.cts', '.cjs'])

async function loadModule(file: string, baseDir: string): Promise<LoadedConfig> {
  const url = pathToFileURL(resolve(file))
  try {
    // A module is loaded once for each name, so a file that has changed gets another. What it imports stays as it was.
    url.search = `${(await stat(file)).mtimeMs}`
    await access(file, constants.R_OK)
  } catch (error) {
    return unreadable(file, baseDir, error)
  }
  try {
    const module = (await import(url.href)) as { default?: unknown }
    if (module.default !== undefined) return configOfValue(module.default, baseDir, file)
    const hint = "write: export default defineConfig({ … }), with defineConfig from 'sluice'"
    return broken(file, baseDir, 'MODULE_FAILED', `${file} has no default export`, hint)
  } catch (error) {
    const reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
    return broken(file, baseDir, 'MODULE_FAILED', `${file} could not be loaded: ${reason}`)
  }
}

function unreadable(file: string, baseDir: string, error: unknown): LoadedConfig {
  const code = (error as NodeJS.ErrnoException).code
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    const hint = `check the name; looked for ${resolve(file)}`
    return broken(file, baseDir, 'FILE_MISSING', `there is no file ${file}`, hint)
  }
  if (code === 'EISDIR') {
    const hint = 'name its files, such as conf.d/*.yaml'
    return broken(file, baseDir, 'FILE_IS_FOLDER', `${file} is a folder`, hint)
  }
  const reason = error instanceof Error ? error.message : String(error)
  return broken(file, baseDir, 'FILE_UNREADABLE', `${file} cannot be read: ${reason}`)
}

function broken(file: string, baseDir: string, code: MistakeCode, message: string, hint?: string): LoadedConfig {
  const problem: Problem = { code, severity: 'error', path: [], message, ...(hint !== undefined && { hint }) }
  return { ...configOfValue(undefined, baseDir, file), problems: [problem] }
}

/** The text without a byte order mark; undefined when the bytes are not UTF-8. */
export function decodeUtf8(bytes: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return undefined
  }
}
