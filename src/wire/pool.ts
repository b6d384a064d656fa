import type { PayloadKind } from '../contracts/client.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Events } from '../contracts/events.ts'
import { createBackoff } from '../util/backoff.ts'
import { whenAborted } from '../util/signals.ts'
import { timedOut, tooMany } from './client-errors.ts'
import { type ConnectionEventMap, createClientEvents } from './client-events.ts'
import type { ClientSettings } from './client-settings.ts'
import { DEFAULT_CLOSE_MS, ManagedConnection } from './connection.ts'
import { pause } from './dialling.ts'
import type { BegunRequest, RequestOptions } from './link.ts'
import { requestRepeating } from './repeating.ts'
import { dropUnrequested } from './unrequested.ts'
import { within } from './within.ts'

/** Several connections to one place, opened when they are needed, which share the requests. */
export interface Pool<In, Out = In> extends AsyncDisposable {
  /** Connections that are open or being opened. */
  readonly size: number
  /** Requests that have not been answered. */
  readonly pending: number
  readonly events: Events<ConnectionEventMap<In>>
  /**
   * Asks on the connection with the fewest requests under way; when all have some and there may be more, on a new one.
   * A connection that breaks is replaced by the next request that needs it.
   * @throws SluiceError as `request` of a connection; and why no connection could be opened
   */
  request(value: Out, options?: RequestOptions<In>): Promise<In>
  /**
   * Refuses what is new, waits for the answers to what has been asked, and closes all connections.
   * @param options.deadline milliseconds for what is under way. Default 15,000
   */
  close(options?: { readonly deadline?: number }): Promise<void>
}

/** How large a pool may get, and how long it lives. */
export interface PoolBounds {
  readonly max: number
  /** Milliseconds; 0 is off. */
  readonly idleTimeout: number
  readonly signal: AbortSignal | undefined
}

/** The pool, of whatever settings. */
export class ConnectionPool<In, Out> implements Pool<In, Out> {
  pending = 0
  readonly events = createClientEvents<In>()
  readonly #settings: ClientSettings<In, Out>
  readonly #bounds: PoolBounds
  readonly #slots = new Set<Slot<In, Out>>()
  readonly #stop = new AbortController()
  #closing: Promise<void> | undefined = undefined
  #markIdle: (() => void) | undefined = undefined
  /** Nothing that is under way goes on. */
  #over = false

  constructor(settings: ClientSettings<In, Out>, bounds: PoolBounds) {
    this.#settings = settings
    this.#bounds = bounds
    const { signal } = bounds
    if (signal === undefined) return
    const forget = whenAborted(signal, () => {
      this.#stop.abort(signal.reason)
      void this.close({ deadline: 0 })
    })
    this.#stop.signal.addEventListener('abort', forget, { once: true })
  }

  get size(): number {
    return this.#usable().length
  }

  request(value: Out, options: RequestOptions<In> = {}): Promise<In> {
    return this.ask('value', value, options)
  }

