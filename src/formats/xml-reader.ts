import { invalidAt, readMarkedUtf8 } from '../contracts/format.ts'
import { NOT_A_NUMBER } from './numbers.ts'
import { TEXT } from './xml-characters.ts'
import { findXmlFault } from './xml-guard.ts'
import { NAME, NODE_ATTRIBUTES, type XmlNode, type XmlOptions, type XmlTools } from './xml-tools.ts'

type Value = Record<string, unknown>

/** Makes the value of one document; fast-xml-parser reads it. */
export class XmlReader {
  readonly #tools: XmlTools
  readonly #options: XmlOptions
  readonly #bytes: Buffer
  readonly #start: number
  readonly #end: number
  /** A byte order mark in front, or nothing. */
  readonly #mark: string
  readonly #text: string
  /** Names of the elements around, the outermost first. */
  readonly #path: string[] = []

  /** @throws SluiceError `format_invalid` when the frame is not UTF-8 */
  constructor(tools: XmlTools, options: XmlOptions, bytes: Buffer, start: number, end: number) {
    this.#tools = tools
    this.#options = options
    this.#bytes = bytes
    this.#start = start
    this.#end = end
    const { mark, text } = readMarkedUtf8(bytes, start, end)
    this.#mark = mark
    this.#text = text
  }

  /** @throws SluiceError `format_invalid` when the document is not well-formed, or is one that is refused */
  read(): Value {
    const { parse, validate } = this.#tools
    const fault = findXmlFault(this.#text, this.#options.maxDepth)
    if (fault) this.#fail(fault.problem, fault.at, fault.path)
    const result = validate(this.#text)
    if (result !== true) this.#failAsValidated(result.err)
    const root: Value = {}
    this.#addContent(root, parse(this.#text))
    return root
  }

  /** Adds the elements inside of an element to its value. @returns its text */
  #addContent(value: Value, nodes: readonly XmlNode[]): string {
    let text = ''
    let hasElements = false
    for (const node of nodes) {
      const key = Object.keys(node)[0]!
      if (key === TEXT) {
        text += node[TEXT]
        continue
      }
      hasElements = true
      const name = key.slice(NAME.length)
      if (name === '__proto__') this.#fail('the name __proto__, which is refused,', this.#placeOf(node), this.#path)
      this.#path.push(name)
      const element = this.#element(node, node[key] as readonly XmlNode[])
      const before = value[name]
      if (!Object.hasOwn(value, name)) value[name] = this.#isList() ? [element] : element
      else if (Array.isArray(before)) before.push(element)
      else value[name] = [before, element]
      this.#path.pop()
    }
    return hasElements && ALL_BLANK.test(text) ? '' : text
  }

  #element(node: XmlNode, nodes: readonly XmlNode[]): unknown {
    const value: Value = {}
    const attributes = node[NODE_ATTRIBUTES] as Readonly<Record<string, string>> | undefined
    if (attributes) for (const key of Object.keys(attributes)) value[key] = this.#typed(attributes[key]!, node, key)
    const text = this.#addContent(value, nodes)
    if (Object.keys(value).length === 0) return this.#typed(text, node)
    if (text !== '') value[TEXT] = this.#typed(text, node)
    return value
  }

  #isList(): boolean {
    const { arrays } = this.#options
    return arrays.size > 0 && arrays.has(this.#path.join('.'))
  }

  #typed(text: string, node: XmlNode, attribute?: string): string | number {
    const { readText } = this.#options
    if (readText === undefined) return text
    const path = attribute === undefined ? this.#path : [...this.#path, attribute]
    const value = readText(text, path.join('.'))
    if (value === NOT_A_NUMBER) this.#fail(`"${text.slice(0, 40)}" is not a number`, this.#placeOf(node), path)
    return value
  }

  #placeOf(node: XmlNode): number {
    return node[this.#tools.place]!.startIndex
  }

  /** The validator says line and column, from 1. */
  #failAsValidated({ msg, line, col }: { msg: string; line: number; col: number }): never {
    let from = 0
    for (let i = 1; i < line; i++) from = this.#text.indexOf('\n', from) + 1
    // It lists the names of all elements that are open, and says that the first line is wrong.
    if (msg.startsWith("Invalid '[")) this.#fail('the frame ends inside of an element', this.#text.length)
    this.#fail(`not well-formed: ${msg.slice(0, 120).replace(/\.$/, '')}`, from + col - 1)
  }

  #fail(problem: string, index: number, path: readonly string[] = []): never {
    const at = this.#start + Buffer.byteLength(this.#mark + this.#text.slice(0, index))
    throw invalidAt(problem, this.#bytes, this.#start, this.#end, at, path.join('.'))
  }
}

const ALL_BLANK = /^[\t\n\r ]*$/
