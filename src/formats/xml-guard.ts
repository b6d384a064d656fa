import type { Fault } from './fault.ts'
import { findForbidden, isXmlCharacter, XML_NAME } from './xml-characters.ts'

/** A fault, and the names of the elements around it. */
export interface XmlFault extends Fault {
  readonly path: readonly string[]
}

/**
 * What fast-xml-parser takes and must not, or would lose in silence: document types, references that stand for
 * nothing, what is outside of the outermost element, and instructions, comments and sections that do not end. Whether
 * elements match, and names and attributes are well-formed, is left to its validator.
 * @param text without a byte order mark
 * @returns the first fault
 */
export function findXmlFault(text: string, maxDepth: number): XmlFault | undefined {
  const forbidden = findForbidden(text)
  if (forbidden !== -1) return { problem: 'a character that XML forbids', at: forbidden, path: [] }
  const path: string[] = []
  let hasRoot = false
  /** Behind the markup before. */
  let end = 0
  const outside = (at: number): XmlFault => ({
    problem: hasRoot ? 'something behind the outermost element' : 'no element, where the document must begin',
    at,
    path,
  })
  for (const { 0: markup, index } of text.matchAll(MARKUP)) {
    const stray = path.length === 0 ? text.slice(end, index).search(NOT_BLANK) : -1
    if (stray !== -1) return outside(end + stray)
    const fault = findMarkupFault(text, markup, index)
    if (fault) return { ...fault, path }
    end = index + markup.length
    if (isAside(markup)) continue
    const name = START_TAG.exec(markup)?.[1]
    if (path.length === 0 && (hasRoot || name === undefined)) return outside(index)
    if (name === undefined) {
      if (markup.startsWith('</')) path.pop()
      continue
    }
    if (path.length >= maxDepth) return { problem: `nested deeper than maxDepth, ${maxDepth}`, at: index, path }
    hasRoot = true
    if (!markup.endsWith('/>')) path.push(name)
  }
  const stray = path.length === 0 ? text.slice(end).search(NOT_BLANK) : -1
  return stray !== -1 || !hasRoot ? outside(stray === -1 ? text.length : end + stray) : undefined
}

/**
 * Everything that is no text: comments, CDATA sections, instructions, tags, what may not be in a text, references, and
 * a `<` that begins none of these. Each part can match in one way only, so that no frame takes longer than its length.
 */
const MARKUP =
  /<!--.*?-->|<!\[CDATA\[.*?\]\]>|<\?.*?\?>|<[^<>"'!?][^<>"']*(?:(?:"[^"<]*"|'[^'<]*')[^<>"']*)*>|\]\]>|&(?:[^\s;&<"']*;)?|</gs
const REFERENCES = /&(?:[^\s;&<"']*;)?/g
const START_TAG = /^<([^\s!?/>]+)/
/** The validator skips a = that belongs to nothing. */
const GIVEN_VALUE = /=[\t\n\r ]*(?:"[^"]*"|'[^']*')/g
const NOT_BLANK = /[^\t\n\r ]/

function findMarkupFault(text: string, markup: string, at: number): Fault | undefined {
  if (markup === '<') return { problem: unfinished(text, at), at }
  if (markup === ']]>') return { problem: 'a ]]> in a text', at }
  if (markup.startsWith('<!--')) {
    return markup.indexOf('--', 4) === markup.length - 3 ? undefined : { problem: 'a -- in a comment', at }
  }
  if (markup.startsWith('<?')) {
    const problem = instructionProblem(markup, at === 0)
    return problem === undefined ? undefined : { problem, at }
  }
  if (markup.startsWith('<!')) return undefined
  if (markup.includes('=') && markup.replaceAll(GIVEN_VALUE, '').includes('=')) {
    return { problem: 'a = without a value in quotes', at }
  }
  for (const { 0: reference, index } of markup.matchAll(REFERENCES)) {
    if (!isReference(reference)) return { problem: referenceProblem(reference), at: at + index }
  }
  return undefined
}

/** May stand outside of the outermost element, too. */
function isAside(markup: string): boolean {
  return markup.startsWith('<!--') || markup.startsWith('<?')
}

function unfinished(text: string, at: number): string {
  if (text.startsWith('<!--', at)) return 'a comment that does not end'
  if (text.startsWith('<![CDATA[', at)) return 'a CDATA section that does not end'
  if (text.startsWith('<?', at)) return 'an instruction that does not end'
  if (text.startsWith('<!', at)) return 'a document type or declaration, which is refused,'
  return 'a tag that does not end, or has a < or an open quote in it'
}

/** Sections 2.6 and 2.8, and 4.3.3 for the encoding. */
function instructionProblem(markup: string, isFirst: boolean): string | undefined {
  if (!/^<\?xml[\t\n\r ?]/i.test(markup)) {
    return INSTRUCTION.test(markup) ? undefined : 'an instruction without a name, or with an open quote'
  }
  if (!isFirst) return 'a declaration that is not at the start'
  const found = DECLARATION.exec(markup)
  if (found === null) return 'not a declaration of XML'
  const encoding = found[3] ?? 'UTF-8'
  if (/^(?:utf-?8|us-ascii)$/i.test(encoding)) return undefined
  return `the document says that it is in ${encoding}, and only UTF-8 is read,`
}

/** Quotes are legal in any number; fast-xml-parser would look for the end of an open one in the rest of the frame. */
const INSTRUCTION = new RegExp(`^<\\?${XML_NAME}(?:[\\t\\n\\r ][^"']*(?:(?:"[^"]*"|'[^']*')[^"']*)*)?\\?>$`)
const DECLARATION =
  /^<\?xml\s+version\s*=\s*(["'])1\.\d\1(?:\s+encoding\s*=\s*(["'])([A-Za-z][\w.-]*)\2)?(?:\s+standalone\s*=\s*(["'])(?:yes|no)\4)?\s*\?>$/

/** Sections 4.1 and 4.6. A reference with more digits than any character needs is left as it is by the decoder. */
function isReference(text: string): boolean {
  const found = /^&(?:(amp|lt|gt|quot|apos)|#(\d{1,20})|#x([\da-fA-F]{1,20}));$/.exec(text)
  if (found === null) return false
  const [, name, decimal, hex] = found
  return name !== undefined || isXmlCharacter(Number(decimal ?? `0x${hex}`))
}

function referenceProblem(text: string): string {
  if (!/^&[^#]+;$/.test(text)) return 'an & that begins nothing'
  return `the entity ${text.slice(0, 40)}, which is not one of XML,`
}
