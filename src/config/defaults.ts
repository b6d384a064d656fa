import type { LoadedConfig } from './loaded.ts'
import type { ConfigPath } from './problems.ts'
import { isMapping, valueAt } from './shape.ts'

/**
 * Puts what stands under `defaults.listen` and `defaults.connect` into each entry of that section, as far as the entry says
 * nothing else: mappings are joined, everything else is replaced. What is wrong in it is told of where it is written.
 */
export function withDefaults(loaded: LoadedConfig): LoadedConfig {
  const { value } = loaded
  const defaults = valueAt(value, ['defaults'])
  if (!isMapping(value) || !isMapping(defaults)) return loaded
  const merged = Object.entries(value).map(([section, entries]): [string, unknown] => {
    const given = SECTIONS.has(section) ? defaults[section] : undefined
    if (!isMapping(given) || !isMapping(entries)) return [section, entries]
    return [section, mapValues(entries, (entry) => (isMapping(entry) ? joinEntry(given, entry) : entry))]
  })
  const originOf = (path: ConfigPath): ConfigPath => {
    const [section, , ...rest] = path
    if (path.length < 3 || !SECTIONS.has(String(section))) return path
    const shared = ['defaults', section!, ...rest]
    return depth(value, shared) > depth(value, path) ? shared : path
  }
  return {
    ...loaded,
    value: Object.fromEntries(merged),
    originOf,
    locate: (path) => loaded.locate(originOf(path)),
    locateKey: (path) => loaded.locateKey(originOf(path)),
    sourceOf: (path) => loaded.sourceOf(originOf(path)),
    locateText: (path, offset) => loaded.locateText(originOf(path), offset),
  }
}

const SECTIONS: ReadonlySet<string> = new Set(['listen', 'connect'])

/** One of several things: half of one and half of another would be neither. */
const WHOLE: ReadonlySet<string> = new Set(['framing', 'format', 'hosts'])

/** Two ways to say the same: an entry that says it in one way does not take the other. */
const INSTEAD: Readonly<Record<string, readonly string[]>> = {
  socket: ['host', 'hosts', 'port'],
  host: ['socket', 'hosts'],
  hosts: ['host', 'socket'],
  port: ['socket'],
}

type Mapping = Record<string, unknown>

function joinEntry(given: Mapping, entry: Mapping): Mapping {
  const replaced = new Set(Object.keys(entry).flatMap((key) => INSTEAD[key] ?? []))
  return join(Object.fromEntries(Object.entries(given).filter(([key]) => !replaced.has(key))), entry)
}

function join(given: Mapping, own: Mapping): Mapping {
  const joined = { ...given, ...own }
  for (const [key, value] of Object.entries(own)) {
    const below = given[key]
    if (isMapping(value) && isMapping(below) && !WHOLE.has(key)) joined[key] = join(below, value)
  }
  return joined
}

/** How many keys of a path lead somewhere. */
function depth(value: unknown, path: ConfigPath): number {
  let at = 0
  while (at < path.length && valueAt(value, path.slice(0, at + 1)) !== undefined) at++
  return at
}

function mapValues(mapping: Mapping, change: (value: unknown) => unknown): Mapping {
  return Object.fromEntries(Object.entries(mapping).map(([key, value]) => [key, change(value)]))
}
