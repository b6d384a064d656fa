import { RE2JS, RE2JSSyntaxException } from 're2js'
import { defineStep } from '../contracts/define.ts'
import { SluiceError } from '../contracts/errors.ts'
import { expr, withoutProto, z } from '../contracts/schema.ts'
import { parseText } from '../util/escapes.ts'
import { suggest } from '../util/suggest.ts'
import { intoOption, withResult } from './into.ts'

const options = z
  .strictObject({
    pattern: z
      .string()
      .min(1)
      .superRefine((pattern, context) => {
        const problem = patternProblem(pattern)
        if (problem !== undefined) context.addIssue({ code: 'custom', ...problem })
      })
      .optional()
      .describe(
        'A pattern with named groups, `^(?<kg>[0-9.]+) (?<unit>\\w+)$`, in the syntax of RE2. It may match anywhere in the text unless `^` and `$` say otherwise. In YAML write it in single quotes.',
      ),
    delimiter: z
      .string()
      .min(1)
      .refine(isReadable, 'expected a text with the escapes \\r \\n \\t \\0 \\xHH and \\\\')
      .optional()
      .describe('What stands between two fields: `";"` or `"\\t"`. The names are in `names`.'),
    names: z
      .array(z.string().min(1))
      .min(1)
      .optional()
      .describe('With `delimiter`: the name of each field, in order. A text with more or fewer fields fails.'),
    from: expr().optional().describe('The text that is read: an expression. Default msg.'),
    types: withoutProto(z.record(z.string(), z.enum(['text', 'number', 'integer'])))
      .default({})
      .describe(
        'What becomes a number: `{ kg: number, count: integer }`. What is none fails. Default: all stay texts.',
      ),
    into: intoOption,
  })
  .superRefine(({ pattern, delimiter, names, types }, context) => {
    const add = (message: string, path: string[] = [], params: Record<string, string> = {}) =>
      context.addIssue({ code: 'custom', message, path, params })
    if ((pattern === undefined) === (delimiter === undefined)) return add('give pattern, or delimiter and names')
    if (delimiter !== undefined && names === undefined)
      return add('names is missing: [id, kg], the names of the fields')
    if (pattern !== undefined && names !== undefined) {
      return add('names goes with delimiter; in a pattern the groups have names', ['names'])
    }
    const known = names ?? (patternProblem(pattern!) === undefined ? groupsOf(pattern!) : [])
    const twice = known.find((name, i) => known.indexOf(name) !== i)
    if (twice !== undefined) add(`two fields have the name ${twice}`, ['names'])
    if (known.includes('__proto__')) add('__proto__ cannot be used as a name', names ? ['names'] : ['pattern'])
    for (const name of Object.keys(types)) {
      if (known.includes(name) || known.length === 0) continue
      const near = suggest(name, known)
      const hint = near === undefined ? `there are ${known.join(', ')}` : `did you mean ${near}?`
      add(`there is no ${name}`, ['types', name], { hint, at: 'key' })
    }
  })

/** Reads the parts of a text by names. */
export const parse = defineStep({
  name: 'parse',
  summary: 'Takes a text apart, by a pattern with named groups or by a delimiter, and gives an object.',
  details: [
    'For lines that no format describes, and for a text inside a message. Parts stay texts, so an article number keeps ' +
      'its zeros, unless `types` says otherwise: a `number` may have a sign, leading zeros and spaces around it, and an ' +
      '`integer` has no fraction and at most 2^53. A group of the pattern that took no part in the match is null.',
    'A text that does not match fails, and the error shows how it begins. To drop what does not match, put a `filter` ' +
      'before: `filter: \'msg.matches("^ST,")\'`.',
    'A pattern runs in linear time, whatever it is and whatever is sent (RE2), so there are no look-around and no back ' +
      'references. A delimiter knows no quotes: for those use the format `csv`.',
  ].join('\n\n'),
  options,
  short: 'pattern',
  alsoCalled: ['regex', 'regexp', 'grok', 'match', 'split', 'dissect', 'extract', 'pattern'],
  examples: [
    {
      title: 'A pattern',
      config: { parse: { pattern: '^(?<kg>[0-9.]+) ?(?<unit>[a-z]+)?$', types: { kg: 'number' } } },
      given: ['0012.50 kg', '7'],
      gives: [
        { kg: 12.5, unit: 'kg' },
        { kg: 7, unit: null },
      ],
    },
    {
      title: 'A delimiter and names',
      config: { parse: { delimiter: ';', names: ['id', 'kg'] } },
      given: ['007;12.5'],
      gives: [{ id: '007', kg: '12.5' }],
    },
    {
      title: 'A text inside a message',
      config: {
        parse: { from: 'msg.payload', pattern: 'T=(?<celsius>-?\\d+)', types: { celsius: 'integer' }, into: 'read' },
      },
      given: [{ payload: 'ok T=-3' }],
      gives: [{ payload: 'ok T=-3', read: { celsius: -3 } }],
    },
  ],
  create({ pattern, delimiter, names, from, types, into }) {
    const read = pattern === undefined ? readFields(parseText(delimiter!), names!) : readGroups(pattern)
    const readers = Object.entries(types).filter(([, type]) => type !== 'text') as [string, NumberType][]
    return {
      run(message) {
        const parts: Record<string, unknown> = read(textOf(from === undefined ? message.msg : from(message)))
        for (const [name, type] of readers) parts[name] = numberOf(parts[name], type, name)
        return withResult(message, into, parts)
      },
    }
  },
})

