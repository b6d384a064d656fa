import { defineFormat } from '../contracts/define.ts'
import { SluiceError } from '../contracts/errors.ts'
import { type Format, invalidAt } from '../contracts/format.ts'
import { z } from '../contracts/schema.ts'
import { type Delimiters, HEADERS, Hl7Message, Hl7Segment, type Notation } from './hl7-message.ts'
import { encodingProblem, text } from './text.ts'

/** The encoding that MSH-18 names. */
const AUTO = 'auto'

/** HL7 version 2: messages of segments and fields, as hospitals and laboratories send them. */
export const hl7 = defineFormat({
  name: 'hl7',
  summary: 'The frame is a message of HL7 version 2.',
  details: `\`msg.get("PID-3.1")\` reads a part: a segment, a field and a component, counted from 1 as in the standard.
\`OBX[2]-5\` is in the second OBX, \`PID-3[2].1\` in the second repetition, \`PID-5.1.2\` is a subcomponent, and \`PID\` alone
the segment. What is absent or empty is null, and \`msg.get("PID-8", "U")\` has a fallback. The separators are those that MSH
names.

A part that has parts itself is given as it stands. Others are given without their escapes: \`\\F\\\`, \`\\S\\\`, \`\\T\\\`,
\`\\R\\\`, \`\\E\\\`, \`\\X0d\\\`, and \`\\.br\\\` as a line end.

\`msg.segments\` is the list of segments, each with \`name\`, \`fields\` (as they stand; \`fields[3]\` is field 3) and \`get\`:
\`msg.segments.filter(s, s.name == "OBX").map(s, s.get("5"))\`.

The charset is what MSH-18 says (HL7 table 0211), or UTF-8 where it says nothing. A sender that says what is not so needs
the option \`encoding\`. Segments end with CR; LF
and CR LF are read too. A message that nobody changed is written as it came. Another is written from an object with
\`segments\` of \`name\` and \`fields\`, as they stand.

Use it with the framing [mllp](../framings/mllp.md).`,
  options: z.strictObject({
    encoding: z
      .string()
      .default(AUTO)
      .describe(
        'Name of the encoding of all messages, such as latin1, whatever MSH-18 says. Default auto: what MSH-18 says, else utf-8.',
      )
      .superRefine((name, context) => {
        const problem = name === AUTO ? undefined : encodingProblem(name)
        if (problem !== undefined) context.addIssue({ code: 'custom', message: problem })
      }),
  }),
  short: 'encoding',
  inWords: ({ encoding }) => (encoding === AUTO ? 'charset of MSH-18' : encoding),
  examples: [
    {
      title: 'An admission',
      bytes: 'MSH|^~\\\\&|ADT|A|EHR|B|20260101||ADT^A01|4711|P|2.5\\rPID|1||123^^^MRN||Doe^Ann\\r',
      value: messageOf('MSH|^~\\&|ADT|A|EHR|B|20260101||ADT^A01|4711|P|2.5\rPID|1||123^^^MRN||Doe^Ann\r'),
    },
    {
      title: 'The charset stands in MSH-18',
      bytes: 'MSH|^~\\\\&|||||||ACK|1|P|2.5||||||8859/1\\rMSA|AA|\\xe9',
      value: messageOf('MSH|^~\\&|||||||ACK|1|P|2.5||||||8859/1\rMSA|AA|é'),
    },
    {
      title: 'Without MSH-18, from an old sender',
      options: { encoding: 'latin1' },
      bytes: 'MSH|^~\\\\&\\rNTE|1||\\xe9',
      value: messageOf('MSH|^~\\&\rNTE|1||é'),
    },
  ],
  rejects: [
    '',
    'hello',
    'MSH',
    'MSH|',
    'MSH|^^\\\\&|A',
    'MSHA^~\\\\&A',
    'MSH|^~\\\\&|\\rpid|1',
    'MSH|^~\\\\&|\\rtext',
    'MSH|^~\\\\&|\\xff',
    'MSH|^~\\\\&||||||||||||||||KLINGON',
  ],
  create({ encoding }): Format<Hl7Message> {
    const charsets = new Map<string, Format<string>>()
    const charsetFor = (name: string) => {
      const known = charsets.get(name) ?? text.create({ encoding: name })
      charsets.set(name, known)
      return known
    }
    const standard = charsetFor(encoding === AUTO ? 'utf-8' : encoding)
    const charsetOf = (header: Header) => {
      if (encoding !== AUTO || header.charset === '') return standard
      const name = CHARSETS[header.charset.toUpperCase()]
      return name === undefined ? undefined : charsetFor(name)
    }
    return {
      parse(bytes, start, end) {
        const header = readHeader(bytes.toString('latin1', start, headerEnd(bytes, start, end)))
        if (typeof header === 'string') throw invalidAt(header, bytes, start, end, start)
        const charset = charsetOf(header)
        if (charset === undefined) throw invalidAt(unknownCharset(header), bytes, start, end, start)
        const content = charset.parse(bytes, start, end)
        return parseMessage(content, { delimiters: header.delimiters, decode: decoder(charset) }, (index, problem) => {
          const at = start + Buffer.byteLength(charset.print(content.slice(0, index)))
          return invalidAt(problem, bytes, start, end, at)
        })
      },
      print(value: unknown) {
        const content = value instanceof Hl7Message ? value.toString() : printSegments(value)
        const header = readHeader(content.split(/[\r\n]/, 1)[0]!)
        if (typeof header === 'string') throw new SluiceError('format_not_printable', header)
        const charset = charsetOf(header)
        if (charset === undefined) throw new SluiceError('format_not_printable', unknownCharset(header))
        return charset.print(content)
      },
      ...(standard.encodeText && { encodeText: standard.encodeText }),
    }
  },
})

