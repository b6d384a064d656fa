import { type Client, formatAddress } from '../contracts/client.ts'
import type { WhenFull } from '../contracts/delivery.ts'
import { type CloseReason, closeReasons, failures, notices, type SluiceError } from '../contracts/errors.ts'
import type { EventMap, EventName, LogLevel, ReloadReport } from '../contracts/events.ts'
import type { Message } from '../contracts/message.ts'
import { formatBytes } from '../util/escapes.ts'
import { formatDuration, formatSize } from '../util/units.ts'
import { recognise } from './recognise.ts'

/** One line of the log, before it is written. */
export interface LogRecord {
  readonly level: LogLevel
  /** The sentence for people. */
  readonly text: string
  readonly fields: Readonly<Record<string, string | number | undefined>>
  /** Lines of one kind come at most so often; undefined for lines that are never held back. */
  readonly kind?: string
  /** True for the last copy of a message: no field is cut, and a slow reader does not lose it. */
  readonly lastCopy?: boolean
}

/** What a record is made with. */
export interface RecordContext {
  /** Milliseconds since 1970. */
  now(): number
  /** Whether the bytes of an endpoint must not appear in the log. */
  redacted(endpoint: string): boolean
  /** Whether we open the connections of an endpoint: it stands under `connect:`. */
  dialled(endpoint: string): boolean
}

