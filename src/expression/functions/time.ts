import { typeName } from '../values.ts'
import {
  define,
  defineClocked,
  type FunctionDefinition,
  optional,
  param,
  present,
  text,
  time,
  ValueError,
} from './define.ts'

/** Functions of times. Times are in UTC; a difference of two times is in milliseconds. */
export const timeFunctions: Readonly<Record<string, FunctionDefinition>> = {
  now: defineClocked({
    params: [],
    summary: 'The time at which it is evaluated.',
    example: 'now()',
    result: 'parseTime("2026-01-01T00:00:00Z")',
    run: (clock) => new Date(clock.now()),
  }),
  parseTime: define({
    params: [param('value', present), optional('format', text)],
    summary:
      'A time from a text (RFC 3339; UTC when it names no offset), from a text in a format made of YYYY YY MM DD HH mm ss SSS and Z, or from a number in "ms" or "s".',
    example: 'parseTime("31.12.2025 23:59", "DD.MM.YYYY HH:mm")',
    result: 'parseTime("2025-12-31T23:59:00Z")',
    run: (value, format = 'iso') => parseTime(value, format),
  }),
  formatTime: define({
    params: [param('time', time), optional('format', text)],
    summary: 'A time as a text, RFC 3339 unless a format is given; "s" and "ms" count from 1970.',
    example: 'formatTime(parseTime("2026-01-02T03:04:05Z"), "YYMMDDHHmmss")',
    result: '"260102030405"',
    run: (value, format = 'iso') => formatTime(value, format),
  }),
  since: defineClocked({
    params: [param('time', time)],
    summary: 'Milliseconds from a time until now.',
    example: 'since(parseTime("2025-12-31T23:59:58.5Z"))',
    result: '1500',
    run: (clock, value) => clock.now() - value.getTime(),
  }),
}

const TOKEN = /YYYY|YY|MM|DD|HH|mm|ss|SSS|Z/g
const ISO = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?)?\s*(Z|[+-]\d\d:?\d\d)?$/i
const OFFSET = /^(?:Z|[+-]\d\d:?\d\d)/i

interface Fields {
  year: number
  month: number
  day: number
  hour: number
  minute: number
  second: number
  millisecond: number
  offset: string
}

function parseTime(value: unknown, format: string): Date {
  if (value instanceof Date) return value
  const counted = typeof value === 'number' || format === 's' || format === 'ms'
  if (!counted && typeof value !== 'string') throw new ValueError(`${typeName(value)} has no time`)
  const result = counted ? fromNumber(value, format) : fromFields(readFields(value as string, format))
  if (Number.isNaN(result.getTime())) throw new ValueError(`${JSON.stringify(value)} is no time`)
  return result
}

function fromNumber(value: unknown, format: string): Date {
  const count = typeof value === 'string' && /^-?\d+(\.\d+)?$/.test(value.trim()) ? Number(value) : value
  return new Date(typeof count === 'number' ? count * (format === 's' ? 1000 : 1) : Number.NaN)
}

/** An invalid Date when a field is outside its range, such as 30 February. */
function fromFields(fields: Fields): Date {
  const { year, month, day, hour, minute, second, millisecond, offset } = fields
  const result = new Date(0)
  result.setUTCFullYear(year, month - 1, day)
  result.setUTCHours(hour, minute, second, millisecond)
  const same = result.getUTCMonth() === month - 1 && result.getUTCDate() === day && hour < 24 && minute < 60
  if (!same || second > 59) return new Date(Number.NaN)
  return new Date(result.getTime() - offsetOf(offset))
}

function readFields(value: string, format: string): Fields {
  const fields = { year: 1970, month: 1, day: 1, hour: 0, minute: 0, second: 0, millisecond: 0, offset: 'Z' }
  if (format === 'iso') {
    const found = ISO.exec(value.trim())
    if (found === null) throw new ValueError(`${JSON.stringify(value)} is no RFC 3339 time`)
    const [year, month, day, hour = 0, minute = 0, second = 0] = found.slice(1, 7).map((each) => Number(each ?? 0))
    const millisecond = Math.trunc(Number(`0.${found[7] ?? 0}`) * 1000)
    return { year: year!, month: month!, day: day!, hour, minute, second, millisecond, offset: found[8] ?? 'Z' }
  }
  let at = 0
  let last = 0
  const literal = (text: string) => {
    if (!value.startsWith(text, at)) throw mismatch(value, format)
    at += text.length
  }
  for (const token of format.matchAll(TOKEN)) {
    literal(format.slice(last, token.index))
    last = token.index + token[0].length
    const part = token[0] === 'Z' ? OFFSET.exec(value.slice(at))?.[0] : value.slice(at, at + token[0].length)
    if (part === undefined || (token[0] !== 'Z' && !isDigits(part, token[0].length))) throw mismatch(value, format)
    at += part.length
    store(fields, token[0], part)
  }
  literal(format.slice(last))
  if (at !== value.length) throw mismatch(value, format)
  return fields
}

function store(fields: Fields, token: string, part: string): void {
  if (token === 'YYYY') fields.year = Number(part)
  else if (token === 'YY') fields.year = 2000 + Number(part)
  else if (token === 'MM') fields.month = Number(part)
  else if (token === 'DD') fields.day = Number(part)
  else if (token === 'HH') fields.hour = Number(part)
  else if (token === 'mm') fields.minute = Number(part)
  else if (token === 'ss') fields.second = Number(part)
  else if (token === 'SSS') fields.millisecond = Number(part)
  else fields.offset = part
}

function formatTime(time: Date, format: string): string {
  if (format === 'ms') return String(time.getTime())
  if (format === 's') return String(Math.floor(time.getTime() / 1000))
  const iso = time.toISOString()
  if (format === 'iso') return iso
  // From the end, because a year outside 0 to 9999 is longer than four digits.
  const parts: Readonly<Record<string, string>> = {
    YYYY: iso.slice(0, -20),
    YY: iso.slice(-22, -20),
    MM: iso.slice(-19, -17),
    DD: iso.slice(-16, -14),
    HH: iso.slice(-13, -11),
    mm: iso.slice(-10, -8),
    ss: iso.slice(-7, -5),
    SSS: iso.slice(-4, -1),
    Z: 'Z',
  }
  return format.replace(TOKEN, (token) => parts[token]!)
}

/** Milliseconds by which a clock with this offset is ahead of UTC. */
function offsetOf(offset: string): number {
  if (offset === 'Z' || offset === 'z') return 0
  const minutes = Number(offset.slice(1, 3)) * 60 + Number(offset.slice(-2))
  return (offset.startsWith('-') ? -minutes : minutes) * 60_000
}

function isDigits(text: string, length: number): boolean {
  return text.length === length && /^\d+$/.test(text)
}

function mismatch(value: string, format: string): ValueError {
  return new ValueError(`${JSON.stringify(value)} is not in the format ${format}`)
}
