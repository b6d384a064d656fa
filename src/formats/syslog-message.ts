/** The names of facilities by number: RFC 5424, table 1, with the words that syslog.conf has for them. */
export const facilities: readonly string[] = [
  'kern',
  'user',
  'mail',
  'daemon',
  'auth',
  'syslog',
  'lpr',
  'news',
  'uucp',
  'cron',
  'authpriv',
  'ftp',
  'ntp',
  'audit',
  'alert',
  'clock',
  ...Array.from({ length: 8 }, (_, i) => `local${i}`),
]

/** The names of severities by number: RFC 5424, table 2. */
export const severities: readonly string[] = ['emerg', 'alert', 'crit', 'err', 'warning', 'notice', 'info', 'debug']

/** The parameters of an element of structured data; a name that stands there several times has a list. */
export type SyslogParams = Readonly<Record<string, string | readonly string[]>>

/** A message, whichever of the two RFCs it follows. What is absent is null. */
export interface SyslogMessage {
  readonly rfc: 5424 | 3164
  readonly facility: number
  readonly facilityName: string
  readonly severity: number
  readonly severityName: string
  /** RFC 3339, as it was sent. */
  readonly timestamp: string | null
  /** The time of RFC 3164, as it was sent: it has no zone, and mostly no year. */
  readonly localTime: string | null
  readonly host: string | null
  readonly app: string | null
  readonly pid: string | null
  readonly msgId: string | null
  readonly data: Readonly<Record<string, SyslogParams>>
  readonly message: string
}

/** RFC 5424, section 6.2.3: RFC 3339 with capital letters and at most six digits behind the second. */
export const TIMESTAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)$/
/** RFC 3164, section 4.1.2: a day of one digit has a blank in front. */
const LOCAL_TIME =
  /^(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) (?: [1-9]|[12]\d|3[01]) (?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d$/
/** RFC 5424, section 6: PRINTUSASCII. */
export const WORD = /^[\x21-\x7e]+$/
/** RFC 5424, section 6.3.2: SD-NAME. */
export const NAME = /^[\x21-\x7e]+$(?<![="\]].*)/

/** Whether a text is a time that exists. */
export function isTimestamp(text: string): boolean {
  return TIMESTAMP.test(text) && !Number.isNaN(Date.parse(text))
}

/** Whether a text is a time without a zone: that of RFC 3164, or, as loggen sends it, one of RFC 5424 without its end. */
export function isLocalTime(text: string): boolean {
  return LOCAL_TIME.test(text) || isTimestamp(`${text}Z`)
}
