import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { z } from '../contracts/schema.ts'
import type { ConfigPath } from './problems.ts'
import { formatPath } from './problems.ts'
import type { Report } from './report.ts'
import { alternatives, childOf, isMapping, markerOf } from './shape.ts'

/** Where `${env.NAME}` and `${file:…}` get their values. */
export interface Environment {
  readonly env: Readonly<Record<string, string>>
  /** Relative paths of `${file:…}` start here. */
  readonly baseDir: string
}

/**
 * Puts the values of `${env.NAME}`, `${env.NAME:-default}` and `${file:PATH}` into all options that are fixed at load.
 * Expressions, templates and dataflows are left as they are: in them `${…}` is evaluated for each message. In a path
 * template both happen: these two are put in, and every other `${…}` is left.
 *
 * A text that becomes a number or a boolean does so where the option takes one. Texts of secret options are made known
 * to the report, so that they are never shown.
 */
export function substitute(
  value: unknown,
  schema: z.ZodType,
  path: ConfigPath,
  environment: Environment,
  report: Report,
): unknown {
  const marker = markerOf(schema)
  if (marker !== undefined && EVALUATED.has(marker)) return value
  if (typeof value === 'string') {
    if (alternatives(schema).some((branch) => EVALUATED.has(markerOf(branch) ?? ''))) return value
    const isPath = marker === 'pathTemplate'
    const text = value.includes('${') ? expand(value, path, environment, report, isPath) : value
    if (text === undefined) return value
    if (marker === 'secret') report.addSecret(text)
    return text === value ? value : coerce(text, schema)
  }
  const within = (item: unknown, key: string | number) => {
    const child = childOf(schema, key)
    return child === undefined ? item : substitute(item, child, [...path, key], environment, report)
  }
  if (Array.isArray(value)) return value.map(within)
  if (!isMapping(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, within(item, key)]))
}

const EVALUATED: ReadonlySet<string> = new Set(['expression', 'condition', 'template', 'bytesTemplate', 'dataflow'])

const REFERENCE = /\$?\$\{([^}]*)\}?/g

/**
 * @param isTemplate other references are left for later, and the text stays a template
 * @returns the text, or undefined when a reference leads nowhere, which is then reported
 */
function expand(
  text: string,
  path: ConfigPath,
  environment: Environment,
  report: Report,
  isTemplate: boolean,
): string | undefined {
  let failed = false
  const expanded = text.replaceAll(REFERENCE, (whole, inner: string, offset: number) => {
    if (isTemplate && !LOADED.test(whole)) return whole
    if (whole.startsWith('$$')) return whole.slice(1)
    const found = whole.endsWith('}')
      ? look(inner, environment)
      : { problem: 'is not closed', hint: 'write } behind it' }
    if (typeof found === 'string') return isTemplate ? found.replaceAll('${', () => '$${') : found
    failed = true
    const code = 'fixed' in found ? 'TEMPLATE_NOT_ALLOWED' : 'REFERENCE_FAILED'
    const message = `${whole} in ${formatPath(path)} ${found.problem}`
    report.add({ code, path, message, hint: found.hint, at: offset })
    return ''
  })
  // What is left of a template is compiled all the same, and must not be found wrong for the same reason once more.
  return failed && !isTemplate ? undefined : expanded
}

/** What is put in when the file is loaded, where other references are evaluated for each message. */
const LOADED = /^\$\{(?:env\.[A-Za-z_]\w*(?::-|\}$)|file:)/

interface NotFound {
  readonly problem: string
  readonly hint: string
  readonly fixed?: true
}

function look(inner: string, { env, baseDir }: Environment): string | NotFound {
  const variable = /^env\.([A-Za-z_]\w*)(?::-(.*))?$/s.exec(inner)
  if (variable !== null) {
    const [, name = '', fallback] = variable
    const value = env[name]
    // As in a shell: the default also stands in for an empty value.
    if (value !== undefined && (value !== '' || fallback === undefined)) return value
    if (fallback !== undefined) return fallback
    const hint = `set ${name}, or give a default: \${env.${name}:-default}`
    return { problem: 'is not set in the environment', hint }
  }
  if (inner.startsWith('file:')) {
    const file = resolve(baseDir, inner.slice('file:'.length))
    try {
      return readFileSync(file, 'utf8').replace(/\r?\n$/, '')
    } catch (error) {
      const reason = (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'does not exist' : 'cannot be read'
      return { problem: `names a file that ${reason}`, hint: `looked for ${file}` }
    }
  }
  const hint = 'only ${env.NAME}, ${env.NAME:-default} and ${file:PATH} can stand here; write $${ for the characters ${'
  return { problem: 'cannot be evaluated: this option is fixed when the file is loaded', hint, fixed: true }
}

/** The text, or the number or boolean that it spells, whichever the option takes. */
function coerce(text: string, schema: z.ZodType): unknown {
  if (schema.safeParse(text).success) return text
  const other = text === 'true' ? true : text === 'false' ? false : text.trim() === '' ? Number.NaN : Number(text)
  return schema.safeParse(other).success ? other : text
}
