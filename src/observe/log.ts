import { styleText } from 'node:util'
import { type Logger, pino, stdTimeFunctions } from 'pino'
import type { EventMap, EventName, Events, LogLevel } from '../contracts/events.ts'
import { BackgroundWriter } from './background-writer.ts'
import { type LogRecord, logRecords, type RecordContext } from './log-records.ts'
import { Repeats } from './repeats.ts'

export interface LogOptions {
  readonly level: LogLevel
  /** `json`: one object a line, for machines. `text`: one compact line, for terminals. */
  readonly format: 'json' | 'text'
  /** Colours in the text format. Default false. */
  readonly color?: boolean
  /** Endpoints whose bytes must not appear: neither frames nor error messages, which may quote them. */
  readonly redact?: readonly string[]
  /** Whether an endpoint stands under `connect:` and so opens its connections itself. */
  readonly dialled?: (endpoint: string) => boolean
  /** Number of the worker that writes; it stands in every line. */
  readonly worker?: number
  /** Events that somebody else tells. */
  readonly except?: readonly EventName[]
  /**
   * Where lines go; default: standard error, so that standard output stays free for data. There, lines are written in the
   * background: a reader that stands still loses what exceeds 1 MiB instead of holding the server. For the last copies of
   * messages that could not be kept anywhere it is 256 MiB.
   */
  readonly stream?: { write(line: string): unknown }
}

export interface Log {
  /** Writes a line of the program around the server, at level info. `event` names it, as the others are named. */
  tell(event: string, text: string, fields?: LogRecord['fields']): void
  /** The same, at level warn. */
  warn(event: string, text: string, fields?: LogRecord['fields']): void
  /** Resolves when every line so far is written. */
  flush(): Promise<void>
  /** Unsubscribes and flushes. */
  close(): Promise<void>
}

/**
 * Writes the events of a server as log lines.
 *
 * Nothing that a client sends can forge a line or move the cursor of a terminal: control characters are shown as
 * escapes, and fields end after 1 KiB, except for the last copy of a message. Of lines that say the same about the same endpoint, ten a second are written and
 * the others are counted.
 */
export function attachLog(events: Pick<Events, 'on'>, options: LogOptions): Log {
  const { worker, except = [] } = options
  const background = options.stream === undefined ? new BackgroundWriter(STANDARD_ERROR) : undefined
  const logger = createLogger(options, options.stream ?? background!)
  const write = ({ level, text, fields, lastCopy = false }: LogRecord, event: string) => {
    if ((background?.waiting ?? 0) > (lastCopy ? MAX_LAST_COPIES : MAX_WAITING)) return
    const shown = shorten(fields, lastCopy ? Number.POSITIVE_INFINITY : MAX_FIELD)
    logger[level]({ event, ...shown, ...(worker !== undefined && { worker }) }, safe(text))
  }
  const repeats = new Repeats(LINES_PER_SECOND, 1000, (kind, suppressed) => {
    const [event = '', ...about] = kind.split(' ')
    write(
      { level: 'warn', text: `${suppressed} more lines like this: ${about.join(' ')}`, fields: { suppressed } },
      event,
    )
  })
  const redacted = new Set(options.redact)
  const context: RecordContext = {
    now: Date.now,
    redacted: (endpoint) => redacted.has(endpoint),
    dialled: options.dialled ?? (() => false),
  }

  const subscribe = <Name extends EventName>(name: Name) =>
    events.on(name, (event: EventMap[Name]) => {
      for (const record of [logRecords[name](event, context) ?? []].flat()) {
        if (!logger.isLevelEnabled(record.level)) continue
        if (record.kind === undefined || repeats.admit(record.kind)) write(record, name)
      }
    })
  const told = (Object.keys(logRecords) as EventName[]).filter((name) => !except.includes(name))
  const unsubscribe = told.map(subscribe)

  const flush = async () => {
    repeats.flush()
    await background?.flush()
  }
  return {
    tell: (event, text, fields = {}) => write({ level: 'info', text, fields }, event),
    warn: (event, text, fields = {}) => write({ level: 'warn', text, fields }, event),
    flush,
    close: async () => {
      for (const stop of unsubscribe) stop()
      await flush()
      await background?.close()
    },
  }
}

const LINES_PER_SECOND = 10
const MAX_FIELD = 1024
const STANDARD_ERROR = 2
/** So many bytes may wait for the reader of standard error. */
const MAX_WAITING = 1024 * 1024
const MAX_LAST_COPIES = 256 * 1024 * 1024

function createLogger({ level, format, color = false }: LogOptions, stream: { write(line: string): unknown }): Logger {
  const out = format === 'json' ? stream : { write: (line: string) => stream.write(toText(JSON.parse(line), color)) }
  return pino(
    {
      level,
      base: null,
      messageKey: 'text',
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    out as { write(line: string): void },
  )
}

function shorten(fields: LogRecord['fields'], max: number): LogRecord['fields'] {
  const result: Record<string, string | number | undefined> = {}
  for (const [name, value] of Object.entries(fields))
    result[name] = typeof value === 'string' ? safe(value, max) : value
  return result
}

/** Control and format characters (line breaks, escapes of terminals, bidirectional marks) become visible. */
function safe(text: string, max = MAX_FIELD): string {
  const cut = text.length > max ? `${text.slice(0, max)}…` : text
  return cut.toWellFormed().replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, visible)
}

function visible(character: string): string {
  const code = character.codePointAt(0)!
  return code > 0xff ? `\\u{${code.toString(16)}}` : `\\x${code.toString(16).padStart(2, '0')}`
}

const STYLES = { debug: 'dim', info: 'green', warn: 'yellow', error: 'red' } as const

/** `12:00:00.123Z INFO  scales-17 connected  peer=10.0.0.7:50412`: the time is UTC. */
function toText({ time, level, text, event: _, ...fields }: Record<string, unknown>, color: boolean): string {
  const paint = (style: 'dim' | 'green' | 'yellow' | 'red', part: string) =>
    color ? styleText(style, part, { validateStream: false }) : part
  const clock = paint('dim', String(time).slice(11))
  const word = paint(STYLES[level as LogLevel], String(level).toUpperCase().padEnd(5))
  const pairs = Object.entries(fields).map(([name, value]) => `${paint('dim', `${name}=`)}${quoted(String(value))}`)
  return `${clock} ${word} ${text}${pairs.length > 0 ? '  ' : ''}${pairs.join(' ')}\n`
}

function quoted(value: string): string {
  return /^[^\s"=]+$/.test(value) ? value : `"${value.replaceAll('"', '\\"')}"`
}