/** How each event reads in the log: a line, several, or none. */
export const logRecords: {
  readonly [Name in EventName]: (
    event: EventMap[Name],
    context: RecordContext,
  ) => LogRecord | readonly LogRecord[] | undefined
} = {
  'server.started': () => info('the server has started', {}),
  'server.reloaded': ({ restart, ...changes }) => [
    info(`the configuration was reloaded: ${changesInWords(changes)}`, {
      added: listed(changes.added),
      removed: listed(changes.removed),
      changed: listed(changes.changed),
    }),
    ...restart.map(
      (setting): LogRecord => ({
        level: 'warn',
        text: `${setting} stays as it was until the program is started again`,
        fields: { setting },
      }),
    ),
  ],
  'server.reloadFailed': ({ reason, hint, mistakes }) => [
    { level: 'error', text: `not reloaded, and nothing has changed: ${reason}`, fields: { hint } },
    ...mistakes.map((text): LogRecord => ({ level: 'error', text, fields: {} })),
  ],
  'server.draining': ({ deadlineMs }) => info('the server is stopping', { deadlineMs }),
  'server.stopped': () => info('the server has stopped', {}),

  'listener.opened': ({ endpoint, address, tls }) => {
    const where = formatAddress(address)
    return info(`${endpoint} listens on ${where}${tls ? ' with TLS' : ''}`, { endpoint, address: where })
  },
  'listener.closed': ({ endpoint, address }) => {
    const where = formatAddress(address)
    return info(`${endpoint} no longer listens on ${where}`, { endpoint, address: where })
  },
  'dial.failed': ({ endpoint, client, target, error, retryIn }) =>
    warn(
      `${client ?? endpoint}: ${error.message}; next attempt in ${formatDuration(Math.round(retryIn))}`,
      { endpoint, client, target, ...reasonOf(error), retryIn },
      `dial.failed ${endpoint} ${target} ${error.code}`,
    ),
  'upstream.failed': ({ endpoint, target, error }) =>
    warn(
      `${endpoint}: the server ${target} is down: ${error.message}`,
      { endpoint, target, ...reasonOf(error) },
      `upstream.failed ${endpoint} ${target}`,
    ),
  'upstream.recovered': ({ endpoint, target }) =>
    info(`${endpoint}: the server ${target} is up again`, { endpoint, target }),
  'subscription.opened': ({ endpoint, address }) =>
    info(`${endpoint} is subscribed at ${formatAddress(address)}`, { endpoint, address: formatAddress(address) }),
  'subscription.failed': ({ endpoint, error, retryIn }) =>
    warn(
      `${endpoint}: ${error.message}; next attempt in ${formatDuration(Math.round(retryIn))}`,
      { endpoint, ...reasonOf(error), retryIn },
      `subscription.failed ${endpoint} ${error.code}`,
    ),
  'schedule.skipped': ({ endpoint }) =>
    warn(
      `${endpoint}: a run is skipped, because the last one has not ended`,
      { endpoint },
      `schedule.skipped ${endpoint}`,
    ),
  'poll.timedOut': ({ client }) =>
    warn(
      `${client.id} did not answer a poll`,
      peerOf(client),
      `poll.timedOut ${client.endpoint} ${client.ip}:${client.port}`,
    ),

  'connection.opened': ({ client }) =>
    info(`${client.id} connected`, { ...peerOf(client), tls: client.tls ? 'yes' : undefined }),
  'connection.spoke': ({ client, bytes }, context) => {
    const hint = recognise(bytes, context.dialled(client.endpoint))
    if (hint === undefined) return undefined
    const fields = { ...peerOf(client), bytes: shown(bytes, client.endpoint, context) }
    return warn(hint, fields, `connection.spoke ${client.endpoint}`)
  },
  'connection.closed': ({ client, reason, detail, hint }, { now }) => ({
    level: EXPECTED.has(reason) ? 'info' : 'warn',
    text: `${client.id} closed: ${closeReasons[reason]}`,
    fields: {
      ...peerOf(client),
      reason,
      detail: detail || undefined,
      hint,
      bytesIn: client.bytesIn,
      bytesOut: client.bytesOut,
      messagesIn: client.messagesIn,
      messagesOut: client.messagesOut,
      ageMs: Math.max(0, Math.round(now() - client.since)),
    },
  }),
  'connection.refused': ({ endpoint, remote, reason, detail, hint }, { dialled }) => {
    const peer = formatAddress(remote)
    return {
      level: EXPECTED.has(reason) ? 'info' : 'warn',
      text: dialled(endpoint)
        ? `${endpoint} could not use its connection to ${peer}: ${closeReasons[reason]}`
        : `${endpoint} refused ${peer}: ${closeReasons[reason]}`,
      fields: { endpoint, peer, reason, detail: detail || undefined, hint },
      kind: `connection.refused ${endpoint} ${reason}`,
    }
  },

  'frame.rejected': ({ message, error }, context) =>
    warn(
      `${message.endpoint}${notices.has(error.code) ? '' : ' rejected a frame'}: ${sentence(error, message.endpoint, context)}`,
      { ...originOf(message, context), ...reasonOf(error) },
      `frame.rejected ${message.endpoint} ${error.code}`,
    ),
  'message.failed': ({ message, error, step, outcome }, context) => ({
    level: outcome === 'handled' ? 'info' : 'error',
    text: `a message failed in ${step}: ${sentence(error, message.endpoint, context)}`,
    fields: { ...originOf(message, context), step, ...reasonOf(error), outcome },
    kind: `message.failed ${step} ${error.code} ${outcome}`,
  }),
  'deadLetter.stored': ({ id, message, error }, context) => ({
    level: 'info',
    text: `kept as dead letter ${id}: ${sentence(error, message.endpoint, context)}`,
    fields: { id, ...peerOf(message.client), sequence: message.sequence, reason: error.code },
    kind: `deadLetter.stored ${message.endpoint} ${error.code}`,
  }),
  // Never held back, and whole: nothing else is left of these messages.
  'deadLetter.lost': ({ message, error, cause }, context) => ({
    level: 'error',
    text: `a dead letter could not be stored: ${cause.message}`,
    fields: {
      ...originOf(message, context),
      bytes: shown(message.raw, message.endpoint, context, message.raw.length),
      ...reasonOf(error),
      detail: sentence(error, message.endpoint, context),
    },
    lastCopy: true,
  }),
  'deadLetters.filled': ({ letters, bytes, maxSize }) =>
    warn(
      `the dead letters are full (${letters} of them, ${formatSize(bytes)}): what fails waits, and with it its sender`,
      { letters, bytes, maxSize, hint: 'Remove some with sluice dead drop, or raise data.deadLetters.maxSize.' },
      'deadLetters.filled',
    ),
  'deadLetters.emptied': () => ({
    level: 'info',
    text: 'the dead letters have room again',
    fields: {},
    kind: 'deadLetters.emptied',
  }),
  'deadLetters.expired': ({ count, maxAge }) =>
    warn(
      `${count} dead ${count === 1 ? 'letter' : 'letters'} older than ${formatDuration(maxAge)} removed`,
      { count },
      'deadLetters.expired',
    ),
  'reply.lost': ({ client, count, late }) => {
    const why = late ? 'the run of the message had ended, as after the timeout of a step' : 'the connection had closed'
    return warn(
      `${count} ${count === 1 ? 'answer' : 'answers'} to ${client.id} lost: ${why}`,
      { ...peerOf(client), count },
      `reply.lost ${client.endpoint}`,
    )
  },
  'sink.retried': ({ step, attempt, error, retryIn }) =>
    warn(
      `${step}: ${error.message}; next attempt in ${formatDuration(Math.round(retryIn))}`,
      { step, attempt, ...reasonOf(error), retryIn },
      `sink.retried ${step} ${error.code}`,
    ),
  'sink.deliveredLate': ({ step, messages }) => {
    const [what, it] = messages === 1 ? ['message', 'it is there and has'] : ['messages', 'they are there and have']
    return warn(
      `${step} has delivered ${messages} ${what} after its timeout: ${it} failed all the same`,
      { step, messages, hint: 'Look there before you use sluice dead retry, which would deliver it again.' },
      `sink.deliveredLate ${step}`,
    )
  },
  'buffer.filled': ({ step, whenFull, reason }) =>
    warn(`the buffer of ${step} is full (${reason}): ${WHEN_FULL[whenFull]}`, { step }, `buffer.filled ${step}`),
  'buffer.emptied': ({ step }) => info(`the buffer of ${step} has room again`, { step }),
  'buffer.blocked': ({ step, error, retryIn }) =>
    warn(
      `the buffer of ${step}: ${error.message}; next attempt in ${formatDuration(Math.round(retryIn))}`,
      { step, ...reasonOf(error), retryIn },
      `buffer.blocked ${step} ${error.code}`,
    ),
  'buffer.damaged': ({ step, detail }) => ({
    level: 'error',
    text: `the buffer of ${step} is damaged and goes on with what follows: ${detail}`,
    fields: { step },
  }),
  'buffer.suspected': ({ step, deaths, blamed }) =>
    warn(
      `the server has died while the buffer of ${step} delivered: what waits first there is delivered one by one now`,
      { step, deaths, blamed, hint: 'A message with which it dies alone becomes a dead letter (process_died).' },
      `buffer.suspected ${step}`,
    ),
  'buffer.orphaned': ({ step, messages }) =>
    warn(
      `${messages} messages wait on disk for the step ${step}, which the configuration does not have: nothing delivers them`,
      { step, messages, hint: `Give a sink with buffer: disk the id ${step}.` },
      `buffer.orphaned ${step}`,
    ),
  'buffer.adopted': ({ step, messages, from, to }) =>
    info(`${messages} messages that waited for ${step} in ${from} have been taken over`, { step, messages, from, to }),
  'worker.started': ({ worker, pid }) => info(`worker ${worker} takes connections`, { worker, pid }),
  'worker.exited': ({ worker, pid, reason, restartIn }) => ({
    level: 'error',
    text: `worker ${worker} has ended (${reason}) and is started again${restartIn === 0 ? '' : ` in ${formatDuration(restartIn)}`}`,
    fields: { worker, pid, reason },
  }),
  // The user asked for each of these lines.
  'part.logged': ({ level, step, text, client }) => ({
    level,
    text,
    fields: { step, ...(client && peerOf(client)) },
  }),
}

