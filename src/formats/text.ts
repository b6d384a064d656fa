import { isUtf8 } from 'node:buffer'
import { createRequire } from 'node:module'
import { contentText } from '../contracts/codec.ts'
import { defineFormat } from '../contracts/define.ts'
import { SluiceError } from '../contracts/errors.ts'
import { type Format, invalidAt, readUtf8 } from '../contracts/format.ts'
import type { Frames } from '../contracts/framing.ts'
import { z } from '../contracts/schema.ts'
import { suggest } from '../util/suggest.ts'
import { REPLACEMENT } from '../util/utf8.ts'

/** A text in some encoding. */
export const text = defineFormat({
  name: 'text',
  summary: 'The value is the text of the frame.',
  details: `Nothing is lost on the way: bytes that are not valid in the encoding are refused instead of becoming \`\ufffd\`, and a
text that the encoding cannot hold is refused instead of becoming \`?\`. A byte order mark is part of the text.

UTF-8 and latin1 are fast. Many other encodings are known, such as windows-1252, shift_jis, gbk, koi8-r, cp437, utf-16le.

Numbers, times and objects are written as in a text with \`\${…}\`, objects as JSON. null cannot be written.`,
  options: z.strictObject({
    encoding: z
      .string()
      .default('utf-8')
      .describe('Name of the encoding, such as latin1 or shift_jis. Default utf-8.')
      .superRefine((name, context) => {
        const problem = encodingProblem(name)
        if (problem !== undefined) context.addIssue({ code: 'custom', message: problem })
      }),
  }),
  short: 'encoding',
  examples: [
    { title: 'UTF-8', bytes: '20 \\xc2\\xb0C', value: '20 °C' },
    { title: 'Nothing', bytes: '', value: '' },
    { title: 'A byte order mark stays', bytes: '\\xef\\xbb\\xbfa', value: '\ufeffa' },
    { title: 'latin1', options: 'latin1', bytes: '20 \\xb0C', value: '20 °C' },
    { title: 'The encoding of Windows in the West', options: 'windows-1252', bytes: '5 \\x80', value: '5 €' },
    { title: 'Japanese', options: { encoding: 'shift_jis' }, bytes: '\\x93\\xfa\\x96{', value: '日本' },
  ],
  rejects: ['\\xff', 'abc\\xc3', '\\xc3(', '\\xa9 x', '\\xed\\xa0\\x80', '\\xc0\\x80', '\\xf4\\x90\\x80\\x80'],
  create({ encoding }): Format<string> {
    const name = normalize(encoding)
    if (UTF8.includes(name)) return utf8
    return LATIN1.includes(name) ? latin1 : createConverted(encoding)
  },
})

/** @returns undefined when the encoding is known, else a sentence for the one who wrote its name */
export function encodingProblem(encoding: string): string | undefined {
  const name = normalize(encoding)
  if (UTF8.includes(name) || LATIN1.includes(name)) return undefined
  const iconv = loadIconv()
  if (!NO_TEXT.includes(name) && iconv.encodingExists(encoding)) return undefined
  const known = Object.keys(iconv.encodings ?? {}).filter((key) => !key.startsWith('_') && !NO_TEXT.includes(key))
  const meant = suggest(name, [...UTF8, ...LATIN1, ...known])
  return `unknown encoding "${encoding}"${meant === undefined ? '' : `; did you mean ${meant}?`}`
}

const UTF8 = ['utf8']
const LATIN1 = ['latin1', 'iso88591']
/** Codecs of iconv-lite that are no encodings of text. */
const NO_TEXT = ['base64', 'hex']

const utf8: Format<string> = {
  identity: true,
  parse: readUtf8,
  print(value) {
    const content = printable(value)
    const valid = typeof content === 'string' ? content.isWellFormed() : isUtf8(content)
    if (!valid) throw notPrintable('utf-8')
    return content
  },
  acceptsAll,
}

const latin1: Format<string> = {
  parse: (bytes, start, end) => bytes.toString('latin1', start, end),
  print: (value) => encodeLatin1(printable(value)),
  acceptsAll: () => true,
  encodeText: encodeLatin1,
}

/** One look at the whole read: all of it is UTF-8, what lies between the frames included, and no frame cuts a character. */
function acceptsAll({ bytes, starts, ends, separator }: Frames): boolean {
  const count = starts.length
  if (count === 0) return true
  if (!isUtf8(bytes) && !isUtf8(bytes.subarray(starts[0], ends[count - 1]))) return false
  // A separator that is a character of its own cannot stand within another.
  if (separator !== undefined && separator < 0x80) return true
  for (let i = 0; i < count; i++) {
    if ((bytes[starts[i]!]! & 0xc0) === 0x80 || (bytes[ends[i]!]! & 0xc0) === 0x80) return false
  }
  return true
}

function encodeLatin1(content: string | Buffer): Buffer {
  if (Buffer.isBuffer(content)) return content
  if (/[^\0-\xff]/.test(content)) throw notPrintable('latin1')
  return Buffer.from(content, 'latin1')
}

function createConverted(encoding: string): Format<string> {
  const iconv = loadIconv()
  const decode = (bytes: Buffer) => iconv.decode(bytes, encoding, { stripBOM: false })
  const encode = (text: string) => iconv.encode(text, encoding, { addBOM: false })
  /** Encodings answer a character that they lack with `?`, so only the way back shows that nothing was lost. */
  function encodeText(text: string): Buffer {
    const bytes = encode(text)
    if (decode(bytes) !== text) throw notPrintable(encoding)
    return bytes
  }
  return {
    parse(bytes, start, end) {
      const text = decode(bytes.subarray(start, end))
      const wrong = text.indexOf(REPLACEMENT)
      if (wrong === -1) return text
      const at = start + encode(text.slice(0, wrong)).length
      throw invalidAt(`not valid ${encoding}`, bytes, start, end, Math.min(at, end - 1))
    },
    print(value) {
      const content = printable(value)
      if (typeof content === 'string') return encodeText(content)
      if (decode(content).includes(REPLACEMENT)) throw notPrintable(encoding)
      return content
    },
    encodeText,
  }
}

/** What a value looks like as a text. Bytes are taken to be in the encoding already. */
function printable(value: unknown): string | Buffer {
  if (value !== null && value !== undefined) return contentText(value)
  throw new SluiceError('format_not_printable', 'there is no text: the value is null')
}

function notPrintable(encoding: string): SluiceError {
  return new SluiceError('format_not_printable', `the value has characters that ${encoding} cannot hold`)
}

/** Encodings are named in many ways: UTF-8, utf8, Utf_8. */
function normalize(encoding: string): string {
  return encoding.toLowerCase().replaceAll(/[^a-z0-9]/g, '')
}

/** Loaded only where it is needed: it takes 30 ms and 12 MB. */
function loadIconv(): typeof import('iconv-lite') {
  return createRequire(import.meta.url)('iconv-lite')
}
