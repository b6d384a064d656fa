import type { z } from '../contracts/schema.ts'
import type { ConfigPath } from './problems.ts'
import type { Report } from './report.ts'
import { alternatives, childOf, isMapping, markerOf } from './shape.ts'

/**
 * Warns of texts that are allowed and yet most likely mean something else: `STX` where bytes are expected, which is three
 * letters, and `$msg.id` in a template, which is not evaluated.
 */
export function warnOfLookAlikes(value: unknown, schema: z.ZodType, path: ConfigPath, report: Report): void {
  if (typeof value === 'string') {
    const markers = alternatives(schema).map(markerOf)
    const isTemplate = ['template', 'bytesTemplate', 'pathTemplate'].some((kind) => markers.includes(kind))
    if (markers.includes('bytes') || markers.includes('bytesTemplate')) warnOfNames(value, path, report)
    if (isTemplate) warnOfCode(value, path, report)
    return
  }
  const within = (item: unknown, key: string | number) => {
    const child = childOf(schema, key)
    if (child !== undefined) warnOfLookAlikes(item, child, [...path, key], report)
  }
  if (Array.isArray(value)) for (const [i, item] of value.entries()) within(item, i)
  else if (isMapping(value)) for (const [key, item] of Object.entries(value)) within(item, key)
}

/** Names of control characters (ISO/IEC 6429 and ASCII), in hexadecimal. */
const CONTROLS: Readonly<Record<string, string>> = {
  NUL: '00',
  SOH: '01',
  STX: '02',
  ETX: '03',
  EOT: '04',
  ENQ: '05',
  ACK: '06',
  TAB: '09',
  LF: '0a',
  VT: '0b',
  FF: '0c',
  CR: '0d',
  CRLF: '0d0a',
  DLE: '10',
  NAK: '15',
  SYN: '16',
  ETB: '17',
  ESC: '1b',
}

/** A name on its own, in angle brackets, or a byte in hexadecimal. Names that are usual commands of devices are no names here. */
const NAMES = /^(?:<[A-Za-z]+>|0x[0-9A-Fa-f]{2}|[A-Za-z]+)(?:[\s,+]*(?:<[A-Za-z]+>|0x[0-9A-Fa-f]{2}|[A-Za-z]+))*$/

function warnOfNames(text: string, path: ConfigPath, report: Report): void {
  if (!NAMES.test(text)) return
  const words = text.match(/0x[0-9A-Fa-f]{2}|[A-Za-z]+/g) ?? []
  const bytes = words.map((word) =>
    word.startsWith('0x') ? word.slice(2).toLowerCase() : CONTROLS[word.toUpperCase()],
  )
  if (bytes.includes(undefined)) return
  const message = `${text} is ${text.length} characters here, as they stand`
  const hint = `write "${bytes.join('').replaceAll(/../g, '\\x$&')}"`
  report.add({ code: 'BYTES_IN_LETTERS', severity: 'warning', path, message, hint })
}

/** What stands in a text like an expression, without being one. */
const CODE =
  /\$?\$\{[^}]*\}|\$(?<bare>msg\b[\w.]*|(?:client|state|error)\.[\w.]*\w)|\{\s*(?<braced>(?:msg|client|state|error)\b[^{}:]*)\}/g

function warnOfCode(text: string, path: ConfigPath, report: Report): void {
  for (const { 0: shown, index, groups } of text.matchAll(CODE)) {
    const code = (groups?.['bare'] ?? groups?.['braced'])?.trim().replace(/\.$/, '')
    if (code === undefined) continue
    const message = `${shown} is not evaluated here: it stays as it is`
    report.add({ code: 'NOT_EVALUATED', severity: 'warning', path, message, hint: `write \${${code}}`, at: index })
  }
}
