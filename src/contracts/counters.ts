import type { CloseReason, FailureCode } from './errors.ts'

/** How often each reason of a closed set has occurred. A reason that never occurred is absent. */
export type ReasonCounts<Reason extends string> = Map<Reason, number>

/**
 * What the endpoints of one name have done since the server started: a reload does not begin anew. The engine alone writes, once per batch and not once per message;
 * metrics and dashboard read whenever they like. All numbers but `queuedBytes` only ever grow.
 */
export class EndpointCounters {
  /** Connections that became clients. */
  opened = 0
  /** Connections closed before they became clients. */
  readonly refused: ReasonCounts<CloseReason> = new Map()
  /** Clients whose connection has ended. */
  readonly closed: ReasonCounts<CloseReason> = new Map()
  /** Bytes as the framing sees them: inside TLS, and without what TCP adds. */
  bytesIn = 0
  bytesOut = 0
  /** Frames that became messages. */
  messagesIn = 0
  /** Answers and sends that were queued at a connection. */
  messagesOut = 0
  /** Messages that a step ended on purpose, such as `filter`. */
  dropped = 0
  /** Tests in conditions that were false because a key was missing. */
  missingValues = 0
  /** Messages for which the endpoint's `key:` gave nothing. */
  missingKeys = 0
  /** Sends that a client did not get because too much waited for it. */
  sendsSkipped = 0
  /** How often a sender was held back because limits.maxQueued was reached. */
  readsPaused = 0
  /** Answers that could not be sent: their connection had closed, or the run of their message had ended. */
  repliesLost = 0
  /** Bytes in memory now: read and not yet run. */
  queuedBytes = 0
  /** Frames refused by framing or format. */
  readonly rejected: ReasonCounts<FailureCode> = new Map()
  /** Messages that failed in a step, whether an `onError` handled them or not. */
  readonly failed: ReasonCounts<FailureCode> = new Map()
  /** What became of answers that a relay compares; `dropped` had no room to wait for the dataflow, or for each other. */
  readonly compared: ReasonCounts<'equal' | 'different' | 'unmatched' | 'dropped'> = new Map()
  /** Messages and frames that were kept as dead letters. */
  readonly deadLetters: ReasonCounts<FailureCode> = new Map()
}

/** Adds to the count of a reason. */
export function countReason<Reason extends string>(counts: ReasonCounts<Reason>, reason: Reason, by = 1): void {
  counts.set(reason, (counts.get(reason) ?? 0) + by)
}

/** An endpoint as metrics and dashboard see it. */
export interface ObservedEndpoint {
  readonly name: string
  readonly kind: 'listen' | 'connect' | 'subscribe' | 'schedule'
  readonly counters: EndpointCounters
  /** Clients connected now; of a subscription 1 while the broker gives it messages. */
  readonly connections: number
  /** Those of `hosts:`; absent where an endpoint has none. */
  readonly devices?: readonly ObservedDevice[] | undefined
  /** The servers behind a relay; absent where an endpoint is none. */
  readonly upstreams?: readonly ObservedUpstream[] | undefined
}

/** A server behind a relay. */
export interface ObservedUpstream {
  /** Its address. */
  readonly name: string
  /** False from a failure to the next success. */
  readonly up: boolean
}

/** A device that an endpoint keeps connected. */
export interface ObservedDevice {
  readonly id: string
  readonly connected: boolean
}

/** What one buffer holds and has done since it was opened. The buffer alone writes. */
export interface BufferCounters {
  /** Id of the step. */
  readonly step: string
  /** Names of the endpoints whose dataflows it stands in, with a comma between them: a dataflow may be shared. */
  endpoint: string
  readonly kind: 'memory' | 'disk'
  /** Messages that wait now, and their bytes. */
  messages: number
  bytes: number
  /** When the oldest of them was stored; milliseconds since 1970, 0 when none waits. */
  oldest: number
  /** Since the start: messages stored, delivered, dropped because it was full, given up. */
  stored: number
  delivered: number
  dropped: number
  failed: number
}

/** What the store of dead letters holds and has done. The store alone writes. */
export interface DeadLetterCounters {
  letters: number
  bytes: number
  /** When the oldest was kept; milliseconds since 1970, 0 when there is none. */
  oldest: number
  /** Removed because they were older than `maxAge`, since the start. */
  expired: number
}

/** What can be measured: read anew at every look, so endpoints may come and go with a reload. */
export interface Observed {
  readonly endpoints: readonly ObservedEndpoint[]
  readonly buffers: readonly BufferCounters[]
  /** Undefined where another store stands in, in a test. */
  readonly deadLetters: DeadLetterCounters | undefined
  /** Workers that take connections now; undefined where there is one process and no more. */
  readonly workers?: number
}