  /** {@link Pool.request}, for any kind of content. */
  async ask(kind: PayloadKind, content: unknown, options: BegunRequest<In> = {}): Promise<In> {
    if (this.#closing !== undefined) throw poolClosed()
    const { timeout = this.#settings.requestTimeout, signal } = options
    const backoff = createBackoff(this.#settings.backoff)
    let slot: Slot<In, Out> | undefined
    this.pending++
    try {
      return await requestRepeating({ ...options, timeout }, async (left, attempt) => {
        this.#leave(slot)
        slot = undefined
        if (attempt > 1) await within(pause(backoff.next(), this.#stop.signal), left(), signal, noConnection)
        slot = this.#enter(this.#choose())
        let connection = slot.connection
        try {
          connection ??= await within(slot.opening, left(), signal, noConnection)
        } catch (thrown) {
          // Where it could not be opened, one that is open will do: nothing has been sent.
          const other = this.#leastBusy(this.#usable().filter((one) => one.connection !== undefined))
          if (other === undefined || this.#slots.has(slot)) throw thrown
          slot = this.#enter(other)
          connection = other.connection!
        }
        return connection.requestWithin(kind, content, options, left())
      })
    } finally {
      this.#leave(slot)
      this.pending--
      if (this.pending === 0) this.#markIdle?.()
    }
  }

  close({ deadline = DEFAULT_CLOSE_MS }: { readonly deadline?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(deadline)
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #close(deadline: number): Promise<void> {
    if (this.pending > 0 && deadline > 0) {
      const idle = new Promise<void>((resolve) => {
        this.#markIdle = resolve
      })
      await within(idle, deadline, undefined, poolClosed).catch(() => undefined)
    }
    this.#over = true
    await Promise.all([...this.#slots].map(({ connection }) => connection?.close({ deadline: 0 })))
    this.#stop.abort(poolClosed())
    // Those that were still being opened.
    await Promise.allSettled([...this.#slots].map(async ({ opening }) => (await opening).close({ deadline: 0 })))
    for (const { idle } of this.#slots) clearTimeout(idle)
    this.#slots.clear()
  }

  /** Those that are open or being opened. */
  #usable(): Slot<In, Out>[] {
    return [...this.#slots].filter(({ connection }) => connection === undefined || connection.state === 'open')
  }

  #choose(): Slot<In, Out> {
    if (this.#over) throw poolClosed()
    const usable = this.#usable()
    const best = this.#leastBusy(usable)
    if (best === undefined || (best.pending > 0 && usable.length < this.#bounds.max)) return this.#add()
    return best
  }

  #leastBusy(slots: readonly Slot<In, Out>[]): Slot<In, Out> | undefined {
    return slots.reduce<Slot<In, Out> | undefined>(
      (best, slot) => (best === undefined || slot.pending < best.pending ? slot : best),
      undefined,
    )
  }

  #add(): Slot<In, Out> {
    const { events } = this
    const opening = ManagedConnection.open(this.#settings, { reconnect: false, signal: this.#stop.signal, events })
    const slot: Slot<In, Out> = { opening, connection: undefined, pending: 0, idle: undefined }
    this.#slots.add(slot)
    opening.then(
      (connection) => this.#opened(slot, connection),
      () => this.#slots.delete(slot),
    )
    return slot
  }

  #opened(slot: Slot<In, Out>, connection: ManagedConnection<In, Out>): void {
    slot.connection = connection
    this.events.emit('connection.opened', { remote: connection.remote })
    void connection.closed.then(() => {
      clearTimeout(slot.idle)
      this.#slots.delete(slot)
    })
    void dropUnrequested(connection, this.events)
    this.#watchIdle(slot)
  }

  #enter(slot: Slot<In, Out>): Slot<In, Out> {
    const { maxPending } = this.#settings
    if (slot.pending >= maxPending) throw tooMany(maxPending)
    slot.pending++
    clearTimeout(slot.idle)
    return slot
  }

  #leave(slot: Slot<In, Out> | undefined): void {
    if (slot === undefined) return
    slot.pending--
    this.#watchIdle(slot)
  }

  #watchIdle(slot: Slot<In, Out>): void {
    const { idleTimeout } = this.#bounds
    if (slot.pending > 0 || slot.connection === undefined || idleTimeout === 0 || !this.#slots.has(slot)) return
    clearTimeout(slot.idle)
    slot.idle = setTimeout(() => void slot.connection?.close(), idleTimeout)
  }
}

/** A place for one connection. */
interface Slot<In, Out> {
  readonly opening: Promise<ManagedConnection<In, Out>>
  /** Undefined while it is being opened. */
  connection: ManagedConnection<In, Out> | undefined
  /** Requests that wait for it or on it. */
  pending: number
  idle: NodeJS.Timeout | undefined
}

function poolClosed(): SluiceError {
  return new SluiceError('connection_closed', 'the pool is closed', { hint: 'Make another one with createPool.' })
}

function noConnection(): SluiceError {
  return timedOut(
    'no connection was there in time to ask on',
    'Raise max, or see whether the other side can be reached.',
  )
}