type Parts = Record<string, string | null>
type NumberType = 'number' | 'integer'

function readGroups(pattern: string): (text: string) => Parts {
  const compiled = RE2JS.compile(pattern)
  const names = groupsOf(pattern)
  return (text) => {
    const matcher = compiled.matcher(text)
    if (!matcher.find()) throw failed(`${start(text)} does not match the pattern`)
    const parts: Parts = {}
    for (const name of names) parts[name] = matcher.group(name)
    return parts
  }
}

function readFields(delimiter: string, names: readonly string[]): (text: string) => Parts {
  return (text) => {
    const fields = text.split(delimiter)
    if (fields.length !== names.length) {
      const found = `${fields.length} field${fields.length === 1 ? '' : 's'}`
      throw failed(`${start(text)} has ${found}, and there are ${names.length} names`)
    }
    const parts: Parts = {}
    for (const [i, name] of names.entries()) parts[name] = fields[i]!
    return parts
  }
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value
  if (value instanceof Uint8Array)
    throw failed('these are bytes', 'Write from: text(msg), or read the messages as text.')
  const what = value === null || value === undefined ? 'there is no text' : 'the value is no text'
  throw failed(what, 'Say with from: which text is meant, such as from: msg.line.')
}

/** As devices write it: with a sign and leading zeros. */
const NUMBER = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/
const INTEGER = /^[+-]?\d+$/

/** A group that took no part stays null. */
function numberOf(part: unknown, type: NumberType, name: string): number | null {
  if (part === null) return null
  // A sign may stand apart from its digits, as scales print it: "+   12.5".
  const digits = (part as string).trim().replace(/^([+-]) +/, '$1')
  const value = Number(digits)
  const isNumber = type === 'number' ? NUMBER.test(digits) : INTEGER.test(digits) && Number.isSafeInteger(value)
  // -0 is 0: nobody means the other one.
  if (isNumber && Number.isFinite(value)) return value + 0
  throw failed(`${name} is ${start(part as string)}, which is no ${type}`)
}

function groupsOf(pattern: string): string[] {
  return Object.keys(RE2JS.compile(pattern).namedGroups())
}

/** What is wrong with a pattern, and where; undefined when it can be used. */
function patternProblem(pattern: string): { message: string; params?: { hint: string } } | undefined {
  try {
    if (groupsOf(pattern).length > 0) return undefined
    return { message: 'the pattern names nothing', params: { hint: 'name what is wanted: (?<kg>[0-9.]+)' } }
  } catch (error) {
    if (!(error instanceof RE2JSSyntaxException)) throw error
    const { error: problem } = error
    const input = error.input ?? ''
    const at = pattern.indexOf(input)
    const isOnce = at !== -1 && at === pattern.lastIndexOf(input)
    const message = `${problem}${isOnce ? ` at character ${at + 1}` : ''}: ${input}`
    return /\(\?<?[=!]|\\[1-9]/.test(pattern)
      ? { message, params: { hint: 'RE2 has no look-around and no back references' } }
      : { message }
  }
}

function isReadable(text: string): boolean {
  try {
    return parseText(text) !== ''
  } catch {
    return false
  }
}

function start(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text)
}

function failed(text: string, hint?: string): SluiceError {
  return new SluiceError('step_failed', `parse: ${text}`, hint === undefined ? {} : { hint })
}