/** What a reload did, for people: `added a; changed b, c; unchanged d`. */
export function changesInWords(changes: Omit<ReloadReport, 'restart'>): string {
  const words = Object.entries(changes).filter(([, names]) => names.length > 0)
  return words.map(([what, names]) => `${what} ${names.join(', ')}`).join('; ')
}

const WHEN_FULL = {
  wait: 'its senders are held back',
  drop: 'messages are dropped and counted',
  error: 'messages fail',
} as const satisfies Record<WhenFull, string>

/** Reasons for which a connection ends in daily work. */
const EXPECTED: ReadonlySet<CloseReason> = new Set([
  'client_closed',
  'closed_by_step',
  'closed_by_api',
  'drained',
  'upstream_closed',
] satisfies CloseReason[])

function listed(names: readonly string[]): string | undefined {
  return names.length === 0 ? undefined : names.join(', ')
}

function info(text: string, fields: LogRecord['fields']): LogRecord {
  return { level: 'info', text, fields }
}

function warn(text: string, fields: LogRecord['fields'], kind: string): LogRecord {
  return { level: 'warn', text, fields, kind }
}

function peerOf(client: Client): LogRecord['fields'] {
  return { endpoint: client.endpoint, client: client.id, peer: formatAddress(client) }
}

function originOf(message: Message, context: RecordContext): LogRecord['fields'] {
  return {
    ...peerOf(message.client),
    sequence: message.sequence,
    bytes: shown(message.raw, message.endpoint, context),
  }
}

function reasonOf({ code, hint }: SluiceError): LogRecord['fields'] {
  return { reason: code, hint }
}

function shown(bytes: Buffer, endpoint: string, { redacted }: RecordContext, max?: number): string {
  return redacted(endpoint) ? `(${bytes.length} bytes)` : formatBytes(bytes, max)
}

/** An error's message may quote the data, such as the text that is no JSON. */
function sentence(error: SluiceError, endpoint: string, { redacted }: RecordContext): string {
  return redacted(endpoint) ? failures[error.code] : error.message
}
