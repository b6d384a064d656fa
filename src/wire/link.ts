import type { Address } from '../contracts/client.ts'
import type { SluiceError } from '../contracts/errors.ts'

/** Milliseconds, or a text with a unit such as `3s`. */
export type Duration = number | string

/** What tells which request a message answers. */
export type RequestId = string | number | bigint

/** How long to wait for something. */
export interface WaitOptions {
  /** For a request the default is `requestTimeout`, else there is none; `off` or 0 is for ever. */
  readonly timeout?: Duration
  /** Ends the wait; the promise rejects with the reason of the signal. */
  readonly signal?: AbortSignal
}

/** How a request is made. */
export interface RequestOptions<In> extends WaitOptions {
  /** Tells the answer from other messages. Default: by `id`, or in the order of the requests. */
  readonly match?: (message: In) => boolean
  /**
   * The other side may get it twice without harm. Then it is sent again when the connection ends before its answer, where
   * there is another connection: with `reconnect`, or in a pool. Default false: it fails with `connection_lost`.
   */
  readonly idempotent?: boolean
}

/** How a request is made of whose time a part may be over already. */
export interface BegunRequest<In> extends RequestOptions<In> {
  /** Milliseconds of `timeout` that are left. Default: all. */
  readonly left?: number
}

/** What can be done on a connection that is open. */
export interface Link<In, Out = In> extends AsyncIterable<In> {
  /** Address of the other side, as `ip` and `port`; the path of a Unix socket as `ip`. */
  readonly remote: Address
  /**
   * Sends a value, formatted and framed.
   * @returns when the operating system has taken the bytes. A timeout or a signal ends the wait; what was sent stays sent.
   * @throws SluiceError `connection_closed` when it was not sent, `connection_lost` when the connection broke before all of
   * it was taken, `too_many_pending`, `request_timeout`, or what format and framing say
   */
  send(value: Out, options?: WaitOptions): Promise<void>
  /** Sends text that is framed but not formatted. */
  sendText(text: string, options?: WaitOptions): Promise<void>
  /** Sends bytes as they are. */
  sendRaw(bytes: string | Buffer, options?: WaitOptions): Promise<void>
  /**
   * Sends a value and waits for its answer. Requests need not wait for each other: they are sent at once and answered in
   * their order, or by `id` or `match`. The late answer to one that was given up is dropped, never given to the next.
   * @throws SluiceError `request_timeout`; `connection_lost` when the connection ended before the answer, so that nobody
   * knows whether the other side has acted; `connection_closed` when it was not sent; `too_many_pending`; what format and
   * framing say of the value or of the answer; the reason of the signal
   */
  request(value: Out, options?: RequestOptions<In>): Promise<In>
  /**
   * The next message that answers no request; undefined when the connection has ended.
   * @throws SluiceError why a message cannot be read (those behind it can), or why the connection broke; `request_timeout`
   */
  receive(options?: WaitOptions): Promise<In | undefined>
}

/** Who is told of what happens on a link. */
export interface LinkListener<In> {
  /** Nothing can be asked any more. Called once. @param error undefined when the other side has ended it in good order */
  onLost(error: SluiceError | undefined): void
  /** An answer that nobody waits for any more. */
  onLate(message: In): void
}
