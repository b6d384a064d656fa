import type { Message } from '../contracts/message.ts'
import type { Expression, PathTemplate } from '../contracts/schema.ts'
import type { CompileOptions } from './compile.ts'
import { failed } from './evaluation.ts'
import { strictText, templateParts } from './template.ts'

/**
 * Compiles a path in which `${…}` is evaluated. What a message says can name a file or a folder and nothing else: it
 * cannot climb, begin another folder, or be nothing. What the configuration itself says is left as it is.
 *
 * The rules are those of every file system that we know: no `/`, `\` or control character (NUL among them) in a value;
 * no name `.` or `..` (POSIX.1-2024, 4.16 Pathname Resolution) that a value has a part in, and none that is longer than
 * 255 bytes (NAME_MAX of Linux).
 * @returns a function that throws SluiceError `expression_failed`
 * @throws ExpressionError
 */
export function compilePathTemplate(source: string, options: CompileOptions): PathTemplate {
  const parts = templateParts(source, options)
  const only = parts.length < 2 ? (parts[0] ?? '') : undefined
  const fixed = typeof only === 'string' ? only : undefined
  const names = namesOf(parts)
  const run = (message: Message) => names.map((name) => nameFor(name, message)).join('/')
  return Object.assign(run, { source, isMessage: false, fixed })
}

/** What stands between two `/` of a path. */
type Name = readonly (string | Expression)[]

function namesOf(parts: readonly (string | Expression)[]): Name[] {
  const names: (string | Expression)[][] = [[]]
  for (const part of parts) {
    const [first, ...others] = typeof part === 'string' ? part.split('/') : [part]
    if (first !== undefined && first !== '') names.at(-1)!.push(first)
    for (const other of others) names.push(other === '' ? [] : [other])
  }
  return names
}

function nameFor(parts: Name, message: Message): string {
  if (parts.length === 1 && typeof parts[0] === 'string') return parts[0]
  const name = parts.map((part) => (typeof part === 'string' ? part : textOf(part, message))).join('')
  if (name === '.' || name === '..') throw failed(`"${name}" cannot be the name of a file or a folder`, HINT)
  if (Buffer.byteLength(name) > LONGEST_NAME) {
    throw failed(`the name "${name.slice(0, 40)}…" is longer than ${LONGEST_NAME} bytes`, HINT)
  }
  return name
}

function textOf(part: Expression, message: Message): string {
  const value = strictText(part, message)
  if (value === '') throw failed(`${part.source.trim()} is empty and cannot be part of a path`, HINT)
  const bad = FORBIDDEN.exec(value)?.[0]
  if (bad === undefined) return value
  throw failed(`${part.source.trim()} has ${JSON.stringify(bad)} in it and cannot be part of a path`, HINT)
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
const FORBIDDEN = /[\u0000-\u001f\u007f/\\]/

/** Most bytes of a name on the usual file systems. */
const LONGEST_NAME = 255

const HINT = 'Let a filter or an expression see to it that the value is a plain name.'
