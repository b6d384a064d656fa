import type { Client, PayloadKind } from './client.ts'
import { SluiceError } from './errors.ts'
import type { Message } from './message.ts'
import type { Wait } from './wait.ts'

/** Whom a `send` addresses. */
export type SendTarget =
  | { readonly client: string }
  | { readonly tag: string; readonly value: string }
  | { readonly endpoint: string }
  | { readonly all: true }

/** Whom a `request` asks: one by its id, the one that has a tag, or the one that an endpoint has. */
export type RequestTarget =
  | { readonly client: string }
  | { readonly tag: string; readonly value: string }
  | { readonly endpoint: string }

/** Nobody is connected whom a question is for. One that is meant by a tag or an endpoint may come. */
export function nobody(target: RequestTarget): SluiceError {
  return new SluiceError('client_unknown', `no client ${inWords(target)} is connected`, {
    retryable: !('client' in target),
  })
}

/** Several are connected where one was meant. */
export function severalOf(target: RequestTarget): SluiceError {
  const hint = 'Name the one with to: { client: ID }.'
  return new SluiceError('client_unknown', `there are several clients ${inWords(target)}`, { hint })
}

/** What somebody is asked, besides its content. */
export interface Question extends Wait<Message> {
  /**
   * What becomes of the connection when a question without `matches` has got no answer: a late one would be taken for that to the
   * next. Default `close`.
   */
  readonly whenTimedOut?: 'close' | 'forget' | undefined
}

export interface SendResult {
  /** Clients whose queue took the payload. */
  readonly sent: number
  /** Clients skipped because too much already waits for them. */
  readonly skipped: number
}

/**
 * All connected clients, as parts see them. With several workers `send`, `close` and `request` reach the clients of each,
 * which takes a moment; `size`, `get` and `list` know those of this worker.
 */
export interface Clients {
  readonly size: number
  get(id: string): Client | undefined
  /** The clients that are connected now, oldest first; of one endpoint if its name is given. */
  list(endpoint?: string): Client[]
  /**
   * Queues a payload at each addressed client. It never waits for a client to read.
   * @param except id of a client to leave out
   * @returns a promise where clients of another worker are addressed; it rejects with what is thrown otherwise
   * @throws SluiceError for a single client: `client_unknown`, or `client_slow` when too much waits for it already
   */
  send(target: SendTarget, kind: PayloadKind, content: unknown, except?: string): SendResult | Promise<SendResult>
  /**
   * Sends a payload to one client and waits for its answer. Requests without `matches` take the next message that the
   * client sends; nothing tells their answers apart, nor from that of a poll, so each begins when the one before has
   * ended, and a poll that is open. One that has been sent and gets no answer closes the connection, unless it says otherwise.
   * @returns the value of the answer
   * @throws SluiceError `client_unknown`, also where several are meant; `client_slow`; or `wait_failed` when no
   *   answer came
   */
  request(target: RequestTarget, kind: PayloadKind, content: unknown, question: Question): Promise<unknown>
  /**
   * Half-closes a client after what is queued for it has been sent.
   * @returns false when no such client is connected
   */
  close(id: string, reason?: CloseCause): boolean | Promise<boolean>
}

/** Who ends a connection from our side. */
export type CloseCause = 'closed_by_step' | 'closed_by_api'

/** The clients that are connected to this process: whatever is asked is answered at once. */
export interface ConnectedClients extends Clients {
  send(target: SendTarget, kind: PayloadKind, content: unknown, except?: string): SendResult
  close(id: string, reason?: CloseCause): boolean
}

function inWords(target: RequestTarget): string {
  if ('client' in target) return `"${target.client}"`
  return 'tag' in target ? `whose tag ${target.tag} is "${target.value}"` : `of "${target.endpoint}"`
}
