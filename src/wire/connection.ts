import type { Address, PayloadKind } from '../contracts/client.ts'
import { type SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Events } from '../contracts/events.ts'
import { type Backoff, createBackoff } from '../util/backoff.ts'
import { whenAborted } from '../util/signals.ts'
import { closed, timedOut, tooMany } from './client-errors.ts'
import { type ConnectionEventMap, createClientEvents } from './client-events.ts'
import type { ClientSettings } from './client-settings.ts'
import { openLink, pause } from './dialling.ts'
import { Inbox } from './inbox.ts'
import type { Link, LinkListener, RequestOptions, WaitOptions } from './link.ts'
import { requestRepeating } from './repeating.ts'
import type { SocketLink } from './socket-link.ts'
import { toMilliseconds, within } from './within.ts'

/** A connection that this program has opened: framed and typed. */
export interface Connection<In, Out = In> extends Link<In, Out>, AsyncDisposable {
  /** `reconnecting` only with the option `reconnect`. */
  readonly state: 'open' | 'reconnecting' | 'closing' | 'closed'
  /** Resolves when it is over for good: to why it broke, or to undefined when it ended in good order. It never rejects. */
  readonly closed: Promise<SluiceError | undefined>
  readonly events: Events<ConnectionEventMap<In>>
  /**
   * Refuses what is new, waits for the answers to what has been asked, sends FIN and resolves when the connection has
   * closed. What arrives until then can be read.
   * @param options.deadline milliseconds for what is under way; what is not answered then fails with `connection_lost`.
   * Default 15,000
   */
  close(options?: { readonly deadline?: number }): Promise<void>
}

/** How a connection lives on. */
export interface ConnectionOptions<In> {
  /** Connect again whenever the connection is lost. */
  readonly reconnect: boolean
  /** Closes it at once, also while it is being opened. */
  readonly signal?: AbortSignal | undefined
  /** Where it tells what happens. Default: a bus of its own. */
  readonly events?: Events<ConnectionEventMap<In>>
}

/** Milliseconds that a close waits for what is under way, unless told otherwise. */
export const DEFAULT_CLOSE_MS = 15_000

/**
 * One connection after the other to the same place, which look like one:
 *
 * ```
 *   open ──lost──▶ reconnecting ──connected──▶ open        without reconnect: open ──lost──▶ closed
 *     └──close──▶ closing ──▶ closed ◀──given up──┘
 * ```
 */
export class ManagedConnection<In, Out> implements Connection<In, Out>, LinkListener<In> {
  state: Connection<In, Out>['state'] = 'open'
  readonly closed: Promise<SluiceError | undefined>
  readonly events: Events<ConnectionEventMap<In>>
  readonly #settings: ClientSettings<In, Out>
  readonly #reconnect: boolean
  readonly #inbox = new Inbox<In>()
  readonly #backoff: Backoff
  readonly #stop = new AbortController()
  #remote: Address = { ip: '', port: 0 }
  /** Undefined while there is none that can be asked. */
  #link: SocketLink<In, Out> | undefined = undefined
  /** Why the last one was lost. */
  #lastError: SluiceError | undefined = undefined
  /** It ends because this program wants it to. */
  #wanted = false
  #closing: Promise<void> | undefined = undefined
  /** Sends and requests that wait for the next link. */
  readonly #waiting = new Set<Waiting<In, Out>>()
  #markClosed!: (error: SluiceError | undefined) => void

