import { type Document, isCollection, isPair, isScalar, type Node, visit, type YAMLError } from 'yaml'
import {
  cure,
  HALF_EXPRESSION,
  type Line,
  lineAt,
  quote,
  quotedWhole,
  valueOfLine,
  type YamlFinding,
} from './yaml-text.ts'

/** Says in our words what the parser could not read. */
export function explainYamlErrors(document: Document, text: string): YamlFinding[] {
  const lost = document.errors.findIndex(isLost)
  return document.errors.flatMap((error, i) => {
    const explained = lost === -1 || i <= lost ? explain(error, document, text) : endsTooEarlyInLine(error.pos[0], text)
    // It has lost its way because of what it said before.
    if (explained === undefined || (i === lost && i > 0 && explained.code === 'YAML_INVALID')) return []
    return [{ structural: true, ...explained }]
  })
}

/** The parser does not know any more where it is: what it says from here on is of no use. */
function isLost({ code, message }: YAMLError): boolean {
  return code === 'UNEXPECTED_TOKEN' && message.includes('in YAML stream')
}

type Explained = Omit<YamlFinding, 'structural'> & { readonly structural?: boolean }

function explain({ code, pos: [at], message }: YAMLError, document: Document, text: string): Explained | undefined {
  const line = lineAt(text, at)
  switch (code) {
    case 'TAG_RESOLVE_FAILED':
    case 'DUPLICATE_KEY':
    case 'BAD_ALIAS':
      // Found as traps, with a better position.
      return undefined
    case 'TAB_AS_INDENT':
      return { code: 'YAML_TAB', offset: at, message: 'a tab indents this line', hint: 'indent with spaces' }
    case 'BAD_SCALAR_START':
      return needsQuotes(at, `a text cannot begin with ${text[at]} unless it is in quotes`, text)
    case 'BAD_DQ_ESCAPE':
      return badEscape(at, text)
    case 'MULTIPLE_DOCS': {
      const hint = 'remove the line --- and keep one configuration in the file'
      return { code: 'YAML_INVALID', offset: at, message: 'a second document begins here', hint }
    }
    case 'MULTILINE_IMPLICIT_KEY':
    case 'BLOCK_AS_IMPLICIT_KEY':
    case 'BLOCK_IN_FLOW':
      return nested(at, line, document, text)
    case 'MISSING_CHAR':
      return missingCharacter(at, message, document, text)
    case 'BAD_INDENT':
      if (message.startsWith('Flow')) return unclosed(at, document, text)
      return indent(at, 'this line stands in no column of the lines above it')
    default:
  }
  const tooEarly = endsTooEarlyInFlow(at, document, text) ?? endsTooEarlyInLine(at, text)
  if (tooEarly !== undefined) return tooEarly
  const value = valueOfLine(text, at)
  if (code === 'UNEXPECTED_TOKEN' && value !== undefined && /^["'[{>|]/.test(value.text)) {
    const structural = !/^["'[]/.test(value.text)
    const message = `a text that begins with ${value.text[0]} must be in quotes as a whole`
    return { ...needsQuotes(value.start, message, text), structural }
  }
  // What the parser quotes might be a secret; the line is shown anyway.
  return {
    code: 'YAML_INVALID',
    offset: at,
    message: `this is not valid YAML: ${message.replace(/: (?:".*"|\S+)$/s, '')}`,
  }
}

/** Escapes of YAML 1.2 (5.7) that need digits: how many, and one that has them. */
const WITH_DIGITS: Readonly<Record<string, readonly [count: number, example: string]>> = {
  '\\x': [2, '\\x02'],
  '\\u': [4, '\\u00e9'],
  '\\U': [8, '\\U0001f600'],
}

function badEscape(offset: number, text: string): Explained {
  const written = text.slice(offset, offset + 2)
  const [count, example] = WITH_DIGITS[written] ?? []
  const explained = { code: 'YAML_NEEDS_QUOTES', offset, structural: false } as const
  if (count === undefined) {
    const hint = "in double quotes write \\\\ for a backslash, or put the text in single quotes: '…'"
    return { ...explained, message: `${written} is no escape`, hint }
  }
  const hint = `write them all, as in ${example}, or \\\\ for a backslash`
  return { ...explained, message: `${written} needs ${count} hexadecimal digits behind it`, hint }
}

/** A quoted text that is all of the value of its line, and that YAML ends at a quote inside it. */
function endsTooEarlyInLine(at: number, text: string): Explained | undefined {
  const value = valueOfLine(text, at)
  const found = value && tooEarly(value.start, quotedWhole(text, value.start, false))
  return found && { ...found, certain: true }
}

/** The same for an element of [ ] or { }: the text that ends where the parser expected something else. */
function endsTooEarlyInFlow(at: number, document: Document, text: string): Explained | undefined {
  const start = lastNode(document, at, (node) => isScalar(node) && node.range?.[1] === at)
  if (start === undefined || !/["']/.test(text[start] ?? '')) return undefined
  return tooEarly(start, quotedWhole(text, start, true))
}

function tooEarly(offset: number, inner: string | undefined): Explained | undefined {
  if (inner === undefined || !/["']/.test(inner)) return undefined
  const message = 'this text ends at its second quote'
  return { code: 'YAML_NEEDS_QUOTES', offset, message, hint: `write ${quote(inner)}`, structural: false }
}

/** A mapping where none can be: an unquoted `a ? b : c` or `a: b`, or a line that is indented too far. */
function nested(at: number, line: Line, document: Document, text: string): Explained {
  const tooEarly = endsTooEarlyInLine(at, text)
  if (tooEarly !== undefined) return tooEarly
  const value = valueOfLine(text, at)
  const colon = value && /: |:$| \? /.test(value.text)
  if (value && colon) {
    const hint = cure(text, value.start, [])
    return {
      code: 'YAML_HALF_EXPRESSION',
      offset: value.start,
      message: HALF_EXPRESSION,
      hint,
      structural: isInFlow(document, at),
    }
  }
  const next = text.indexOf('\n', line.start) + 1
  return indent(
    next + /^ */.exec(text.slice(next))![0].length,
    'this line is indented below a line that has a value already',
  )
}

function missingCharacter(at: number, message: string, document: Document, text: string): Explained {
  if (/quote/.test(message)) {
    const open = lastNode(document, at, (node) => isScalar(node) && /^["']/.test(text.slice(node.range?.[0] ?? 0)))
    return {
      code: 'YAML_INDENT',
      offset: open ?? at,
      message: 'this quote is not closed',
      hint: `end the text with ${text[open ?? at] ?? '"'}`,
      derails: true,
    }
  }
  if (/map values/.test(message)) {
    const word = lineAt(text, at).text.trim()
    return {
      code: 'YAML_INVALID',
      offset: at,
      message: 'this line has no colon',
      hint: `write ${word.split(/\s/)[0]}: and a value`,
    }
  }
  return unclosed(at, document, text)
}

function unclosed(at: number, document: Document, text: string): Explained {
  const open = lastNode(document, at, isUnclosed) ?? at
  const hint = `end it with ${text[open] === '[' ? ']' : '}'}, in a line indented deeper than its key`
  return {
    code: 'YAML_INDENT',
    offset: open,
    message: `this ${text[open] ?? 'bracket'} is not closed`,
    hint,
    derails: true,
  }
}

/** Whether a node is a [ or { without its end. The parser also makes mappings that have no bracket: `[ a: b ]`. */
function isUnclosed({ srcToken }: Node): boolean {
  if (srcToken?.type !== 'flow-collection') return false
  return srcToken.end[0]?.source !== (srcToken.start.source === '[' ? ']' : '}')
}

function indent(offset: number, message: string): Explained {
  return { code: 'YAML_INDENT', offset, message, hint: 'begin it in the same column as the keys that it belongs with' }
}

function needsQuotes(offset: number, message: string, text: string): Explained {
  return { code: 'YAML_NEEDS_QUOTES', offset, message, hint: cure(text, offset, []), structural: false }
}

function isInFlow(document: Document, offset: number): boolean {
  return (
    lastNode(
      document,
      offset,
      (node) => isCollection(node) && node.flow === true && (node.range?.[2] ?? 0) > offset,
    ) !== undefined
  )
}

/** Where the last node begins that stands before an offset and passes a test. */
function lastNode(document: Document, offset: number, test: (node: Node) => boolean): number | undefined {
  let last: number | undefined
  visit(document, (_key, node) => {
    if (isPair(node) || node === null || typeof node !== 'object' || !('range' in node)) return
    const start = (node as Node).range?.[0]
    if (start !== undefined && start <= offset && test(node as Node)) last = start
  })
  return last
}
