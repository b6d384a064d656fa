import type { Msg, MsgHdrs, NatsConnection } from '@nats-io/transport-node'
import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Outcomes } from '../contracts/sink.ts'
import { formatDuration } from '../util/units.ts'

/** A message as NATS takes it. */
export interface Publication {
  readonly subject: string
  readonly payload: Uint8Array | string
  readonly headers: MsgHdrs | undefined
}

/** How the publications of one write are sent with JetStream. */
export interface WindowOptions {
  /**
   * For each publication the one that must wait for its acknowledgement; undefined when there is none. Absent: none
   * waits, all are sent at once.
   */
  readonly behind?: readonly (number | undefined)[] | undefined
  /** Milliseconds without any acknowledgement after which what is open has failed. */
  readonly timeout: number
}

/** What became of a window. */
export interface WindowResult {
  readonly outcomes: Outcomes
  /** Subjects for which the server found nobody who would take a message. */
  readonly untaken: ReadonlySet<string>
}

/**
 * One connection to a server, from its beginning to its end; it never connects again. So whatever the client library
 * would queue for a later connection cannot exist, and a connection that does not answer in time is ended, so that
 * nothing waits in its socket to be delivered behind the back of a write that has failed.
 *
 * Acknowledgements arrive at one inbox: `INBOX.1`, `INBOX.2`, … each names the publication it is for. That takes one
 * subscription and one timer for a window, where the request of the library takes a timer and promises for each message.
 */
export class NatsLink {
  readonly connection: NatsConnection
  /** Resolves when the connection has ended, for whatever reason. */
  readonly closed: Promise<void>
  readonly #inbox: string
  /** Publications whose acknowledgement is awaited, by the last token of their reply subject. */
  readonly #waiting = new Map<string, { readonly window: Window; readonly index: number }>()
  /** Writes of core NATS that wait for their PONG. */
  readonly #flushing = new Set<Flush>()
  #count = 0
  #subscribed = false
  #error: SluiceError | undefined

