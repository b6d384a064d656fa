import type { z } from '../contracts/schema.ts'
import { asMapping, entryWithoutName, unknownKey } from './cures.ts'
import { type ConfigPath, formatPath } from './problems.ts'
import type { Finding, Report } from './report.ts'
import { isMapping, markerOf, schemaAt, valueAt } from './shape.ts'
import { inWords, show, whatToWrite } from './words.ts'

/**
 * Checks a value against its schema and reports every mistake.
 *
 * So that one mistake does not hide others, what is wrong is left out and the rest is read again: the output then is that
 * of the value without its mistakes.
 * @param path where the value stands in the configuration
 * @returns the output, or undefined when what is left cannot be used
 */
export function validate<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  path: ConfigPath,
  report: Report,
): { readonly output: z.output<Schema> } | undefined {
  const first = schema.safeParse(value)
  if (first.success) return { output: first.data }
  const context: Context = { schema, value, path, report }
  // What is wrong already, a variable that is not set say, is not wrong a second time.
  const news = first.error.issues.filter((issue) => isRoot(issue) || !report.isWrong([...path, ...pathOf(issue)]))
  for (const issue of unknownFirst(news)) for (const finding of explain(issue, context)) report.add(finding)
  let rest = value
  let issues: readonly Issue[] = first.error.issues
  while (issues.every(({ path: at, code }) => at.length > 0 || code === 'unrecognized_keys')) {
    let isLess = false
    // Backwards, so that leaving out an element of a list does not move one that is still to be left out.
    for (const issue of issues.toReversed()) {
      for (const wrong of wrongPaths(issue, rest)) {
        isLess ||= isThere(rest, wrong)
        rest = without(rest, wrong)
      }
    }
    const next = schema.safeParse(rest)
    if (next.success) return { output: next.data }
    // What is wrong stands not in the value: it is a default.
    if (!isLess) break
    issues = next.error.issues
  }
  return undefined
}

type Issue = z.core.$ZodIssue

interface Context {
  readonly schema: z.ZodType
  readonly value: unknown
  readonly path: ConfigPath
  readonly report: Report
}

function pathOf(issue: Issue): ConfigPath {
  return issue.path as ConfigPath
}

function isRoot(issue: Issue): boolean {
  return issue.path.length === 0
}

/** Unknown keys before missing ones: what was misspelt is not missing. */
function unknownFirst(issues: readonly Issue[]): Issue[] {
  const isUnknown = ({ code }: Issue) => code === 'unrecognized_keys'
  return [...issues.filter(isUnknown), ...issues.filter((issue) => !isUnknown(issue))]
}

/** What to leave out because of an issue; of a mapping that lacks a key, all of it. */
function wrongPaths(issue: Issue, value: unknown): ConfigPath[] {
  const path = pathOf(issue)
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => [...path, key])
  return [valueAt(value, path) === undefined ? path.slice(0, -1) : path]
}

function isThere(value: unknown, path: ConfigPath): boolean {
  const key = path.at(-1)
  if (key === undefined) return value !== undefined
  const parent = valueAt(value, path.slice(0, -1))
  return (isMapping(parent) || Array.isArray(parent)) && key in parent
}

/** A copy without what stands at a path. What cannot be opened goes as a whole, so that there always is less. */
function without(value: unknown, [key, ...rest]: ConfigPath): unknown {
  if (key === undefined) return undefined
  if (Array.isArray(value)) {
    if (rest.length === 0) return value.filter((_item, index) => index !== key)
    return value.map((item, index) => (index === key ? without(item, rest) : item))
  }
  if (!isMapping(value)) return undefined
  const entries = Object.entries(value)
  if (rest.length === 0) return Object.fromEntries(entries.filter(([name]) => name !== key))
  return Object.fromEntries(entries.map(([name, item]) => [name, name === key ? without(item, rest) : item]))
}

