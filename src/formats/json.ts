import { defineFormat } from '../contracts/define.ts'
import { SluiceError } from '../contracts/errors.ts'
import { type Format, invalidAt, readUtf8 } from '../contracts/format.ts'
import { jsonOf } from '../contracts/json.ts'
import { z } from '../contracts/schema.ts'
import { findJsonFault } from '../util/json-fault.ts'

/** JSON (RFC 8259), one value per frame. */
export const json = defineFormat({
  name: 'json',
  summary: 'The frame is one JSON value in UTF-8.',
  details: `Numbers are JavaScript's: integers above 2^53 lose digits, so a sender should write long serial numbers as text.
A frame that nobody changed is passed on as the bytes it came as, with all its digits and blanks.

Of two equal keys the last one counts. A frame with the key \`__proto__\` is refused: no device sends it, and it is a
known way to attack programs further on.

Written is the shortest form, as by \`JSON.stringify\`: times as RFC 3339, bytes as base64 text, keys without a value not
at all, NaN and infinite numbers as null.`,
  options: z.strictObject({
    maxDepth: z
      .int()
      .min(1)
      .max(1000)
      .default(64)
      .describe('How deep objects and lists may be nested; a frame that is deeper is refused. Default 64.'),
  }),
  examples: [
    { title: 'A record', bytes: '{"device":"s1","temp":23.5}', value: { device: 's1', temp: 23.5 } },
    {
      title: 'Blanks are not written again',
      bytes: ' [ 1, "m\\xc2\\xb3" ] ',
      value: [1, 'm³'],
      prints: '[1,"m\\xc2\\xb3"]',
    },
    { title: 'null is a value', bytes: 'null', value: null },
    { title: 'Nested no deeper than two', options: { maxDepth: 2 }, bytes: '[[1]]', value: [[1]] },
  ],
  rejects: [
    '',
    ' ',
    '{',
    '{"a":1',
    '{"a":}',
    '{a:1}',
    "{'a':1}",
    '[1,]',
    '1 2',
    'NaN',
    '"\\x01"',
    '"\\xff"',
    '\\xef\\xbb\\xbf1',
    '{"__proto__":{"admin":true}}',
    '{"a":[{"\\\\u005f_pr\\\\u006fto__":1}]}',
    `${'['.repeat(65)}${']'.repeat(65)}`,
    `${'{"a":'.repeat(65)}1${'}'.repeat(65)}`,
  ],
  create({ maxDepth }): Format {
    return {
      parse(bytes, start, end) {
        const text = readUtf8(bytes, start, end)
        const value = parseJson(text, bytes, start, end)
        if (mayNameProto(text) || mayBeDeep(text, maxDepth)) inspect(value, maxDepth, maxDepth)
        return value
      },
      print,
    }
  },
})

function parseJson(text: string, bytes: Buffer, start: number, end: number): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    const fault = findJsonFault(text)
    if (fault === undefined) throw error
    const at = start + Buffer.byteLength(text.slice(0, fault.index))
    throw invalidAt(`not valid JSON: ${fault.problem}`, bytes, start, end, at)
  }
}

/** Whether a look at the keys is worth its time: every letter of the key may also be written as an escape below U+0080. */
function mayNameProto(text: string): boolean {
  return text.includes('__proto__') || text.includes('\\u00')
}

/** Whether the text has brackets enough to be too deep, wherever they stand. A few native searches, and no parsing. */
function mayBeDeep(text: string, maxDepth: number): boolean {
  if (text.length <= 2 * maxDepth) return false
  // Nearly always the first character is a bracket, so it is counted unseen.
  let left = maxDepth - 1
  for (let at = text.indexOf('{', 1); at !== -1; at = text.indexOf('{', at + 1)) if (--left < 0) return true
  for (let at = text.indexOf('[', 1); at !== -1; at = text.indexOf('[', at + 1)) if (--left < 0) return true
  return false
}

/** @throws SluiceError `format_invalid` when a value is nested deeper than `left` or has the key `__proto__` */
function inspect(value: unknown, left: number, maxDepth: number): void {
  if (typeof value !== 'object' || value === null) return
  if (left === 0) throw new SluiceError('format_invalid', `the JSON is nested deeper than maxDepth, ${maxDepth}`)
  if (Object.hasOwn(value, '__proto__')) {
    throw new SluiceError('format_invalid', 'the JSON has the key __proto__, which is refused')
  }
  for (const inner of Object.values(value)) inspect(inner, left - 1, maxDepth)
}

function print(value: unknown): string {
  try {
    const text = jsonOf(value)
    if (text === undefined) throw new SluiceError('format_not_printable', `JSON has no ${typeof value}`)
    return text
  } catch (error) {
    if (error instanceof SluiceError) throw error
    const reason = error instanceof Error ? error.message.split('\n', 1)[0] : String(error)
    throw new SluiceError('format_not_printable', `this value cannot be written as JSON: ${reason}`, { cause: error })
  }
}
