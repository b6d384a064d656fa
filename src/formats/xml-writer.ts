import { contentText } from '../contracts/codec.ts'
import { SluiceError } from '../contracts/errors.ts'
import { findForbidden, isXmlName, TEXT } from './xml-characters.ts'

export interface XmlWriterOptions {
  /** Stands in front of names of attributes. */
  readonly attributes: string
  readonly declaration: boolean
  readonly maxDepth: number
}

/** Writes an object with one key as a document. @throws SluiceError `format_not_printable` */
export function printXml(value: unknown, options: XmlWriterOptions): string {
  const roots = isObject(value) ? Object.entries(value).filter(([, inner]) => inner !== undefined) : []
  const [name, root] = roots[0] ?? ['', undefined]
  const [only, ...more] = Array.isArray(root) ? root : [root]
  if (roots.length !== 1 || only === undefined || more.length > 0) {
    throw notPrintable('a document has one outermost element, so its value is an object with one key')
  }
  const text = element(name, only, [name], options)
  return options.declaration ? `<?xml version="1.0" encoding="UTF-8"?>${text}` : text
}

function element(name: string, value: unknown, path: readonly string[], options: XmlWriterOptions): string {
  const field = path.join('.')
  if (!isXmlName(name)) throw notPrintable(`${JSON.stringify(name)} is no name of an element, in ${field}`)
  if (path.length > options.maxDepth)
    throw notPrintable(`nested deeper than maxDepth, ${options.maxDepth}, in ${field}`)
  if (Array.isArray(value)) throw notPrintable(`a list in a list, in ${field}`)
  if (!isObject(value)) return tag(name, '', escapeText(textOf(value, field)))
  let attributes = ''
  let text = ''
  let content = ''
  for (const [key, inner] of Object.entries(value)) {
    if (inner === undefined) continue
    const way = [...path, key]
    if (key === TEXT) {
      text = escapeText(scalar(inner, way))
    } else if (key.startsWith(options.attributes)) {
      const attribute = key.slice(options.attributes.length)
      if (!isXmlName(attribute))
        throw notPrintable(`${JSON.stringify(attribute)} is no name of an attribute, in ${field}`)
      attributes += ` ${attribute}="${escapeAttribute(scalar(inner, way))}"`
    } else {
      for (const one of Array.isArray(inner) ? inner : [inner]) content += element(key, one, way, options)
    }
  }
  return tag(name, attributes, text + content)
}

function tag(name: string, attributes: string, content: string): string {
  return content === '' ? `<${name}${attributes}/>` : `<${name}${attributes}>${content}</${name}>`
}

function scalar(value: unknown, path: readonly string[]): string {
  const field = path.join('.')
  if (Array.isArray(value) || isObject(value))
    throw notPrintable(`an object or a list where a text must stand, in ${field}`)
  return textOf(value, field)
}

function textOf(value: unknown, field: string): string {
  if (typeof value === 'function' || typeof value === 'symbol')
    throw notPrintable(`no value that can be written, in ${field}`)
  const content = value instanceof Uint8Array ? Buffer.from(value).toString('base64') : contentText(value)
  const text = content.toString()
  if (findForbidden(text) !== -1 || !text.isWellFormed())
    throw notPrintable(`a character that XML forbids, in ${field}`)
  return text
}

function escapeText(text: string): string {
  return text.replaceAll(/[&<>\r]/g, escapeOne)
}

function escapeAttribute(text: string): string {
  return text.replaceAll(/[&<"\t\n\r]/g, escapeOne)
}

function escapeOne(character: string): string {
  return ESCAPES[character] ?? `&#${character.charCodeAt(0)};`
}

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  return !(value instanceof Date) && !(value instanceof Uint8Array)
}

function notPrintable(problem: string): SluiceError {
  return new SluiceError('format_not_printable', problem)
}
