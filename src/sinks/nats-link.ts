import type { Msg, NatsConnection } from '@nats-io/transport-node'
import type { Link } from '../brokers/link.ts'
import { unavailable } from '../brokers/network-error.ts'
import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Outcomes } from '../contracts/sink.ts'
import { type Publication, readAck, Window, type WindowOptions, type WindowResult } from './nats-window.ts'

/**
 * One connection to a server, from its beginning to its end; it never connects again. So whatever the client library
 * would queue for a later connection cannot exist, and a connection that does not answer in time is ended, so that
 * nothing waits in its socket to be delivered behind the back of a write that has failed.
 *
 * Acknowledgements arrive at one inbox: `INBOX.1`, `INBOX.2`, … each names the publication it is for. That takes one
 * subscription and one timer for a window, where the request of the library takes a timer and promises for each message.
 */
export class NatsLink implements Link<Publication> {
  readonly connection: NatsConnection
  readonly #inbox: string
  /** Publications whose acknowledgement is awaited, by the last token of their reply subject. */
  readonly #waiting = new Map<string, { readonly window: Window; readonly index: number }>()
  /** Writes of core NATS that wait for their PONG. */
  readonly #flushing = new Set<Flush>()
  #count = 0
  #subscribed = false
  readonly #signal: AbortSignal
  readonly #abort = () => this.destroy(unavailable('the server stopped without waiting any longer'))
  /** Why the connection has ended, once it has. */
  lost: SluiceError | undefined

  /**
   * @param inbox a subject that nobody else uses
   * @param signal ends the connection when it is aborted
   */
  constructor(connection: NatsConnection, inbox: string, signal: AbortSignal) {
    this.connection = connection
    this.#inbox = inbox
    this.#signal = signal
    signal.addEventListener('abort', this.#abort)
    void connection.closed().then((error) => void this.#lose(error))
    void this.#watch()
    if (signal.aborted) this.#abort()
  }

  get open(): boolean {
    return this.lost === undefined
  }

  /** Publishes and waits for the acknowledgement of each. Never throws. */
  async acknowledged(publications: readonly Publication[], options: WindowOptions): Promise<WindowResult> {
    if (!this.#subscribed && !this.connection.isClosed()) {
      this.#subscribed = true
      this.connection.subscribe(`${this.#inbox}.*`, { callback: (error, message) => this.#onAck(error, message) })
    }
    const window = new Window(publications, options, (index) => this.#send(window, index))
    const timer = setTimeout(() => this.destroy(silent()), options.timeout)
    window.onProgress = () => timer.refresh()
    window.begin()
    await window.done
    clearTimeout(timer)
    return window
  }

  /**
   * Core NATS: publishes, then waits for the answer to a PING, which the server gives when it has processed what came
   * before it. Without an answer any of them may have been delivered.
   */
  async deliver(publications: readonly Publication[], timeout: number): Promise<Outcomes> {
    const flush: Flush = { refused: new Set(), ...Promise.withResolvers<void>() }
    this.#flushing.add(flush)
    const timer = setTimeout(() => this.destroy(silent()), timeout)
    try {
      const outcomes = publications.map((publication) => this.#publish(publication))
      // When the connection ends, the library leaves this promise open for ever.
      void this.connection.flush().then(flush.resolve, flush.reject)
      await flush.promise
      // Refusals came before the answer, but the library passes them on through an iterator, in a later microtask.
      await new Promise(setImmediate)
      return outcomes.map((error, i) => error ?? refusal(publications[i]!, flush.refused))
    } catch (thrown) {
      const error = this.#lose(thrown)
      return publications.map(() => error)
    } finally {
      clearTimeout(timer)
      this.#flushing.delete(flush)
    }
  }

  /** Ends the connection at once; what is open fails with this error. */
  destroy(error: SluiceError): void {
    this.lost ??= error
    void this.connection.close()
  }

  /** Ends the connection. Nothing may be open. */
  async end(): Promise<void> {
    this.lost ??= unavailable('the sink is closed')
    await this.connection.close()
  }

  #send(window: Window, index: number): void {
    const token = (this.#count++).toString(36)
    const error = this.#publish(window.publications[index]!, `${this.#inbox}.${token}`)
    if (error === undefined) this.#waiting.set(token, { window, index })
    else window.settle(index, error)
  }

  /** Hands a publication to the client library; what it refuses at once comes back as an error. */
  #publish({ subject, payload, headers }: Publication, reply?: string): SluiceError | undefined {
    if (this.connection.isClosed()) return this.#lose(undefined)
    try {
      const options = { ...(reply !== undefined && { reply }), ...(headers !== undefined && { headers }) }
      this.connection.publish(subject, payload, options)
      return undefined
    } catch (thrown) {
      if (this.connection.isClosed()) return this.#lose(undefined)
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

  /** All that is open fails with the same error. */
  #lose(cause: unknown): SluiceError {
    this.#signal.removeEventListener('abort', this.#abort)
    this.lost ??= unavailable('the connection to NATS was lost', cause)
    const { lost } = this
    // Those of one window that wait for their predecessor are not in the list: the window fails them.
    const waiting = [...this.#waiting.values()]
    this.#waiting.clear()
    for (const { window, index } of waiting) window.settle(index, lost)
    for (const { reject } of this.#flushing) reject(lost)
    return lost
  }
}

/** A write of core NATS. */
interface Flush extends PromiseWithResolvers<void> {
  /** Subjects that the server has refused meanwhile. */
  readonly refused: Set<string>
}

function refusal({ subject }: Publication, refused: ReadonlySet<string>): SluiceError | undefined {
  return refused.has(subject) ? forbidden(subject) : undefined
}

function forbidden(subject: string): SluiceError {
  return new SluiceError('sink_failed', `the NATS user may not publish to ${subject}`, {
    hint: 'allow it in the permissions of the user',
  })
}

function silent(): SluiceError {
  return unavailable('NATS has not answered in time')
}
