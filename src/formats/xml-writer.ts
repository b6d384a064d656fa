import { contentText } from '../contracts/codec.ts'
import { SluiceError } from '../contracts/errors.ts'
import { collectionNotPrintable, isCollection, isRecord } from '../contracts/record.ts'
import { findForbidden, isXmlName, TEXT } from './xml-characters.ts'
import type { XmlOptions, XmlTools } from './xml-tools.ts'

/** Makes texts of values and checks names; fast-xml-parser writes them. */
export class XmlWriter {
  readonly #tools: XmlTools
  readonly #options: XmlOptions

  constructor(tools: XmlTools, options: XmlOptions) {
    this.#tools = tools
    this.#options = options
  }

  /** Writes an object with one key as a document. @throws SluiceError `format_not_printable` */
  print(value: unknown): string {
    const roots = isRecord(value) ? Object.entries(value).filter(([, inner]) => inner !== undefined) : []
    const [name, root] = roots[0] ?? ['', undefined]
    const [only, ...more] = Array.isArray(root) ? root : [root]
    if (roots.length !== 1 || only === undefined || more.length > 0) {
      throw notPrintable('a document has one outermost element, so its value is an object with one key')
    }
    const text = this.#tools.build({ [name]: this.#element(name, only, [name]) })
    return this.#options.declaration ? `<?xml version="1.0" encoding="UTF-8"?>${text}` : text
  }

  /** An element as the builder wants it: a text, or an object of texts and elements. */
  #element(name: string, value: unknown, path: readonly string[]): unknown {
    const { attributes, maxDepth } = this.#options
    const field = path.join('.')
    if (!isXmlName(name) || name === '__proto__')
      throw notPrintable(`${JSON.stringify(name)} is no name of an element, in ${field}`)
    if (path.length > maxDepth) throw notPrintable(`nested deeper than maxDepth, ${maxDepth}, in ${field}`)
    if (Array.isArray(value)) throw notPrintable(`a list in a list, in ${field}`)
    if (!isRecord(value)) return textOf(value, field)
    const element: Record<string, unknown> = {}
    for (const [key, inner] of Object.entries(value)) {
      if (inner === undefined) continue
      const way = [...path, key]
      if (key === TEXT) {
        element[key] = scalar(inner, way)
      } else if (key.startsWith(attributes)) {
        const attribute = key.slice(attributes.length)
        if (!isXmlName(attribute))
          throw notPrintable(`${JSON.stringify(attribute)} is no name of an attribute, in ${field}`)
        element[key] = scalar(inner, way)
      } else {
        element[key] = Array.isArray(inner)
          ? inner.map((one) => this.#element(key, one, way))
          : this.#element(key, inner, way)
      }
    }
    return element
  }
}

function scalar(value: unknown, path: readonly string[]): string {
  const field = path.join('.')
  if (Array.isArray(value) || isRecord(value))
    throw notPrintable(`an object or a list where a text must stand, in ${field}`)
  return textOf(value, field)
}

function textOf(value: unknown, field: string): string {
  if (typeof value === 'function' || typeof value === 'symbol')
    throw notPrintable(`no value that can be written, in ${field}`)
  if (isCollection(value)) throw collectionNotPrintable(`, in ${field}`)
  const content = value instanceof Uint8Array ? Buffer.from(value).toString('base64') : contentText(value)
  const text = content.toString()
  if (findForbidden(text) !== -1 || !text.isWellFormed())
    throw notPrintable(`a character that XML forbids, in ${field}`)
  return text
}

function notPrintable(problem: string): SluiceError {
  return new SluiceError('format_not_printable', problem)
}
