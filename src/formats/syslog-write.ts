import { contentText } from '../contracts/codec.ts'
import { SluiceError } from '../contracts/errors.ts'
import { isRecord } from '../contracts/record.ts'
import { suggest } from '../util/suggest.ts'
import { facilities, isLocalTime, isTimestamp, NAME, severities, WORD } from './syslog-message.ts'

/** A message as somebody made it: everything may be absent. */
type Given = Readonly<Record<string, unknown>>

const KEYS: readonly string[] = [
  'rfc',
  'facility',
  'facilityName',
  'severity',
  'severityName',
  'timestamp',
  'localTime',
  'host',
  'app',
  'pid',
  'msgId',
  'data',
  'message',
]

/**
 * Writes a message, in the form of RFC 5424 unless `rfc` is 3164.
 * @throws SluiceError `format_not_printable`
 */
export function writeSyslog(value: unknown): string {
  if (!isRecord(value)) throw refuse('a syslog message is written from an object, such as { message: "…" }')
  const given: Given = value
  const unknown = Object.keys(given).find((key) => !KEYS.includes(key))
  if (unknown !== undefined) {
    const near = suggest(unknown, KEYS)
    throw refuse(
      `a syslog message has no ${unknown}`,
      near === undefined ? `There are ${KEYS.join(', ')}.` : `Did you mean ${near}?`,
    )
  }
  const facility = numberOf(given, 'facility', facilities, 1)
  const severity = numberOf(given, 'severity', severities, 5)
  const priority = `<${facility * 8 + severity}>`
  const message = messageOf(given['message'])
  return priority + (given['rfc'] === 3164 ? write3164(given, message) : write5424(given, message))
}

/** RFC 5424, section 6. What is not ASCII has a byte order mark in front (section 6.4). */
function write5424(given: Given, message: string): string {
  const words = ['host', 'app', 'pid', 'msgId'].map((key) => wordOf(given, key) ?? '-')
  const header = `1 ${timestampOf(given) ?? '-'} ${words.join(' ')} ${dataOf(given['data'])}`
  if (message === '') return header
  return `${header} ${/^[\0-\x7f]*$/.test(message) ? '' : '\ufeff'}${message}`
}

/** RFC 3164, section 4.1. */
function write3164(given: Given, message: string): string {
  const time = wordsOf(given, 'localTime', isLocalTime) ?? timestampOf(given)
  const [host, app, pid] = ['host', 'app', 'pid'].map((key) => wordOf(given, key))
  const tag = app === undefined ? '' : `${app}${pid === undefined ? '' : `[${pid}]`}: `
  return `${[time, host].flatMap((word) => (word === undefined ? [] : `${word} `)).join('')}${tag}${message}`
}

/** Facility or severity: a number or its name, or what the key with the name says. */
function numberOf(given: Given, key: string, names: readonly string[], fallback: number): number {
  const value = given[key] ?? given[`${key}Name`] ?? fallback
  const number = typeof value === 'string' ? names.indexOf(value) : value
  if (Number.isInteger(number) && (number as number) >= 0 && (number as number) < names.length) return number as number
  throw refuse(`${key} is no number from 0 to ${names.length - 1}, and none of ${names.join(', ')}`)
}

function timestampOf(given: Given): string | undefined {
  const { timestamp } = given
  return timestamp instanceof Date ? messageOf(timestamp) : wordsOf(given, 'timestamp', isTimestamp)
}

function wordOf(given: Given, key: string): string | undefined {
  return wordsOf(given, key, (text) => WORD.test(text))
}

/** @returns undefined for what is absent */
function wordsOf(given: Given, key: string, isRight: (text: string) => boolean): string | undefined {
  const value = given[key]
  if (value === null || value === undefined) return undefined
  const text = typeof value === 'number' ? String(value) : value
  if (typeof text === 'string' && isRight(text)) return text
  throw refuse(
    `${key} is ${typeof text === 'string' ? JSON.stringify(text.slice(0, 40)) : `of a type that it cannot have`}`,
    {
      timestamp: 'Write a time, or a text of RFC 3339 such as 2026-01-31T12:00:00Z.',
      localTime: 'Write it as Jan 31 12:00:00.',
    }[key] ?? 'Write visible ASCII characters without blanks.',
  )
}

function messageOf(value: unknown): string {
  const content = contentText(value)
  return typeof content === 'string' ? content : content.toString('utf8')
}

function dataOf(data: unknown): string {
  if (data === null || data === undefined) return '-'
  if (!isRecord(data)) throw refuse('data is no object of elements')
  const elements = Object.entries(data).map(([id, params]) => `[${nameOf(id)}${paramsOf(id, params)}]`)
  return elements.length === 0 ? '-' : elements.join('')
}

function paramsOf(id: string, params: unknown): string {
  if (!isRecord(params)) throw refuse(`data.${id} is no object of parameters`)
  return Object.entries(params)
    .flatMap(([name, value]) => (Array.isArray(value) ? value : [value]).map((each) => [name, each] as const))
    .map(([name, value]) => ` ${nameOf(name)}="${messageOf(value).replaceAll(/["\\\]]/g, '\\$&')}"`)
    .join('')
}

function nameOf(name: string): string {
  if (NAME.test(name)) return name
  throw refuse(
    `${JSON.stringify(name)} is no name for structured data`,
    'Write visible ASCII characters without = " and ].',
  )
}

function refuse(message: string, hint?: string): SluiceError {
  return new SluiceError('format_not_printable', message, hint === undefined ? {} : { hint })
}