/** What the first segment says. */
interface Header {
  readonly delimiters: Delimiters
  /** MSH-18, the first of several; '' when it is empty. */
  readonly charset: string
}

/** HL7 table 0211, Alternate character sets, as far as encodings are known here, and how senders misspell it. */
const CHARSETS: Readonly<Record<string, string>> = {
  ASCII: 'ascii',
  'ISO IR6': 'ascii',
  ...Object.fromEntries([1, 2, 3, 4, 5, 6, 7, 8, 9, 15].map((part) => [`8859/${part}`, `iso-8859-${part}`])),
  'GB 18030-2000': 'gb18030',
  'KS X 1001': 'euc-kr',
  'BIG-5': 'big5',
  'UNICODE UTF-8': 'utf-8',
  UNICODE: 'utf-8',
  'UTF-8': 'utf-8',
  UTF8: 'utf-8',
}

function unknownCharset({ charset }: Header): string {
  return `the charset ${JSON.stringify(charset)} of MSH-18 is not known; name one with the option encoding,`
}

function headerEnd(bytes: Buffer, start: number, end: number): number {
  for (let i = start; i < end; i++) if (bytes[i] === 0x0d || bytes[i] === 0x0a) return i
  return end
}

/** @returns a sentence instead where it is none */
function readHeader(line: string): Header | string {
  if (!HEADERS.includes(line.slice(0, 3))) return 'an HL7 message begins with MSH, and here it does not'
  const field = line[3] ?? ''
  if (field === '' || /[A-Za-z\d\s]/.test(field)) return 'behind MSH stands no separator'
  const fields = line.split(field)
  const [component = '', repetition = '', mark = '', subcomponent = '', truncation = ''] = fields[1] ?? ''
  const used = [field, component, repetition, mark, subcomponent, truncation].filter((each) => each !== '')
  if (component === '' || new Set(used).size < used.length) return 'MSH-1 and MSH-2 name no separators, or one twice'
  const charset = line.startsWith('MSH') ? (fields[17] ?? '') : ''
  return {
    delimiters: { field, component, repetition, escape: mark, subcomponent, truncation },
    charset: (repetition === '' ? charset : charset.split(repetition)[0]!).trim(),
  }
}

/** @param fault makes the error for a place in the text */
function parseMessage(
  content: string,
  notation: Notation,
  fault: (index: number, problem: string) => SluiceError,
): Hl7Message {
  const segments = Array.from(content.matchAll(/[^\r\n]+/g), ({ 0: line, index }, i) => {
    const segment = parseSegment(line, notation)
    if (segment === undefined) throw fault(index, `segment ${i + 1} begins with no name of a segment`)
    return segment
  })
  return new Hl7Message(content, segments)
}

function parseSegment(line: string, notation: Notation): Hl7Segment | undefined {
  const separator = notation.delimiters.field
  const fields = line.split(separator)
  if (!/^[A-Z][A-Z\d]{2}$/.test(fields[0]!)) return undefined
  if (HEADERS.includes(fields[0]!)) fields.splice(1, 0, separator)
  return new Hl7Segment(fields, notation)
}

/** The characters of bytes that are written in hexadecimal. */
function decoder(charset: Format<string>): Notation['decode'] {
  return (bytes) => {
    try {
      return charset.parse(bytes, 0, bytes.length)
    } catch (error) {
      if (error instanceof SluiceError) return undefined
      throw error
    }
  }
}

/** The text of an object with segments, which somebody made or a script gave back. */
function printSegments(value: unknown): string {
  const segments = (value as { readonly segments?: unknown } | null)?.segments
  if (!Array.isArray(segments)) {
    throw new SluiceError('format_not_printable', 'an HL7 message is written from an object with segments', {
      hint: 'A segment has fields: { segments: [{ name: "MSA", fields: ["MSA", "AA"] }] }. For a text use reply: "MSH|…".',
    })
  }
  const separator = fieldsOf(segments[0], 0)[1] ?? ''
  return segments.map((segment: unknown, i) => `${printSegment(fieldsOf(segment, i), separator)}\r`).join('')
}

/** In a segment that names the separators, field 1 is the one between all fields. */
function printSegment(fields: readonly string[], separator: string): string {
  return (HEADERS.includes(fields[0]!) ? fields.toSpliced(1, 1) : fields).join(separator)
}

function fieldsOf(segment: unknown, index: number): readonly string[] {
  const { name, fields } = (segment ?? {}) as { readonly name?: unknown; readonly fields?: unknown }
  const texts = Array.isArray(fields) ? fields.map((field) => (typeof field === 'number' ? String(field) : field)) : []
  if (
    texts.length > 0 &&
    texts[0] === name &&
    texts.every((field) => typeof field === 'string' && !/[\r\n]/.test(field))
  ) {
    return texts
  }
  throw new SluiceError('format_not_printable', `segment ${index + 1} has no list of fields that begins with its name`)
}

/** The message of an example. */
function messageOf(content: string): Hl7Message {
  const { delimiters } = readHeader(content.split('\r', 1)[0]!) as Header
  return parseMessage(
    content,
    { delimiters, decode: String },
    (_index, problem) => new SluiceError('format_invalid', problem),
  )
}