function explain(issue: Issue, context: Context): Finding[] {
  const at = pathOf(issue)
  const path = [...context.path, ...at]
  const { report } = context
  const input = valueAt(context.value, at)
  const schema = schemaAt(context.schema, at)
  const nameless = entryWithoutName(context.schema, context.value, at, context.path)
  if (nameless.length > 0) return nameless
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey(key, path, schema))
  if (issue.code === 'invalid_key') {
    const expected = issue.issues[0]?.message.replace(/^expected /, '')
    return [{ code: 'VALUE_INVALID', path, at: 'key', message: `${String(at.at(-1))} cannot be a name`, expected }]
  }
  if (input === undefined && at.length > 0) return report.isWrong(path) ? [] : [missingKey(path, schema)]
  const source = typeof input === 'number' ? (report.sourceOf(path) ?? String(input)) : undefined
  if (at.at(-1) === 'hex' && source !== undefined) return [hexNotQuoted(path, source)]
  const marker = schema && markerOf(schema)
  if (issue.code === 'invalid_union' && (marker === undefined || isMapping(input))) {
    const entered = enteredBranch(issue)
    if (entered !== undefined) {
      return unknownFirst(entered).flatMap((inner) => {
        return explain({ ...inner, path: [...at, ...inner.path] } as Issue, context)
      })
    }
  }
  const isSecret = marker === 'secret'
  const isEmpty = issue.code === 'too_small' && Array.isArray(input) && input.length === 0
  const shown = isSecret ? 'a value that it cannot have' : isEmpty ? 'empty' : (source ?? show(input))
  const said = issue.code === 'custom' || issue.message.startsWith('expected ') ? issue.message : undefined
  // An option that is missing only because its name is misspelt, perhaps.
  if (issue.code === 'custom' && isMapping(input) && report.isMisspelt(path)) return []
  if (issue.code === 'custom' && !issue.message.startsWith('expected ')) {
    // What a part says beside its message: a cure, and whether it is the key that is wrong.
    const hint: unknown = issue.params?.['hint']
    const cure = typeof hint === 'string' ? hint : undefined
    const pointed = issue.params?.['at'] === 'key' ? 'key' : 'value'
    return [{ code: 'VALUE_INVALID', path, at: pointed, message: `${nameOf(path)}: ${issue.message}`, hint: cure }]
  }
  if (isEmpty) {
    const what = said?.replace(/^expected /, '') ?? 'at least one entry'
    return [{ code: 'VALUE_INVALID', path, message: `${nameOf(path)} is empty`, hint: `write ${what}` }]
  }
  return [
    {
      code: 'VALUE_INVALID',
      path,
      message: `${nameOf(path)} is ${shown}`,
      expected: said?.slice('expected '.length) ?? (schema && inWords(schema)),
      hint: schema && !isSecret ? (whatToWrite(schema, input, source) ?? asMapping(schema, input)) : undefined,
      hideLine: isSecret,
    },
  ]
}

/** The branch of a union that was meant: its type fits, and what is wrong is inside. */
function enteredBranch(union: z.core.$ZodIssueInvalidUnion): Issue[] | undefined {
  const entered = union.errors.flatMap((issues) => {
    const inner = issues.flatMap((issue) => {
      const nested = issue.code === 'invalid_union' && issue.path.length === 0 ? enteredBranch(issue) : undefined
      return nested ?? [issue]
    })
    return inner.every(({ path, code }) => path.length > 0 || !WRONG_TYPE.has(code)) ? [inner] : []
  })
  return entered.sort((a, b) => a.length - b.length)[0]
}

const WRONG_TYPE: ReadonlySet<string> = new Set(['invalid_type', 'invalid_union', 'custom', 'invalid_value'])

function missingKey(path: ConfigPath, schema: z.ZodType | undefined): Finding {
  const key = String(path.at(-1))
  return {
    code: 'KEY_MISSING',
    path,
    message: `${nameOf(path.slice(0, -1))} needs ${key}`,
    expected: schema && inWords(schema),
    hint: schema?.description && `${key}: ${schema.description}`,
  }
}

function hexNotQuoted(path: ConfigPath, source: string): Finding {
  const digits = /^(?:[0-9a-f]{2})+$/i.test(source) ? source : '0d0a'
  return {
    code: 'HEX_NOT_QUOTED',
    path,
    message: 'without quotes these digits are read as a number, which loses zeros',
    expected: 'pairs of hexadecimal digits in quotes',
    hint: `put the digits in quotes: hex: "${digits}"`,
  }
}

/** A path for a message; the whole configuration has no name. */
function nameOf(path: ConfigPath): string {
  return formatPath(path) || 'the configuration'
}
