import {
  facilities,
  isLocalTime,
  isTimestamp,
  type SyslogMessage,
  type SyslogParams,
  severities,
  WORD,
} from './syslog-message.ts'

/** What is wrong with a message, and where in the text. */
export class SyslogFault extends Error {
  override readonly name = 'SyslogFault'
  readonly index: number

  constructor(problem: string, index: number) {
    super(problem)
    this.index = index
  }
}

/**
 * Reads a message. With the version 1 behind the priority it is one of RFC 5424, else of RFC 3164, of which nothing but
 * the priority is sure: what has no time, host and tag is a text.
 * @throws SyslogFault
 */
export function readSyslog(text: string): SyslogMessage {
  const priority = /^<(0|[1-9]\d{0,2})>/.exec(text)
  const value = Number(priority?.[1])
  if (priority === null || value > 191) {
    throw new SyslogFault('a syslog message begins with a priority from <0> to <191>, and here it does not', 0)
  }
  const head = {
    facility: value >> 3,
    facilityName: facilities[value >> 3]!,
    severity: value & 7,
    severityName: severities[value & 7]!,
  }
  const at = priority[0].length
  return text.startsWith('1 ', at) ? read5424(text, at + 2, head) : read3164(text.slice(at), head)
}

type Head = Pick<SyslogMessage, 'facility' | 'facilityName' | 'severity' | 'severityName'>

/** RFC 5424, section 6. */
function read5424(text: string, start: number, head: Head): SyslogMessage {
  let at = start
  const [timestamp, host, app, pid, msgId] = ['TIMESTAMP', 'HOSTNAME', 'APP-NAME', 'PROCID', 'MSGID'].map((field) => {
    const end = text.indexOf(' ', at)
    const word = text.slice(at, end === -1 ? text.length : end)
    if (!WORD.test(word)) throw new SyslogFault(`the field ${field} is missing or no visible ASCII`, at)
    if (field === 'TIMESTAMP' && word !== '-' && !isTimestamp(word)) throw new SyslogFault(`${field} is no time`, at)
    if (end === -1) throw new SyslogFault(`the message ends behind ${field}`, text.length)
    at = end + 1
    return word === '-' ? null : word
  })
  const elements = readData(text, at)
  const rest = text.slice(elements.end)
  if (rest !== '' && rest[0] !== ' ') throw new SyslogFault('behind STRUCTURED-DATA stands no blank', elements.end)
  return {
    rfc: 5424,
    ...head,
    timestamp: timestamp!,
    localTime: null,
    host: host!,
    app: app!,
    pid: pid!,
    msgId: msgId!,
    data: elements.data,
    message: rest.slice(rest[1] === BOM ? 2 : 1),
  }
}

/** RFC 5424, section 6.4. It says that the text is UTF-8, which it is anyway, and is no part of it. */
const BOM = '\ufeff'

/** RFC 5424, section 6.3: `-`, or elements without anything between them. */
function readData(text: string, start: number): { data: Record<string, SyslogParams>; end: number } {
  const data: Record<string, SyslogParams> = {}
  if (text[start] === '-') return { data, end: start + 1 }
  let at = start
  while (text[at] === '[') {
    const { 0: name } = match(/[\x21\x23-\x3c\x3e-\x5c\x5e-\x7e]+/y, text, at + 1) ?? fault('an SD-ID', at + 1)
    if (name === '__proto__' || Object.hasOwn(data, name)) {
      throw new SyslogFault(`the SD-ID ${name} is refused: it stands there twice, or is an attack`, at + 1)
    }
    const { params, end } = readParams(text, at + 1 + name.length)
    data[name] = params
    at = end
  }
  if (at === start) fault('STRUCTURED-DATA', at)
  return { data, end: at }
}

/** RFC 5424, section 6.3.3: `"`, `\` and `]` stand behind a backslash; any other backslash is itself. */
function readParams(text: string, start: number): { params: SyslogParams; end: number } {
  const params: Record<string, string | string[]> = {}
  let at = start
  while (text[at] === ' ') {
    const found = match(/ ([\x21\x23-\x3c\x3e-\x5c\x5e-\x7e]+)="((?:[^"\\\]]|\\[\s\S])*)"/y, text, at)
    const [whole, name = '', escaped = ''] = found ?? fault('a parameter such as name="value"', at)
    if (name === '__proto__') throw new SyslogFault('a parameter has the name __proto__, which is refused', at)
    const value = escaped.replaceAll(/\\(["\\\]])/g, '$1')
    const before = Object.hasOwn(params, name) ? params[name] : undefined
    if (Array.isArray(before)) before.push(value)
    else params[name] = before === undefined ? value : [before, value]
    at += whole.length
  }
  if (text[at] !== ']') fault('] at the end of an element', at)
  return { params, end: at + 1 }
}

function match(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at
  return pattern.exec(text)
}

function fault(expected: string, at: number): never {
  throw new SyslogFault(`${expected} is missing`, at)
}

/** Visible ASCII without brackets; a colon at its end would make a tag of it. */
const HOST = /^([\x21-\x5a\x5c\x5e-\x7e]*[\x21-\x39\x3b-\x5a\x5c\x5e-\x7e])(?: |$)/
/** `app:` or `app[pid]:`. */
const TAG = /^([\x21-\x39\x3b-\x5a\x5c\x5e-\x7e]+)(?:\[([\x21-\x5a\x5c\x5e-\x7e]*)\])?:(?: |$)/

/** RFC 3164, section 4.1, and what is sent in its name: a time of RFC 3339, with its zone or without, no host, no tag. */
function read3164(text: string, head: Head): SyslogMessage {
  let rest = text
  const take = (pattern: RegExp): readonly (string | undefined)[] => {
    const found = pattern.exec(rest) ?? []
    rest = rest.slice(found[0]?.length ?? 0)
    return found
  }
  const [, sent = ''] = take(/^(\S{3} [\d ]\d \S{8}|\d{4}-\S+)(?: |$)/)
  const isLocal = isLocalTime(sent)
  const isTimed = isLocal || isTimestamp(sent)
  if (!isTimed) rest = text
  const host = isTimed ? take(HOST)[1] : undefined
  const [, app, pid] = isTimed ? take(TAG) : []
  return {
    rfc: 3164,
    ...head,
    timestamp: isTimed && !isLocal ? sent : null,
    localTime: isLocal ? sent : null,
    host: host ?? null,
    app: app ?? null,
    pid: pid === undefined || pid === '' ? null : pid,
    msgId: null,
    data: {},
    message: rest,
  }
}
