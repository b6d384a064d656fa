import { inWords } from './candidate.ts'
import { type Charset, charsetOf } from './characters.ts'
import type { WrittenPart } from './trial.ts'

/** The format of frames, and why. */
export interface FoundFormat {
  readonly format: WrittenPart
  readonly reason: string
}

/**
 * The format that fits every frame; `bytes` where none does. Empty frames are passed over.
 * @param accepts whether the real format takes all these frames
 */
export function findFormat(frames: readonly Buffer[], accepts: (format: WrittenPart) => boolean): FoundFormat {
  const full = frames.filter(({ length }) => length > 0)
  const charsets = new Set(full.map((frame) => charsetOf(frame, '\r\n')))
  if (full.length === 0 || charsets.has(undefined)) {
    return { format: 'bytes', reason: 'some bytes of the messages are no text' }
  }
  const charset = widest(charsets)
  const texts = full.map((frame) => frame.toString(charset === 'latin1' ? 'latin1' : 'utf8'))
  if (charset !== 'latin1') {
    const found = READERS.find(({ fits, formatOf }) => fits(texts) && accepts(formatOf(texts)))
    if (found !== undefined) return { format: found.formatOf(texts), reason: found.reason }
    return { format: 'text', reason: 'every message is readable text' }
  }
  return { format: { text: 'latin1' }, reason: 'readable text with letters that are not UTF-8; they may be Latin-1' }
}

interface Reader {
  fits(texts: readonly string[]): boolean
  formatOf(texts: readonly string[]): WrittenPart
  readonly reason: string
}

const READERS: readonly Reader[] = [
  reader('hl7', /^(?:MSH|FHS|BHS)\|/, 'every message is HL7 v2'),
  reader('syslog', /^<\d{1,3}>/, 'every message begins with a priority, as syslog does'),
  reader('nmea', /^[$!][A-Z]{2}/, 'every message is a sentence of NMEA 0183'),
  reader('json', /^\s*[[{]/, 'every message is JSON'),
  reader('xml', /^\s*<[?A-Za-z!][\s\S]*>\s*$/, 'every message is XML'),
  {
    fits: (texts) => signOf(texts, isKeyValue) !== undefined,
    formatOf: (texts) => keyValueOf(signOf(texts, isKeyValue)!),
    reason: 'every message is a list of NAME=VALUE',
  },
  {
    fits: (texts) => texts.length > 1 && signOf(texts, isRow) !== undefined && countFields(texts).size === 1,
    formatOf: (texts) => csvOf(signOf(texts, isRow)!),
    reason: 'every message has the same number of fields',
  },
  {
    fits: (texts) => texts.every((text) => /^(?:[\da-f]{2}){4,}$/i.test(text) && /[a-f]/i.test(text)),
    formatOf: () => 'hex',
    reason: 'every message is made of hexadecimal digits',
  },
]

/** A format that is told by how each text begins; whether it is right the format itself says. */
function reader(format: string, begins: RegExp, reason: string): Reader {
  return { fits: (texts) => texts.every((text) => begins.test(text)), formatOf: () => format, reason }
}

/** The sign between the fields of every text, if there is one. */
function signOf(texts: readonly string[], fits: (text: string, sign: string) => boolean): string | undefined {
  return SIGNS.find((sign) => texts.every((text) => fits(text, sign)))
}

const SIGNS = [';', '|', '\t', ',', '&', ' '] as const

function isKeyValue(text: string, sign: string): boolean {
  const parts = text
    .trim()
    .split(sign)
    .filter((part) => part.trim() !== '')
  return parts.length > 1 && parts.every((part) => /^\s*[A-Za-z_][\w.-]*=[^=]*$/.test(part))
}

/** A space is in every sentence, and `&` in names: no signs between fields. */
function isRow(text: string, sign: string): boolean {
  return sign !== ' ' && sign !== '&' && text.split(sign).length > 2
}

function countFields(texts: readonly string[]): Set<number> {
  const sign = signOf(texts, isRow)!
  return new Set(texts.map((text) => text.split(sign).length))
}

function keyValueOf(sign: string): WrittenPart {
  return sign === ';' ? 'key-value' : { 'key-value': { separator: sign } }
}

function csvOf(sign: string): WrittenPart {
  return sign === ',' ? 'csv' : { csv: { delimiter: sign } }
}

function widest(charsets: ReadonlySet<Charset | undefined>): Charset {
  return charsets.has('latin1') ? 'latin1' : charsets.has('utf-8') ? 'utf-8' : 'ascii'
}

/** What a verdict says of the messages. */
export function framesInWords(frames: readonly Buffer[]): string {
  const lengths = frames.map(({ length }) => length)
  const least = lengths.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY)
  const most = lengths.reduce((a, b) => Math.max(a, b), 0)
  return `${inWords(frames.length, 'message')} of ${least === most ? inWords(most, 'byte') : `${least} to ${most} bytes`}`
}
