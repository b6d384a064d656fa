/**
 * What can go wrong with a message, a frame or an endpoint while the server runs: a closed set of codes.
 *
 * A code is stable under semantic versioning. It is the `reason` label of a metric, the `reason` of a log line, the
 * `error.code` of an expression and the first column of `docs/reference/errors.md`, which is generated from this table.
 * Mistakes in a configuration have codes of their own, in `config/problems.ts`.
 */
export const failures = {
  frame_too_long: 'A frame is longer than maxLength or limits.maxFrameLength. Its bytes up to the limit are kept.',
  frame_skipped: 'A frame was longer than maxLength and was dropped, as whenTooLong: skip says. This is no failure.',
  frame_cut:
    'A frame was longer than maxLength and its message has the first bytes of it, as whenTooLong: truncate says. This is no failure.',
  frame_invalid: 'Bytes that no frame may contain at this place, such as text before the start marker.',
  frame_truncated: 'The connection ended in the middle of a frame.',
  frame_timeout: 'A frame was begun and not finished within limits.frameTimeout.',
  frame_not_encodable: 'A payload cannot be sent in this framing, for example because it contains the end marker.',
  format_invalid: 'A frame is not valid in the format of its endpoint.',
  format_not_printable: 'A value cannot be written in the format, for example a number given to the format bytes.',
  expression_failed: 'An expression could not be evaluated, for example arithmetic on a missing value.',
  step_failed: 'A step threw an error.',
  step_timeout: 'A step did not finish within its timeout.',
  sink_failed: 'A sink refused a message for good.',
  sink_unavailable: 'A sink could not be reached within retry.for.',
  overrun:
    'A broker that keeps nothing sent more than limits.maxQueued before the dataflow could take it, and the message is lost; or a relay did, and the copy of its bytes ends.',
  subscription_failed: 'A broker cannot be reached, refuses a subscription, or has ended it.',
  buffer_full: 'The buffer of a sink is full, and its whenFull says error.',
  buffer_expired: 'A message has waited in the buffer of a sink for longer than its maxAge.',
  rate_exceeded: 'More messages came than a throttle step lets through, and its whenFull says error.',
  client_gone: 'The connection closed before the answer could be sent.',
  client_unknown: 'No connected client has this id or tag, or several have where one is asked.',
  client_slow: 'A client does not read: more than limits.maxQueued bytes wait for it.',
  wait_failed: 'A step waited for a message of a client, and it did not arrive, or something else did.',
  request_failed: 'A service that a request step has asked did not answer, or refused.',
  query_failed: 'A PostgreSQL database that a query step has asked did not answer, or refused.',
  no_connection: 'The message did not come from a connection, so it cannot be answered.',
  address_in_use: 'Something else listens on this address.',
  address_unavailable: 'This machine has no such address.',
  permission_denied: 'The operating system does not allow this.',
  connection_refused: 'Nothing listens at the address that was dialled.',
  connection_reset: 'The other side reset the connection.',
  connection_timeout: 'The address that was dialled did not answer in time.',
  connection_closed: 'A connection of connect() or createPool() is closed, so this was not sent.',
  connection_lost:
    'A connection of connect() or createPool() ended before the answer: the other side may have acted or not.',
  request_timeout: 'A request of connect() or createPool() got no answer within its timeout, or a receive no message.',
  too_many_pending: 'More than maxPending requests and sends of a connection are under way.',
  host_unknown: 'The host name cannot be resolved.',
  tls_failed: 'The TLS handshake failed.',
  proxy_failed: 'A connection did not begin with a PROXY header that can be believed.',
  storage_failed: 'The embedded database could not be read or written.',
  kept_by_step: 'A deadLetter step kept the message on purpose.',
  package_missing: 'A part needs a package that is not installed.',
  schema_invalid: 'A file that describes a format, such as a .proto file, cannot be used.',
  script_failed: 'A script threw an error or could not be loaded.',
  process_died:
    'The process that worked on a message died: that of a script with isolate: process, or the server each time a buffer delivered it.',
  internal: 'A defect of Sluice itself.',
} as const satisfies Record<string, string>

