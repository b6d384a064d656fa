import { invalidAt, readUtf8 } from '../contracts/format.ts'
import { NOT_A_NUMBER, type ReadText } from './numbers.ts'
import { createNamePattern, findForbidden, isXmlCharacter, TEXT } from './xml-characters.ts'

export interface XmlOptions {
  /** Ways of elements that are always lists. */
  readonly arrays: ReadonlySet<string>
  /** Stands in front of names of attributes. */
  readonly attributes: string
  readonly readText: ReadText | undefined
  readonly maxDepth: number
}

/** Reads one document (XML 1.0); what is not well-formed is refused. */
export class XmlReader {
  readonly #options: XmlOptions
  readonly #bytes: Buffer
  readonly #start: number
  readonly #end: number
  readonly #text: string
  readonly #name = createNamePattern()
  /** Names of the elements around, the outermost first. */
  readonly #path: string[] = []
  #at = 0

  /** @throws SluiceError `format_invalid` when the frame is not UTF-8 */
  constructor(options: XmlOptions, bytes: Buffer, start: number, end: number) {
    this.#options = options
    this.#bytes = bytes
    this.#start = start
    this.#end = end
    this.#text = readUtf8(bytes, start, end)
  }

  /** @throws SluiceError `format_invalid` */
  read(): Record<string, unknown> {
    const forbidden = findForbidden(this.#text)
    if (forbidden !== -1) this.#fail('a character that XML forbids', forbidden)
    if (this.#text.startsWith(BYTE_ORDER_MARK)) this.#at = 1
    this.#declaration()
    this.#betweenElements()
    if (this.#text[this.#at] !== '<') this.#fail('no element, where the document must begin', this.#at)
    const root: Record<string, unknown> = {}
    this.#element(root)
    this.#betweenElements()
    if (this.#at < this.#text.length) this.#fail('something behind the outermost element', this.#at)
    return root
  }

  /** Section 2.8, and 4.3.3 for the encoding. */
  #declaration(): void {
    if (!/^<\?xml[\t\n\r ]/.test(this.#text.slice(this.#at, this.#at + 6))) return
    const end = this.#text.indexOf('?>', this.#at)
    const found = DECLARATION.exec(this.#text.slice(this.#at, end === -1 ? this.#at : end + 2))
    if (found === null) this.#fail('not a declaration of XML', this.#at)
    const encoding = found[3] ?? 'UTF-8'
    if (!/^(?:utf-?8|us-ascii)$/i.test(encoding)) {
      this.#fail(`the document says that it is in ${encoding}, and only UTF-8 is read,`, this.#at)
    }
    this.#at = end + 2
  }

  /** Blanks, comments and processing instructions before and behind the outermost element. */
  #betweenElements(): void {
    for (;;) {
      while (isBlank(this.#text[this.#at])) this.#at++
      if (this.#text.startsWith('<!--', this.#at)) this.#comment()
      else if (this.#text.startsWith('<?', this.#at)) this.#instruction()
      else return
    }
  }

  /** Reads the element that begins here into the object of the one around it. */
  #element(parent: Record<string, unknown>): void {
    const from = this.#at
    if (this.#text.startsWith('<!', from)) this.#fail('a document type or declaration, which is refused,', from)
    this.#at++
    const name = this.#readName('an element')
    if (name === '__proto__') this.#fail('the name __proto__, which is refused,', from)
    if (this.#path.length >= this.#options.maxDepth) {
      this.#fail(`nested deeper than maxDepth, ${this.#options.maxDepth}`, from)
    }
    this.#path.push(name)
    const value: Record<string, unknown> = {}
    const hasAttributes = this.#readAttributes(value)
    const isEmpty = this.#text[this.#at] === '/'
    this.#at += isEmpty ? 2 : 1
    const { text, hasElements } = isEmpty ? { text: '', hasElements: false } : this.#content(value, name, from)
    const isBare = !hasAttributes && !hasElements
    if (!isBare && text !== '' && !(hasElements && ALL_BLANK.test(text))) value[TEXT] = this.#typed(text, from, '')
    const whole = isBare ? this.#typed(text, from, '') : value
    const isList = this.#options.arrays.size > 0 && this.#options.arrays.has(this.#path.join('.'))
    this.#path.pop()
    const before = parent[name]
    if (!Object.hasOwn(parent, name)) parent[name] = isList ? [whole] : whole
    else if (Array.isArray(before)) before.push(whole)
    else parent[name] = [before, whole]
  }

  /** Section 3.1: up to the `>` or `/>` of the start tag. @returns whether there are any */
  #readAttributes(value: Record<string, unknown>): boolean {
    const text = this.#text
    let found = false
    for (;;) {
      const blanksFrom = this.#at
      while (isBlank(text[this.#at])) this.#at++
      const from = this.#at
      if (text[from] === '>' || text.startsWith('/>', from)) return found
      if (from === text.length) this.#fail('the frame ends in the middle of a tag', from)
      if (from === blanksFrom) this.#fail('no blank in front of an attribute', from)
      const name = this.#readName('an attribute')
      const key = this.#options.attributes + name
      while (isBlank(text[this.#at])) this.#at++
      if (text[this.#at] !== '=') this.#fail('an attribute without a value', from, key)
      this.#at++
      while (isBlank(text[this.#at])) this.#at++
      const quote = text[this.#at]
      if (quote !== '"' && quote !== "'") this.#fail('a value of an attribute without quotes', this.#at, key)
      const close = text.indexOf(quote, this.#at + 1)
      if (close === -1) this.#fail('a quote that is not closed', this.#at, key)
      if (Object.hasOwn(value, key)) this.#fail('an attribute that comes twice', from, key)
      const written = text.slice(this.#at + 1, close)
      if (written.includes('<')) this.#fail('a < in an attribute', this.#at + 1 + written.indexOf('<'), key)
      value[key] = this.#typed(this.#plain(written, this.#at + 1, ' '), this.#at + 1, key)
      this.#at = close + 1
      found = true
    }
  }

  /** Up to the end of the end tag. */
  #content(value: Record<string, unknown>, name: string, from: number): { text: string; hasElements: boolean } {
    const source = this.#text
    let text = ''
    let hasElements = false
    for (;;) {
      const next = source.indexOf('<', this.#at)
      if (next === -1) this.#fail(`the element ${name} is not closed`, from)
      if (next > this.#at) text += this.#characters(next)
      if (source[next + 1] === '/') {
        this.#endTag(name)
        return { text, hasElements }
      }
      if (source.startsWith('<![CDATA[', next)) text += this.#cdata()
      else if (source.startsWith('<!--', next)) this.#comment()
      else if (source[next + 1] === '?') this.#instruction()
      else {
        this.#element(value)
        hasElements = true
      }
    }
  }

  #characters(end: number): string {
    const from = this.#at
    const written = this.#text.slice(from, end)
    if (written.includes(']]>')) this.#fail('a ]]> in a text', from + written.indexOf(']]>'))
    this.#at = end
    return this.#plain(written, from, '\n')
  }

  #endTag(name: string): void {
    const from = this.#at
    this.#at += 2
    const closed = this.#readName('an element')
    if (closed !== name) this.#fail(`</${closed}> where </${name}> must stand`, from)
    while (isBlank(this.#text[this.#at])) this.#at++
    if (this.#text[this.#at] !== '>') this.#fail('an end tag that does not end', this.#at)
    this.#at++
  }

  #cdata(): string {
    const from = this.#at + '<![CDATA['.length
    const end = this.#skipTo(']]>', 'a CDATA section')
    return this.#text.slice(from, end).replaceAll(/\r\n?/g, '\n')
  }

  #comment(): void {
    const from = this.#at
    const end = this.#skipTo('-->', 'a comment', from + 4)
    if (this.#text.slice(from + 4, end + 1).includes('--')) this.#fail('a -- in a comment', from)
  }

  #instruction(): void {
    const from = this.#at
    this.#at += 2
    if (this.#readName('an instruction').toLowerCase() === 'xml')
      this.#fail('a declaration that is not at the start', from)
    const { length } = this.#text
    if (this.#at < length && !isBlank(this.#text[this.#at]) && !this.#text.startsWith('?>', this.#at)) {
      this.#fail('an instruction without a blank behind its name', this.#at)
    }
    this.#skipTo('?>', 'an instruction')
  }

  /** Goes behind `close`. @returns where it begins */
  #skipTo(close: string, what: string, from = this.#at): number {
    const end = this.#text.indexOf(close, from)
    if (end === -1) this.#fail(`${what} that does not end`, this.#at)
    this.#at = end + close.length
    return end
  }

  #readName(what: string): string {
    this.#name.lastIndex = this.#at
    const found = this.#name.exec(this.#text)
    if (found === null) this.#fail(`no name of ${what}`, this.#at)
    this.#at += found[0].length
    return found[0]
  }

  /**
   * A text as it is meant: references are replaced (sections 4.1 and 4.6), and line ends too (2.11, 3.3.3).
   * @param lineEnd what a line end becomes; in attributes also a tab
   */
  #plain(written: string, from: number, lineEnd: '\n' | ' '): string {
    if (!SPECIAL.test(written)) return written
    return written.replaceAll(REFERENCE, (found: string, decimal?: string, hex?: string, name?: string, at = 0) => {
      if (found === '\t') return lineEnd === ' ' ? ' ' : '\t'
      if (found[0] !== '&') return lineEnd
      if (name !== undefined && Object.hasOwn(ENTITIES, name)) return ENTITIES[name]!
      const code = decimal === undefined ? Number(`0x${hex ?? 'g'}`) : Number(decimal)
      if (isXmlCharacter(code)) return String.fromCodePoint(code)
      const problem = name === undefined ? 'an & that begins nothing' : `the entity &${name};, which is not one of XML,`
      return this.#fail(problem, from + at)
    })
  }

  #typed(text: string, at: number, attribute: string): string | number {
    const { readText } = this.#options
    if (readText === undefined) return text
    const field = this.#field(attribute)
    const value = readText(text, field)
    if (value === NOT_A_NUMBER) this.#fail(`"${text.slice(0, 40)}" is not a number`, at, attribute)
    return value
  }

  #field(attribute: string): string {
    return (attribute === '' ? this.#path : [...this.#path, attribute]).join('.')
  }

  #fail(problem: string, index: number, attribute = ''): never {
    const at = this.#start + Buffer.byteLength(this.#text.slice(0, index))
    throw invalidAt(problem, this.#bytes, this.#start, this.#end, at, this.#field(attribute))
  }
}

const BYTE_ORDER_MARK = '\ufeff'
const ALL_BLANK = /^[\t\n\r ]*$/
const SPECIAL = /[&\t\n\r]/
const REFERENCE = /\r\n|[\t\n\r]|&(?:#(\d+);|#x([\da-fA-F]+);|([^\s&;<#]+);)?/g
const DECLARATION =
  /^<\?xml\s+version\s*=\s*(["'])1\.\d\1(?:\s+encoding\s*=\s*(["'])([A-Za-z][\w.-]*)\2)?(?:\s+standalone\s*=\s*(["'])(?:yes|no)\4)?\s*\?>$/
/** Section 4.6. */
const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

function isBlank(character: string | undefined): boolean {
  return character === ' ' || character === '\n' || character === '\t' || character === '\r'
}
