import { createRequire } from 'node:module'
import type { ReadText } from './numbers.ts'

/** What the package `fast-xml-parser` exports. */
export type XmlLibrary = typeof import('fast-xml-parser')

/** The options of `xml`, read. */
export interface XmlOptions {
  /** Ways of elements that are always lists. */
  readonly arrays: ReadonlySet<string>
  /** Stands in front of names of attributes. */
  readonly attributes: string
  readonly readText: ReadText | undefined
  readonly declaration: boolean
  readonly maxDepth: number
}

/** What reads and writes documents: made once for a format, and used for one frame after the other. */
export interface XmlTools {
  readonly validate: XmlLibrary['XMLValidator']['validate']
  /** Reads a document that the guard and the validator have let pass. */
  readonly parse: (text: string) => readonly XmlNode[]
  /** The key of the place of a node. */
  readonly place: symbol
  /** Writes elements of texts. */
  readonly build: (value: Readonly<Record<string, unknown>>) => string
}

/** A part of a document, with one key: `#text`, or the name of an element behind {@link NAME}. */
export interface XmlNode {
  readonly [key: string]: unknown
  readonly [place: symbol]: { readonly startIndex: number }
}

/** The key of the attributes of a node. */
export const NODE_ATTRIBUTES = ':@'

/** In front of each name while fast-xml-parser has it: something that begins none. */
export const NAME = '.'

/** Loads the packages, on demand since they take a while, and sets them up. */
export function createXmlTools({ attributes, maxDepth }: XmlOptions): XmlTools {
  const require = createRequire(import.meta.url)
  const { XMLParser, XMLValidator, XMLBuilder }: XmlLibrary = require('fast-xml-parser')
  const { EntityDecoder }: typeof import('@nodable/entities') = require('@nodable/entities')
  const parser = new XMLParser({
    preserveOrder: true,
    captureMetaData: true,
    ignoreAttributes: false,
    attributeNamePrefix: attributes,
    parseTagValue: false,
    trimValues: false,
    ignoreDeclaration: true,
    ignorePiTags: true,
    jPath: false,
    // A second fence: the guard has counted already.
    maxNestedTags: maxDepth,
    // The five entities of XML and numbers, and no others.
    entityDecoder: new EntityDecoder(),
    // Names such as constructor would be refused, and are harmless here. It asks twice for the same name.
    transformTagName: (name) => (name.startsWith(NAME) ? name : NAME + name),
  })
  const builder = new XMLBuilder({
    ignoreAttributes: false,
    attributeNamePrefix: attributes,
    suppressEmptyNode: true,
    suppressBooleanAttributes: false,
    maxNestedTags: maxDepth + 1,
    // Its own escapes would not keep the line ends and tabs that readers change (XML 1.0, sections 2.11 and 3.3.3).
    processEntities: false,
    tagValueProcessor: (_, text) => String(text).replaceAll(/[&<>\r]/g, escapeOne),
    // It does the quotes.
    attributeValueProcessor: (_, text) => String(text).replaceAll(/[&<>\t\n\r]/g, escapeOne),
  })
  return {
    validate: (text) => XMLValidator.validate(text),
    parse: (text) => parser.parse(text),
    place: XMLParser.getMetaDataSymbol().valueOf(),
    build: (value) => builder.build(value),
  }
}

function escapeOne(character: string): string {
  return ESCAPES[character] ?? `&#${character.charCodeAt(0)};`
}

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' }
