import { characters, sizeOf, typeName } from '../values.ts'
import {
  define,
  type FunctionDefinition,
  list,
  optional,
  param,
  present,
  text,
  textOrBytes,
  ValueError,
  whole,
} from './define.ts'

/** Functions of texts. Places and counts are in characters, from 0. */
export const textFunctions: Readonly<Record<string, FunctionDefinition>> = {
  trim: define({
    params: [param('text', text)],
    summary: 'Without white space at both ends.',
    example: 'trim("  A7 ")',
    result: '"A7"',
    run: (value) => value.trim(),
  }),
  upper: define({
    params: [param('text', text)],
    summary: 'In capital letters.',
    example: 'upper("kg")',
    result: '"KG"',
    run: (value) => value.toUpperCase(),
  }),
  lower: define({
    params: [param('text', text)],
    summary: 'In small letters.',
    example: 'lower("KG")',
    result: '"kg"',
    run: (value) => value.toLowerCase(),
  }),
  left: define({
    params: [param('text', text), param('count', whole)],
    summary: 'The first characters.',
    example: 'left("ST,GS", 2)',
    result: '"ST"',
    run: (value, count) => cut(value, 0, Math.max(count, 0)),
  }),
  right: define({
    params: [param('text', text), param('count', whole)],
    summary: 'The last characters.',
    example: 'right("0012.5kg", 2)',
    result: '"kg"',
    run: (value, count) => cut(value, Math.max(characters(value).length - Math.max(count, 0), 0)),
  }),
  mid: define({
    params: [param('text', text), param('start', whole), optional('count', whole)],
    summary: 'Characters from a place on, counted from 0; all of them without a count.',
    example: 'mid("ST,GS,12.5", 3, 2)',
    result: '"GS"',
    run(value, start, count) {
      const from = Math.max(start, 0)
      return cut(value, from, count === undefined ? undefined : from + Math.max(count, 0))
    },
  }),
  before: define({
    params: [param('text', text), param('mark', text)],
    summary: 'What stands before the first mark; null when the mark is not there.',
    example: 'before("temp=21", "=")',
    result: '"temp"',
    run(value, mark) {
      const at = value.indexOf(mark)
      return at < 0 ? null : value.slice(0, at)
    },
  }),
  after: define({
    params: [param('text', text), param('mark', text)],
    summary: 'What stands behind the first mark; null when the mark is not there.',
    example: 'after("temp=21", "=")',
    result: '"21"',
    run(value, mark) {
      const at = value.indexOf(mark)
      return at < 0 ? null : value.slice(at + mark.length)
    },
  }),
  between: define({
    params: [param('text', text), param('start', text), param('end', text)],
    summary: 'What stands between a mark and the next end mark; null when one of them is not there.',
    example: 'between("id[A7] ok", "[", "]")',
    result: '"A7"',
    run(value, start, end) {
      const from = value.indexOf(start)
      const to = from < 0 ? -1 : value.indexOf(end, from + start.length)
      return to < 0 ? null : value.slice(from + start.length, to)
    },
  }),
  split: define({
    params: [param('text', text), param('mark', text)],
    summary: 'The parts between the marks, as a list.',
    example: 'split("ST,GS,12.5", ",")',
    result: '["ST", "GS", "12.5"]',
    run: (value, mark) => (mark === '' ? [...value] : value.split(mark)),
  }),
  join: define({
    params: [param('list', list), optional('mark', text)],
    summary: 'The items of a list as one text, with a mark between them.',
    example: 'join(["A", 7], "-")',
    result: '"A-7"',
    run: (items, mark = '') => items.map(asText).join(mark),
  }),
  lines: define({
    params: [param('text', text)],
    summary: 'The lines, which end at LF, CR or both; an empty last one is left out.',
    example: 'lines("one\\r\\ntwo\\r\\n")',
    result: '["one", "two"]',
    run(value) {
      const found = value.split(/\r\n|\n|\r/)
      if (found.at(-1) === '') found.pop()
      return found
    },
  }),
  replace: define({
    params: [param('text', text), param('part', text), param('by', text)],
    summary: 'Every occurrence of a part replaced. The part is plain text, not a pattern.',
    example: 'replace("12,5", ",", ".")',
    result: '"12.5"',
    run: (value, part, by) => (part === '' ? value : value.split(part).join(by)),
  }),
  padStart: define({
    params: [param('text', text), param('length', whole), optional('fill', text)],
    summary: 'Filled up in front to a length of at most 65536; with spaces unless told otherwise.',
    example: 'padStart(7, 4, "0")',
    result: '"0007"',
    run: (value, length, fill = ' ') => padding(value, length, fill) + value,
  }),
  padEnd: define({
    params: [param('text', text), param('length', whole), optional('fill', text)],
    summary: 'Filled up behind to a length of at most 65536; with spaces unless told otherwise.',
    example: 'padEnd("kg", 4, ".")',
    result: '"kg.."',
    run: (value, length, fill = ' ') => value + padding(value, length, fill),
  }),
  contains: define({
    params: [param('text', textOrBytes), param('part', textOrBytes)],
    summary: 'True when the part occurs in the text or the bytes.',
    example: 'contains("ST,GS", "GS")',
    result: 'true',
    predicate: true,
    run: (value, part) => (Buffer.isBuffer(value) ? value.includes(part) : value.includes(asString(part))),
  }),
  startsWith: define({
    params: [param('text', textOrBytes), param('part', textOrBytes)],
    summary: 'True when the text or the bytes begin with the part.',
    example: 'startsWith(b"\\x02ST", b"\\x02")',
    result: 'true',
    predicate: true,
    run(value, part) {
      if (!Buffer.isBuffer(value)) return value.startsWith(asString(part))
      const wanted = Buffer.from(part)
      return value.subarray(0, wanted.length).equals(wanted)
    },
  }),
  endsWith: define({
    params: [param('text', textOrBytes), param('part', textOrBytes)],
    summary: 'True when the text or the bytes end with the part.',
    example: 'endsWith("12.5kg", "kg")',
    result: 'true',
    predicate: true,
    run(value, part) {
      if (!Buffer.isBuffer(value)) return value.endsWith(asString(part))
      const wanted = Buffer.from(part)
      return wanted.length <= value.length && value.subarray(value.length - wanted.length).equals(wanted)
    },
  }),
  size: define({
    params: [param('value', present)],
    summary: 'Characters of a text, bytes of bytes, items of a list, keys of a map.',
    example: 'size("Grüße")',
    result: '5',
    run: count,
  }),
  length: define({
    params: [param('value', present)],
    summary: 'The same as size.',
    example: 'length([1, 2])',
    result: '2',
    run: count,
  }),
}

const LONGEST_PADDING = 65_536

function cut(value: string, from: number, to?: number): string {
  const all = characters(value)
  return typeof all === 'string' ? all.slice(from, to) : all.slice(from, to).join('')
}

function padding(value: string, length: number, fill: string): string {
  if (length > LONGEST_PADDING) throw new ValueError(`the length ${length} is above ${LONGEST_PADDING}`)
  const room = length - characters(value).length
  if (room <= 0 || fill === '') return ''
  return cut(fill.repeat(Math.ceil(room / characters(fill).length)), 0, room)
}

function asString(value: string | Buffer): string {
  return typeof value === 'string' ? value : value.toString('utf8')
}

function asText(value: unknown, index: number): string {
  const found = value instanceof Date ? value.toISOString() : text.accept(value)
  if (found === undefined) throw new ValueError(`item ${index} is ${typeName(value)}, which has no text`)
  return found
}

function count(value: unknown): number {
  const found = sizeOf(value)
  if (found === undefined) throw new ValueError(`${typeName(value)} has no size`)
  return found
}