/** A code of {@link failures}. */
export type FailureCode = keyof typeof failures

/** Codes that only tell: what the configuration says was done, and nothing has failed. */
export const notices: ReadonlySet<FailureCode> = new Set(['frame_skipped', 'frame_cut'])

export interface SluiceErrorOptions {
  /** The error underneath, if any. */
  readonly cause?: unknown
  /** True when the same attempt may succeed later; a sink's retry looks at this. Default false. */
  readonly retryable?: boolean
  /** One sentence that tells the reader what to do next. */
  readonly hint?: string
  /** How often it was tried before it was given up. Default 1. */
  readonly attempts?: number
  /** Milliseconds before which another attempt makes no sense, when the destination said so. Default 0. */
  readonly retryAfter?: number
}

/** The one error type of the runtime. A part throws it when it knows the code; anything else thrown becomes `step_failed`. */
export class SluiceError extends Error {
  override readonly name = 'SluiceError'
  readonly code: FailureCode
  readonly retryable: boolean
  readonly hint: string | undefined
  readonly attempts: number
  readonly retryAfter: number

  constructor(code: FailureCode, message: string, options: SluiceErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.retryable = options.retryable ?? false
    this.hint = options.hint
    this.attempts = options.attempts ?? 1
    this.retryAfter = options.retryAfter ?? 0
  }
}

/**
 * Gives any thrown value a code.
 * @param thrown what was caught
 * @param code the code for a value that carries none
 */
export function toSluiceError(thrown: unknown, code: FailureCode = 'step_failed'): SluiceError {
  if (thrown instanceof SluiceError) return thrown
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return new SluiceError(code, message, { cause: thrown })
}

/**
 * Why a connection was closed: a closed set. Every closed connection leaves one log line and one count with one of these.
 */
export const closeReasons = {
  client_closed: 'The other side closed the connection.',
  client_reset: 'The other side reset the connection, or the network did.',
  closed_by_step: 'A close step ended it.',
  closed_by_api: 'The program that embeds the server, or an operator, ended it.',
  drained: 'The server is stopping, or a reload took the endpoint away; the connection had finished its work.',
  drain_deadline:
    'The server is stopping, or a reload took the endpoint away; the connection had not finished in time.',
  frame_error: 'The bytes broke the framing, so nothing after them can be trusted.',
  frame_timeout: 'A frame was begun and not finished within limits.frameTimeout.',
  first_frame_timeout: 'No frame arrived within limits.firstFrameTimeout.',
  idle_timeout: 'No bytes arrived within limits.idleTimeout.',
  write_timeout: 'The other side did not read what it was sent within limits.writeTimeout.',
  too_many_connections: 'limits.maxConnections was reached.',
  connect_failed: 'A step of onConnect failed.',
  tls_failed: 'The TLS handshake failed.',
  proxy_failed:
    'It came from an address that proxyProtocol.trust does not name, or it did not begin with a valid PROXY header in time.',
  upstream_closed: 'The server behind a relay closed the connection.',
  upstream_failed: 'No server behind a relay could be reached, or the connection to it broke.',
  keepalive_failed: 'The other side vanished: TCP keepalive got no answer.',
  internal: 'A defect of Sluice itself.',
} as const satisfies Record<string, string>

/** A key of {@link closeReasons}. */
export type CloseReason = keyof typeof closeReasons

/** Why the other side ended a connection. @param error what its socket reported; undefined for a clean close */
export function closeReasonOf(error: Error | undefined): CloseReason {
  if (error === undefined) return 'client_closed'
  const { code } = toSluiceError(error, 'connection_reset')
  if (code === 'tls_failed') return 'tls_failed'
  return code === 'connection_timeout' ? 'keepalive_failed' : 'client_reset'
}