  /** Opens one. @throws what {@link openLink} does */
  static async open<In, Out>(
    settings: ClientSettings<In, Out>,
    options: ConnectionOptions<In>,
  ): Promise<ManagedConnection<In, Out>> {
    await settings.ready()
    const { signal, reconnect, events = createClientEvents<In>() } = options
    const connection = new ManagedConnection(settings, reconnect, events)
    const forget = signal && whenAborted(signal, () => connection.#abort(signal.reason))
    try {
      connection.#adopt(await connection.#dial(settings.attempts ?? 1))
    } catch (thrown) {
      forget?.()
      throw thrown
    }
    void connection.closed.then(forget)
    return connection
  }

  private constructor(settings: ClientSettings<In, Out>, reconnect: boolean, events: Events<ConnectionEventMap<In>>) {
    this.#settings = settings
    this.#reconnect = reconnect
    this.events = events
    this.#backoff = createBackoff(settings.backoff)
    this.closed = new Promise((resolve) => {
      this.#markClosed = resolve
    })
  }

  get remote(): Address {
    return this.#remote
  }

  send(value: Out, options?: WaitOptions): Promise<void> {
    return this.#write('value', value, options)
  }

  sendText(text: string, options?: WaitOptions): Promise<void> {
    return this.#write('text', text, options)
  }

  sendRaw(bytes: string | Buffer, options?: WaitOptions): Promise<void> {
    return this.#write('raw', bytes, options)
  }

  request(value: Out, options: RequestOptions<In> = {}): Promise<In> {
    const link = this.#link
    if (link?.usable && !(this.#reconnect && options.idempotent)) return link.request(value, options)
    const { timeout = this.#settings.requestTimeout } = options
    return requestRepeating({ ...options, timeout }, (left) =>
      this.#onLink(left(), options.signal, (open) => open.requestWithin('value', value, options, left())),
    )
  }

  /** For a pool: {@link SocketLink.requestWithin}. */
  async requestWithin(kind: PayloadKind, content: unknown, options: RequestOptions<In>, left: number): Promise<In> {
    if (this.#link === undefined) throw closed(this.#lastError, true)
    return this.#link.requestWithin(kind, content, options, left)
  }

  receive(options: WaitOptions = {}): Promise<In | undefined> {
    return this.#inbox.receive(options)
  }

  [Symbol.asyncIterator](): AsyncIterator<In> {
    return this.#inbox.read()
  }

  close({ deadline = DEFAULT_CLOSE_MS }: { readonly deadline?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(deadline)
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  onLate(message: In): void {
    this.events.emit('message.dropped', { message, reason: 'late' })
  }

  onLost(error: SluiceError | undefined): void {
    const link = this.#link!
    this.#link = undefined
    this.#lastError = error
    if (!this.#reconnect || this.state !== 'open') {
      this.#inbox.end(this.#wanted ? undefined : error)
      if (this.state === 'open') this.state = 'closing'
      void link.gone.then(() => this.#end(error))
      return
    }
    this.state = 'reconnecting'
    this.events.emit('connection.lost', { remote: this.#remote, error })
    this.#dialAgain().catch((thrown: unknown) => this.#end(toSluiceError(thrown, 'connection_lost')))
  }

  async #close(deadline: number): Promise<void> {
    if (this.state === 'reconnecting') this.#stop.abort(closed())
    if (this.state !== 'closed') this.state = 'closing'
    this.#wanted = true
    await this.#link?.close(deadline)
    await this.closed
  }

  async #write(kind: PayloadKind, content: unknown, options: WaitOptions = {}): Promise<void> {
    const { signal, timeout = 0 } = options
    await this.#onLink(toMilliseconds(timeout), signal, (link) => link.write(kind, content, options))
  }

  /**
   * Does something on the link, as soon as there is one: what waits is done in its order.
   * @param left milliseconds that it may wait; 0 is off
   */
  async #onLink<T>(left: number, signal: AbortSignal | undefined, act: Act<In, Out, T>): Promise<T> {
    if (this.state === 'open' && this.#link?.usable) return act(this.#link)
    // A link that has just broken may still be there: what comes now waits for the next one.
    if (!this.#reconnect || (this.state !== 'open' && this.state !== 'reconnecting')) throw closed(this.#lastError)
    const { maxPending, target } = this.#settings
    if (this.#waiting.size >= maxPending) throw tooMany(maxPending)
    // Begun at once when there is a link, and waited for afterwards: the time here is that until then.
    const begun = Promise.withResolvers<{ readonly result: Promise<T> }>()
    const waiting: Waiting<In, Out> = { go: (link) => begun.resolve({ result: act(link) }), fail: begun.reject }
    this.#waiting.add(waiting)
    const late = () => timedOut(`${target} could not be connected again in time`)
    try {
      const { result } = await within(begun.promise, left, signal, late)
      return await result
    } finally {
      this.#waiting.delete(waiting)
    }
  }

  async #dial(attempts: number): Promise<SocketLink<In, Out>> {
    const { signal } = this.#stop
    const link = await openLink(this.#settings, { attempts, backoff: this.#backoff, signal, events: this.events })
    if (!signal.aborted) return link
    link.fail(closed())
    throw signal.reason
  }

  async #dialAgain(): Promise<void> {
    // One that takes connections and closes them at once must not be asked without a pause.
    await pause(this.#backoff.next(), this.#stop.signal)
    const link = await this.#dial(this.#settings.attempts ?? Number.POSITIVE_INFINITY)
    this.#adopt(link)
    if (this.#link === link) this.events.emit('connection.opened', { remote: link.remote })
  }

  #adopt(link: SocketLink<In, Out>): void {
    this.#remote = link.remote
    this.#link = link
    this.state = 'open'
    link.listener = this
    link.deliverTo(this.#inbox)
    if (link.end !== undefined) {
      this.onLost(link.end.error)
      return
    }
    for (const waiting of this.#waiting) {
      this.#waiting.delete(waiting)
      waiting.go(link)
    }
  }

  #abort(reason: unknown): void {
    const error = toSluiceError(reason, 'connection_closed')
    this.#wanted = true
    this.#stop.abort(reason)
    if (this.state === 'open') this.state = 'closing'
    this.#link?.fail(error)
  }

  #end(error: SluiceError | undefined): void {
    if (this.state === 'closed') return
    const why = this.#wanted ? undefined : error
    this.state = 'closed'
    this.#inbox.end(why)
    for (const waiting of this.#waiting) waiting.fail(this.#wanted ? closed() : error)
    this.#markClosed(why)
    this.events.emit('connection.closed', { remote: this.#remote, error: why })
  }
}

/** Does something on a link. It rejects, and does not throw. */
type Act<In, Out, T> = (link: SocketLink<In, Out>) => Promise<T>

/** Something to do on the next link. */
interface Waiting<In, Out> {
  go(link: SocketLink<In, Out>): void
  fail(error: unknown): void
}
