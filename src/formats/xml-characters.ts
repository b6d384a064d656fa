/** The key of the text of an element that has more than text. */
export const TEXT = '#text'

/** What may begin a name (XML 1.0, section 2.3), without the characters above U+FFFF, which fast-xml-parser refuses. */
const NAME_START =
  ':A-Z_a-z\\u00C0-\\u00D6\\u00D8-\\u00F6\\u00F8-\\u02FF\\u0370-\\u037D\\u037F-\\u1FFF\\u200C\\u200D\\u2070-\\u218F\\u2C00-\\u2FEF\\u3001-\\uD7FF\\uF900-\\uFDCF\\uFDF0-\\uFFFD'

/** The source of a pattern for a name. */
export const XML_NAME = `[${NAME_START}][${NAME_START}\\-.\\d\\u00B7\\u0300-\\u036F\\u203F\\u2040]*`

export function isXmlName(text: string): boolean {
  return WHOLE_NAME.test(text)
}

const WHOLE_NAME = new RegExp(`^${XML_NAME}$`)

/** Where a character stands that no document may contain (XML 1.0, section 2.2); -1 when there is none. */
export function findForbidden(text: string): number {
  return text.search(FORBIDDEN)
}

const FORBIDDEN = /[^\t\n\r -\ufffd]/

/** Whether a number in `&#…;` stands for a character of XML. */
export function isXmlCharacter(code: number): boolean {
  if (!Number.isInteger(code) || code > 0x10_ffff || (code >= 0xd800 && code <= 0xdfff)) return false
  return findForbidden(String.fromCodePoint(code)) === -1
}
