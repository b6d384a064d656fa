import { isUtf8 } from 'node:buffer'
import { contentText } from '../contracts/codec.ts'
import type { Message } from '../contracts/message.ts'
import type { Expression, Template } from '../contracts/schema.ts'
import { EscapeError, formatBytes, parseBytes, parseText } from '../util/escapes.ts'
import { type CompileOptions, compileExpression } from './compile.ts'
import { failed } from './evaluation.ts'
import { ExpressionError } from './expression-error.ts'

export interface TemplateOptions extends CompileOptions {
  /** Decode `\r`, `\x02` and the like outside `${…}`. Default false. */
  readonly escapes?: boolean
  /** Show bytes that stand in a text with escapes, whatever they are. Default false. */
  readonly showBytes?: boolean
}

/**
 * Compiles a text in which `${…}` is evaluated and `$${` stands for `${`. A text that is exactly one `${…}` gives the
 * value with its type; in any other a value appears as `contentText` writes it, and bytes must be UTF-8.
 * @throws ExpressionError
 */
export function compileTemplate(source: string, options: TemplateOptions): Template {
  const parts = split(source).map((part) => compilePart(part, source, options, options.escapes ? parseText : asWritten))
  const only = parts[0]
  if (parts.length === 1 && typeof only === 'function') {
    return Object.assign((message: Message) => only(message), { source, isMessage: only.isMessage })
  }
  const joined = join(parts, (a, b) => a + b)
  const textOf = options.showBytes ? shownText : strictText
  const run = (message: Message) => {
    let result = ''
    for (const part of joined) {
      result += typeof part === 'string' ? part : textOf(part, message)
    }
    return result
  }
  return Object.assign(run, { source, isMessage: false })
}

/**
 * The literal parts of a text and the expressions between them, in order.
 * @throws ExpressionError
 */
export function templateParts(source: string, options: CompileOptions): (string | Expression)[] {
  return join(
    split(source).map((part) => compilePart(part, source, options, asWritten)),
    (a, b) => a + b,
  )
}

/**
 * The value of a part as text. Never a replacement character: what cannot be said in the text fails instead.
 * @throws SluiceError `expression_failed`
 */
export function strictText(part: Expression, message: Message): string {
  const content = contentText(part(message))
  if (typeof content === 'string') return content
  if (isUtf8(content)) return content.toString()
  const text = part.source.trim()
  throw failed(`${text} is bytes that are no UTF-8 text`, `write hex(${text}), or use raw:`)
}

/**
 * Compiles bytes in which `${…}` is evaluated: `\xHH` is one byte, texts become UTF-8, bytes stay as they are.
 * @returns a function that gives a Buffer, which the caller may keep but not change
 * @throws ExpressionError
 */
export function compileBytesTemplate(source: string, options: CompileOptions): Expression<Buffer> {
  const parts = split(source).map((part) => compilePart(part, source, options, parseBytes))
  const joined = join(parts, (a, b) => Buffer.concat([a, b]))
  const [only] = joined
  if (joined.length < 2 && typeof only !== 'function') {
    const bytes = only ?? Buffer.alloc(0)
    return Object.assign(() => bytes, { source, isMessage: false })
  }
  const run = (message: Message) =>
    Buffer.concat(joined.map((part) => (Buffer.isBuffer(part) ? part : toBytes(part(message)))))
  return Object.assign(run, { source, isMessage: false })
}

/** A piece of a template and where it stands. */
interface Piece {
  readonly kind: 'literal' | 'dollar' | 'expression'
  readonly text: string
  readonly start: number
}

/** Cuts a template at its `${…}`. Braces and quotes inside an expression are respected. */
function split(source: string): Piece[] {
  const pieces: Piece[] = []
  let from = 0
  let at = source.indexOf('${')
  while (at >= 0) {
    const literal = at > from && source[at - 1] === '$'
    const end = literal ? at + 2 : endOfExpression(source, at)
    const before = literal ? at - 1 : at
    if (before > from) pieces.push({ kind: 'literal', text: source.slice(from, before), start: from })
    if (literal) pieces.push({ kind: 'dollar', text: '', start: before })
    else pieces.push({ kind: 'expression', text: source.slice(at + 2, end - 1), start: at + 2 })
    from = end
    at = source.indexOf('${', from)
  }
  if (from < source.length) pieces.push({ kind: 'literal', text: source.slice(from), start: from })
  return pieces
}

/** The place behind the brace that closes the `${` at a place. */
function endOfExpression(source: string, at: number): number {
  let depth = 1
  let i = at + 2
  while (i < source.length) {
    const char = source[i]!
    if (char === '"' || char === "'") {
      i = endOfQuote(source, i)
      continue
    }
    if (char === '{') depth++
    if (char === '}' && --depth === 0) return i + 1
    i++
  }
  throw new ExpressionError('${ is not closed', { start: at, end: source.length }, 'write $${ for the text ${')
}

function endOfQuote(source: string, at: number): number {
  const quote = source[at]!
  const mark = source.startsWith(quote.repeat(3), at) ? quote.repeat(3) : quote
  for (let i = at + mark.length; i < source.length; i++) {
    if (source[i] === '\\') i++
    else if (source.startsWith(mark, i)) return i + mark.length
  }
  throw new ExpressionError('a quote is not closed', { start: at, end: source.length })
}

function compilePart<T extends string | Buffer>(
  { kind, text, start }: Piece,
  source: string,
  options: CompileOptions,
  decode: (text: string) => T,
): T | Expression {
  if (kind === 'dollar') return decode('${')
  try {
    return kind === 'literal' ? decode(text) : compileExpression(text, options)
  } catch (error) {
    if (error instanceof ExpressionError) {
      throw new ExpressionError(error.message, { start: start + error.start, end: start + error.end }, error.hint)
    }
    if (!(error instanceof EscapeError)) throw error
    const at = start + error.index
    throw new ExpressionError(error.message, { start: at, end: Math.min(at + 2, source.length) })
  }
}

/** Joins literals that stand side by side. */
function join<T extends string | Buffer>(
  parts: readonly (T | Expression)[],
  add: (a: T, b: T) => T,
): (T | Expression)[] {
  const result: (T | Expression)[] = []
  for (const part of parts) {
    const last = result.at(-1)
    if (typeof part === 'function' || last === undefined || typeof last === 'function') result.push(part)
    else result[result.length - 1] = add(last, part)
  }
  return result
}

function shownText(part: Expression, message: Message): string {
  const content = contentText(part(message))
  return typeof content === 'string' ? content : formatBytes(content, MAX_SHOWN)
}

/** How many bytes of one value a text for people shows. */
const MAX_SHOWN = 1024

function toBytes(value: unknown): Buffer {
  const content = contentText(value)
  return typeof content === 'string' ? Buffer.from(content, 'utf8') : content
}

function asWritten(text: string): string {
  return text
}
