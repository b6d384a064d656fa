import { contentText } from '../contracts/codec.ts'
import { defineFormat } from '../contracts/define.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Format } from '../contracts/format.ts'
import { isRecord } from '../contracts/record.ts'
import { z } from '../contracts/schema.ts'
import { parseText } from '../util/escapes.ts'
import { KeyValueReader } from './key-value-reader.ts'
import { createReadText, numbersOption } from './numbers.ts'

/** Pairs of a key and a value in one text. */
export const keyValue = defineFormat({
  name: 'key-value',
  summary: 'The frame is pairs such as `a=1;b=2`, and the value is an object.',
  details: `Values are texts unless \`numbers\` says otherwise. Blanks around keys and values are taken away unless
\`trim\` is false. Empty pieces, such as the one behind a last \`;\`, are no pairs.

A value that begins with the quote ends at the next one; it may hold separators, and a quote in it is doubled. A quote
elsewhere is a character like any other, so \`size=12"\` is fine.

A piece without a key, a key that comes twice (unless \`repeated\` says otherwise) and the key \`__proto__\` are
refused. The frame is UTF-8.

Written are the keys in the order of the object; keys without a value are left out. Values get quotes where they need
them, and what is inside a value is written as in a text with \`\${…}\`.`,
  options: z
    .strictObject({
      separator: sign(';', 'Stands between two pairs: one or more characters, such as "&" or " ".'),
      equals: sign('=', 'Stands between a key and its value: one or more characters, such as ":".'),
      quote: z
        .string()
        .max(1)
        .default('"')
        .describe('Stands around a value: one character, or empty when there are no quotes. Default `"`.'),
      trim: z.boolean().default(true).describe('Takes blanks around keys and values away. Default true.'),
      repeated: z
        .enum(['error', 'last', 'list'])
        .default('error')
        .describe(
          'A key that comes more than once: `error` refuses the frame, `last` keeps the last value, `list` makes a list of its values. Default error.',
        ),
      numbers: numbersOption('keys'),
    })
    .superRefine(({ separator, equals, quote }, context) => {
      const add = (path: string, message: string) => context.addIssue({ code: 'custom', message, path: [path] })
      if (separator.includes(equals) || equals.includes(separator))
        add('equals', 'equals and separator hold each other')
      if (quote !== '' && (separator + equals).includes(quote)) add('quote', 'the quote is a separator too')
    }),
  alsoCalled: ['kv', 'logfmt', 'pairs', 'querystring'],
  examples: [
    { title: 'Pairs', bytes: 'id=S1; kg=0012.5;', value: { id: 'S1', kg: '0012.5' }, prints: 'id=S1;kg=0012.5' },
    { title: 'A separator in a value', bytes: 'note="a;b";size=12"', value: { note: 'a;b', size: '12"' } },
    {
      title: 'Other separators, and numbers',
      options: { separator: ' ', equals: ':', numbers: ['kg'] },
      bytes: 'id:7  kg:12.5',
      value: { id: '7', kg: 12.5 },
      prints: 'id:7 kg:12.5',
    },
    {
      title: 'Keys that come more than once',
      options: { repeated: 'list' },
      bytes: 'tag=a;tag=b;id=1',
      value: { tag: ['a', 'b'], id: '1' },
    },
  ],
  rejects: ['a', 'a=1;b', '=1', ' =1', 'a=1;a=2', 'a="1', 'a="1"2', '__proto__=1', 'a=1;__proto__ =2', '\\xff=1'],
  create({ separator, equals, quote, trim, repeated, numbers }): Format {
    const signs = { separator: parseText(separator), equals: parseText(equals), quote }
    const options = { ...signs, trim, repeated, readText: createReadText(numbers) }
    return {
      parse: (bytes, start, end) => new KeyValueReader(options, bytes, start, end).read(),
      print: (value) => print(value, options),
    }
  },
})

function sign(standard: string, about: string) {
  return z
    .string()
    .min(1)
    .default(standard)
    .refine(isText, 'expected a text, in which \\t may be written for a tab')
    .describe(`${about} Default \`${standard}\`.`)
}

type PrintOptions = Readonly<Record<'separator' | 'equals' | 'quote' | 'repeated', string>> & { readonly trim: boolean }

function print(value: unknown, options: PrintOptions): string {
  if (!isRecord(value)) throw notPrintable('key-value writes an object, and this is none')
  const pairs = Object.entries(value).flatMap(([key, inner]) => {
    if (inner === undefined) return []
    const many = options.repeated === 'list' && Array.isArray(inner) && inner.length > 1
    return many ? inner.map((one) => printPair(key, one, options)) : [printPair(key, inner, options)]
  })
  return pairs.join(options.separator)
}

function printPair(key: string, value: unknown, options: PrintOptions): string {
  const { separator, equals, quote, trim } = options
  const begin = key + equals
  const isKey = key !== '' && !(trim && key !== key.trim()) && begin.indexOf(equals) === key.length
  if (!isKey || begin.includes(separator) || !key.isWellFormed()) {
    throw notPrintable(`the key ${JSON.stringify(key)} cannot be written`)
  }
  if (value instanceof Uint8Array) throw notPrintable(`${key} is bytes`, 'make a text of them: hex(…) or base64(…)')
  const text = contentText(value).toString()
  if (!text.isWellFormed()) throw notPrintable(`${key} has half a surrogate pair`)
  const pair = begin + text
  const begins = quote !== '' && text.startsWith(quote)
  // A separator may also begin in the text and end in the one that follows.
  const isPlain = !begins && !(trim && text !== text.trim()) && (pair + separator).indexOf(separator) === pair.length
  if (isPlain) return pair
  if (quote === '') throw notPrintable(`${key} needs quotes, and there are none`)
  return begin + quote + text.replaceAll(quote, quote + quote) + quote
}

function isText(written: string): boolean {
  try {
    return parseText(written) !== ''
  } catch {
    return false
  }
}

function notPrintable(problem: string, hint?: string): SluiceError {
  return new SluiceError('format_not_printable', problem, hint === undefined ? {} : { hint })
}
