import type { LoadedConfig } from './loaded.ts'
import type { ConfigPath, MistakeCode, Position, Problem } from './problems.ts'
import { isMapping } from './shape.ts'

/** Sections whose entries may stand in several files. */
const SHARED: ReadonlySet<string> = new Set(['listen', 'connect', 'subscribe', 'schedule', 'dataflows'])

/**
 * Makes one configuration of several files. A name or a setting that stands in two of them is a mistake, told of with both
 * places. Relative paths of all of them begin at the folder of the whole.
 * @param whole what the configuration is called, and its folder
 */
export function mergeConfigs(
  parts: readonly LoadedConfig[],
  whole: Pick<LoadedConfig, 'file' | 'baseDir' | 'watched' | 'text'>,
): LoadedConfig {
  const merged: Record<string, unknown> = {}
  const problems = parts.flatMap((part) => part.problems)
  /** Which file says it, by section and by name in a section. */
  const owners = new Map<string, LoadedConfig>()
  const take = (part: LoadedConfig, path: readonly string[], code: MistakeCode): boolean => {
    const first = owners.get(path.join('.'))
    if (first === undefined) {
      owners.set(path.join('.'), part)
      return true
    }
    const message = `${path.join('.')} stands in ${placeOf(first, path)} already`
    problems.push(problem(code, part.locateKey(path), path, message, 'keep one of them, or give it another name'))
    return false
  }
  for (const part of parts) {
    if (part.value === undefined || part.value === null) continue
    if (!isMapping(part.value)) {
      const message = `${part.file} is no mapping`
      problems.push(problem('FILE_EMPTY', part.locate([]), [], message, 'write listen:, connect: and so on in it'))
      continue
    }
    for (const [key, value] of Object.entries(part.value)) {
      if (!SHARED.has(key) || !isMapping(value)) {
        if (key === 'version' && merged[key] === value) continue
        if (take(part, [key], 'KEY_TAKEN')) merged[key] = value
        continue
      }
      if (!owners.has(key)) owners.set(key, part)
      const entries = Object.entries(value).filter(([name]) => take(part, [key, name], 'NAME_TAKEN'))
      const before = merged[key]
      merged[key] = { ...(isMapping(before) ? before : {}), ...Object.fromEntries(entries) }
    }
  }
  const ownerOf = ([section, name]: ConfigPath) =>
    owners.get(`${section}.${name}`) ?? owners.get(String(section)) ?? parts[0]
  const isBroken = parts.some(({ value, problems }) => value === undefined && problems.length > 0)
  return {
    ...whole,
    value: isBroken ? undefined : merged,
    problems,
    originOf: (path) => path,
    locate: (path) => ownerOf(path)?.locate(path),
    locateKey: (path) => ownerOf(path)?.locateKey(path),
    sourceOf: (path) => ownerOf(path)?.sourceOf(path),
    locateText: (path, offset) => ownerOf(path)?.locateText(path, offset),
  }
}

/** A mistake that belongs to a file as such. */
export function problem(
  code: MistakeCode,
  position: Position | undefined,
  path: ConfigPath,
  message: string,
  hint?: string,
): Problem {
  return {
    code,
    severity: 'error',
    path,
    message,
    ...(position !== undefined && { position }),
    ...(hint !== undefined && { hint }),
  }
}

function placeOf(part: LoadedConfig, path: ConfigPath): string {
  const position = part.locateKey(path)
  return position === undefined ? part.file : `${position.file}:${position.line}`
}