  /** @param inbox a subject that nobody else uses */
  constructor(connection: NatsConnection, inbox: string) {
    this.connection = connection
    this.#inbox = inbox
    this.closed = connection.closed().then((error) => this.#end(error))
    void this.#watch()
  }

  /** Publishes and waits for the acknowledgement of each. Never throws. */
  async acknowledged(publications: readonly Publication[], options: WindowOptions): Promise<WindowResult> {
    if (!this.#subscribed) {
      this.#subscribed = true
      this.connection.subscribe(`${this.#inbox}.*`, { callback: (error, message) => this.#onAck(error, message) })
    }
    const window = new Window(publications, options, (index) => this.#send(window, index))
    const expire = () => this.destroy(silent(options.timeout))
    const timer = setTimeout(expire, options.timeout)
    window.onProgress = () => timer.refresh()
    window.begin()
    await window.done
    clearTimeout(timer)
    return window
  }

  /**
   * Publishes, then waits for the answer to a PING, which the server gives when it has processed what came before it.
   * @throws SluiceError `sink_unavailable`, retryable, when there was no answer: then any of them may have been delivered
   */
  async flushed(publications: readonly Publication[], timeout: number): Promise<Outcomes> {
    const flush: Flush = { refused: new Set(), ...Promise.withResolvers<void>() }
    this.#flushing.add(flush)
    const timer = setTimeout(() => this.destroy(silent(timeout)), timeout)
    try {
      const outcomes = publications.map((publication) => this.#publish(publication))
      // When the connection ends, the library leaves this promise open for ever.
      void this.connection.flush().then(flush.resolve, flush.reject)
      await flush.promise
      // Refusals came before the answer, but the library passes them on through an iterator, in a later microtask.
      await new Promise(setImmediate)
      return outcomes.map((error, i) => error ?? refusal(publications[i]!, flush.refused))
    } catch (thrown) {
      throw this.#error ?? unavailable(LOST, thrown)
    } finally {
      clearTimeout(timer)
      this.#flushing.delete(flush)
    }
  }

  /** Ends the connection at once; what is open fails with this error. */
  destroy(error: SluiceError): void {
    this.#error ??= error
    void this.connection.close()
  }

  #send(window: Window, index: number): void {
    const token = (this.#count++).toString(36)
    const error = this.#publish(window.publications[index]!, `${this.#inbox}.${token}`)
    if (error === undefined) this.#waiting.set(token, { window, index })
    else window.settle(index, error)
  }

  /** Hands a publication to the client library; what it refuses at once comes back as an error. */
  #publish({ subject, payload, headers }: Publication, reply?: string): SluiceError | undefined {
    if (this.connection.isClosed()) return this.#lost()
    try {
      const options = { ...(reply !== undefined && { reply }), ...(headers !== undefined && { headers }) }
      this.connection.publish(subject, payload, options)
      return undefined
    } catch (thrown) {
      if (this.connection.isClosed()) return this.#lost()
      return new SluiceError('sink_failed', `NATS cannot take this message: ${toSluiceError(thrown).message}`, {
        cause: thrown,
      })
    }
  }

  #onAck(error: Error | null, message: Msg): void {
    if (error !== null) {
      // The inbox itself was refused: no acknowledgement can ever arrive.
      const text = 'the NATS user may not subscribe to its inbox, so no acknowledgement arrives'
      this.destroy(unavailable(text, error, { hint: 'allow the user to subscribe to _INBOX.>' }))
      return
    }
    const token = message.subject.slice(this.#inbox.length + 1)
    const entry = this.#waiting.get(token)
    if (entry === undefined) return
    this.#waiting.delete(token)
    const { window, index } = entry
    if (message.data.length === 0 && message.headers?.code === 503) window.untake(index)
    else window.settle(index, readAck(message))
  }

  /** Refusals of subjects come as errors of the connection, not of a message. */
  async #watch(): Promise<void> {
    for await (const status of this.connection.status()) {
      if (status.type !== 'error') continue
      const { error } = status
      if (!('operation' in error) || error.operation !== 'publish' || !('subject' in error)) continue
      const subject = String(error.subject)
      for (const { refused } of this.#flushing) refused.add(subject)
      for (const [token, { window, index }] of this.#waiting) {
        const { subject: own } = window.publications[index]!
        if (own !== subject) continue
        this.#waiting.delete(token)
        window.settle(index, forbidden(own))
      }
    }
  }

  #end(error: unknown): void {
    this.#error ??= unavailable(LOST, error)
    // Those of one window that wait for their predecessor are not in the list: the window fails them.
    const waiting = [...this.#waiting.values()]
    this.#waiting.clear()
    for (const { window, index } of waiting) window.settle(index, this.#error)
    for (const { reject } of this.#flushing) reject(this.#error)
  }

  #lost(): SluiceError {
    return this.#error ?? unavailable(LOST)
  }
}

const LOST = 'the connection to NATS was lost'

/** A write of core NATS. */
interface Flush extends PromiseWithResolvers<void> {
  /** Subjects that the server has refused meanwhile. */
  readonly refused: Set<string>
}

/** Publications of one write that are sent and acknowledged together. */
class Window implements WindowResult {
  readonly publications: readonly Publication[]
  readonly outcomes: (SluiceError | undefined)[]
  readonly untaken = new Set<string>()
  readonly done: Promise<void>
  /** Called whenever the server has shown that it lives. */
  onProgress: () => void = () => {}
  readonly #behind: readonly (number | undefined)[] | undefined
  readonly #send: (index: number) => void
  readonly #resolve: () => void
  #open: number

  constructor(publications: readonly Publication[], { behind }: WindowOptions, send: (index: number) => void) {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.publications = publications
    this.outcomes = new Array<SluiceError | undefined>(publications.length).fill(undefined)
    this.done = promise
    this.#behind = behind
    this.#send = send
    this.#resolve = resolve
    this.#open = publications.length
  }

  /** Sends all that need not wait for another. */
  begin(): void {
    const later = new Set(this.#behind)
    for (let i = 0; i < this.publications.length; i++) if (!later.has(i)) this.#send(i)
  }

  /** Nobody takes the subject; whether that passes is for others to find out. */
  untake(index: number): void {
    const { subject } = this.publications[index]!
    this.untaken.add(subject)
    this.settle(index, unavailable(`no stream takes the subject ${subject} (no responders)`))
  }

  /** What may pass fails all that wait behind it too, unsent, so that they keep their order when they are tried again. */
  settle(index: number, error: SluiceError | undefined): void {
    this.onProgress()
    let next = this.#behind?.[index]
    this.#put(index, error)
    if (error?.retryable !== true) {
      if (next !== undefined) this.#send(next)
      return
    }
    for (; next !== undefined; next = this.#behind?.[next]) this.#put(next, error)
  }

  #put(index: number, error: SluiceError | undefined): void {
    this.outcomes[index] = error
    if (--this.#open === 0) this.#resolve()
  }
}

/** What a stream answers: https://docs.nats.io/reference/reference-protocols/nats_api_reference#publishing-to-streams */
interface Ack {
  readonly stream?: string
  readonly error?: { readonly code?: number; readonly err_code?: number; readonly description?: string }
}

/** A duplicate is one that the stream has already: it counts as delivered. */
function readAck(message: Msg): SluiceError | undefined {
  let ack: Ack
  try {
    ack = message.json<Ack>()
  } catch (cause) {
    return new SluiceError('sink_failed', 'what answered for this subject is no stream', {
      cause,
      hint: NO_STREAM_HINT,
    })
  }
  const { stream, error } = ack
  if (error === undefined) {
    if (stream !== undefined && stream !== '') return undefined
    return new SluiceError('sink_failed', 'what answered for this subject is no stream', { hint: NO_STREAM_HINT })
  }
  const text = `the stream refused the message: ${error.description ?? 'it did not say why'}`
  // 5xx: no leader, no resources, a stream that is full and discards what is new. 4xx: the message is at fault, but for
  // one that says that the account is full.
  const passes = (error.code ?? 400) >= 500 || error.code === 429 || error.err_code === ACCOUNT_FULL
  return passes ? unavailable(text, error) : new SluiceError('sink_failed', text, { cause: error })
}

/** `JSAccountResourcesExceededErr` of nats-server. */
const ACCOUNT_FULL = 10_002

const NO_STREAM_HINT = 'A program that replies to requests listens there: choose another subject, or jetstream: false.'

function refusal({ subject }: Publication, refused: ReadonlySet<string>): SluiceError | undefined {
  return refused.has(subject) ? forbidden(subject) : undefined
}

function forbidden(subject: string): SluiceError {
  return new SluiceError('sink_failed', `the NATS user may not publish to ${subject}`, {
    hint: 'allow it in the permissions of the user',
  })
}

function silent(timeout: number): SluiceError {
  return unavailable(`NATS has not answered for ${formatDuration(timeout)}`)
}

/** An error that may pass. */
export function unavailable(message: string, cause?: unknown, { hint }: { hint?: string } = {}): SluiceError {
  return new SluiceError('sink_unavailable', message, { cause, retryable: true, ...(hint !== undefined && { hint }) })
}
