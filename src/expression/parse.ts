import { type ASTNode, Environment, ParseError } from '@marcbachmann/cel-js'
import { ExpressionError } from './expression-error.ts'

/**
 * Reads an expression. The library gives the grammar of CEL, its limits and the positions; what the tree means is ours.
 * @throws ExpressionError with the cure where the mistake is a word of another language
 */
export function parse(source: string): ASTNode {
  if (source.trim() === '') {
    throw new ExpressionError('the expression is empty', { start: 0, end: source.length })
  }
  const environment = new Environment({
    unlistedVariablesAreDyn: true,
    homogeneousAggregateLiterals: false,
    limits: { maxAstNodes: 4000, maxDepth: 100 },
  })
  try {
    return environment.parse(source).ast
  } catch (error) {
    throw error instanceof ParseError ? explain(error, source) : error
  }
}

/** Words and signs of other languages, by the text from the mistake on or up to it, and what CEL has for them. */
const FOREIGN: readonly { readonly after?: RegExp; readonly before?: RegExp; readonly cure: string }[] = [
  { after: /^and\b/i, cure: 'write &&' },
  { after: /^or\b/i, cure: 'write ||' },
  { before: /\bnot\s*$/i, cure: 'write !' },
  { before: /==$/, after: /^=/, cure: 'write ==' },
  { before: /!=$/, after: /^=/, cure: 'write !=' },
  { before: /<$/, after: /^>/, cure: 'write !=' },
  { after: /^=>/, cure: 'write >=; a function is list.map(x, …)' },
  { after: /^=/, cure: 'write ==' },
  { after: /^&/, cure: 'write &&' },
  { after: /^\|/, cure: 'write ||' },
  { before: /\?$/, after: /^\?/, cure: 'write default(a, b)' },
  { after: /^\?\?/, cure: 'write default(a, b)' },
  { before: /\?$/, after: /^\./, cure: 'write a.b: a missing key reads as null' },
  { before: /\.$/, after: /^\?/, cure: 'write a.b: a missing key reads as null' },
  { after: /^is\b/i, cure: 'write ==' },
  { after: /^(if|then|else)\b/i, cure: 'write condition ? a : b' },
  { after: /^[“”„‘’`]/, cure: 'write straight quotes: "…"' },
  { before: /\d$/, after: /^,\d/, cure: 'write the decimal point: 1.5' },
  { before: /\.$/, after: /^\d/, cure: 'write a place of a list as list[0]' },
  { before: /\.$/, after: /^[A-Za-z_]/, cure: 'write the key in brackets: msg["in"]' },
  { before: /\.[\w]*$/, after: /^[^\x20-\x7e]/, cure: 'write the key in brackets: msg["größe"]' },
  { after: /^\$\{?/, cure: 'here an expression stands without ${ }' },
]

function explain(error: ParseError, source: string): ExpressionError {
  const start = error.range?.start ?? 0
  const end = error.range?.end ?? start
  const token = source.slice(start, Math.max(end, start + 1))
  const before = source.slice(0, start)
  const after = source.slice(start)
  const cure = FOREIGN.find((rule) => (rule.before?.test(before) ?? true) && (rule.after?.test(after) ?? true))?.cure
  return new ExpressionError(describe(error, token), { start, end }, cure ?? escapeCure(error) ?? textCure(source))
}

function describe(error: ParseError, token: string): string {
  switch (error.code) {
    case 'expected_token': {
      const name = /^Expected (\w+)/.exec(error.summary)?.[1] ?? ''
      const expected = EXPECTED[name] ?? name.toLowerCase()
      return token === '' ? `${expected} is missing at the end` : `expected ${expected} before ${token}`
    }
    case 'unexpected_character':
    case 'unexpected_token':
    case 'reserved_identifier':
      return token === '' ? 'the expression ends too early' : `unexpected ${token}`
    case 'unterminated_string':
    case 'unterminated_triple_quoted_string':
      return 'a quote is not closed'
    case 'invalid_macro_argument':
      return 'the first argument must be a name, as in list.map(x, x.id)'
    default:
      return error.summary.charAt(0).toLowerCase() + error.summary.slice(1)
  }
}

const EXPECTED: Readonly<Record<string, string>> = {
  RPAREN: ')',
  RBRACKET: ']',
  RBRACE: '}',
  COLON: ':',
  IDENTIFIER: 'a name',
}

function escapeCure(error: ParseError): string | undefined {
  if (error.code === 'invalid_octal_escape') return 'write \\x00 for the byte 0'
  return error.code === 'invalid_escape_sequence' ? 'write \\\\ for a backslash, or r"…" for a pattern' : undefined
}

/** Several words and nothing else were meant as a text. */
function textCure(source: string): string | undefined {
  const words = source.trim()
  return /^[\p{L}\d]+(?: [\p{L}\d]+)+$/u.test(words) ? `for the text ${words} write '"${words}"'` : undefined
}
