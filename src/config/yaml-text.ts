import { isCollection } from 'yaml'
import type { MistakeCode } from './problems.ts'

/** Something wrong with the YAML of a file. */
export interface YamlFinding {
  readonly code: MistakeCode
  /** Index in the text of the file. */
  readonly offset: number
  readonly message: string
  readonly hint?: string
  /** What the parser made of the file cannot be trusted. */
  readonly structural: boolean
  /** What the parser finds wrong in later lines is a consequence. */
  readonly derails?: boolean
  /** Seen in the line itself, and so wrong in any case. */
  readonly certain?: boolean
}

export const HALF_EXPRESSION = 'YAML reads a part of this expression as a key, because of a ? or a colon and a space'

/** The line with its value in quotes: `write filter: '!msg.ok'`. */
export function cure(text: string, offset: number, ancestors: readonly unknown[], withComment = false): string {
  const line = lineAt(text, offset)
  const rest = text.slice(offset, line.start + line.text.length)
  const flow = ancestors.some((node) => isCollection(node) && node.flow === true)
  const value = (flow ? flowText(rest) : withComment ? rest : rest.replace(/\s+#.*$/, '')).trim()
  const key = /([\w.-]+:\s+)(?:[?!&*]\s*)?$/.exec(text.slice(line.start, offset))?.[1] ?? ''
  return `put it in quotes: ${key}${quote(value)}`
}

/** An element of [ ] or { } as it was meant: up to a comma or bracket that does not belong to the expression. */
function flowText(rest: string): string {
  let depth = 0
  let quoted = ''
  for (let i = 0; i < rest.length; i++) {
    const char = rest[i]!
    if (quoted !== '') quoted = char === quoted ? '' : quoted
    else if (char === '"' || char === "'") quoted = char
    else if ('([{'.includes(char)) depth++
    else if (depth === 0 && ',]}'.includes(char)) return rest.slice(0, i)
    else if (')]}'.includes(char)) depth--
  }
  return rest
}

/** A text in quotes for YAML, in the kind of quotes that need no change inside; it means the same as `value`. */
export function quote(value: string): string {
  if (!value.includes("'")) return `'${value}'`
  const alike = value.includes('"') ? withSingleQuotes(value) : value
  return /["\\]/.test(alike) ? `'${value.replaceAll("'", "''")}'` : `"${alike}"`
}

/** Texts within `${…}` in single quotes, which mean the same there. */
function withSingleQuotes(value: string): string {
  return value.replaceAll(/\$\{[^}]*\}/g, (code) => code.replaceAll(/"([^"'\\]*)"/g, "'$1'"))
}

/**
 * What stands within the outer quotes of a text that YAML ends too early, at a quote inside: `"msg.name == "x""`.
 * Undefined when its first quote does not belong to its last, as in `"x" == "y"`.
 * @param start where the first quote stands
 * @param flow it is an element of [ ] or { }
 */
export function quotedWhole(text: string, start: number, flow: boolean): string | undefined {
  const { start: lineStart, text: line } = lineAt(text, start)
  const whole = flow ? /^(["'])(.*?)\1(?=\s*[,\]}])/ : /^(["'])(.+)\1\s*(?:#.*)?$/
  const inner = whole.exec(line.slice(start - lineStart))?.[2]
  if (inner === undefined) return undefined
  const joinsTexts = /["']\s*(?:[=!<>+&|?]|in\b)/.test(inner)
  return joinsTexts && /^[^"']*[^"'\s(,=!<>+&|?:[]["']/.test(inner) ? undefined : inner
}

export interface Line {
  readonly start: number
  readonly text: string
}

export function lineAt(text: string, offset: number): Line {
  const start = text.lastIndexOf('\n', offset - 1) + 1
  const end = text.indexOf('\n', offset)
  return { start, text: text.slice(start, end < 0 ? text.length : end).replace(/\r$/, '') }
}

export function lineOf(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length
}

/** What stands behind the first `key: ` of a line. */
export function valueOfLine(text: string, offset: number): Line | undefined {
  const line = lineAt(text, offset)
  const prefix = /^\s*(?:- +)*(?:"[^"]*"|'[^']*'|[^\s:'"]+):\s+/.exec(line.text)?.[0]
  if (prefix === undefined) return undefined
  return { start: line.start + prefix.length, text: line.text.slice(prefix.length) }
}
