import type { PayloadKind } from '../contracts/client.ts'
import { whenAborted, whenStopped } from '../util/signals.ts'
import { timedOut } from './client-errors.ts'
import { createClientEvents } from './client-events.ts'
import type { ClientSettings } from './client-settings.ts'
import { ManagedConnection } from './connection.ts'
import type { BegunRequest } from './link.ts'
import { requestRepeating } from './repeating.ts'
import { dropUnrequested } from './unrequested.ts'
import { within } from './within.ts'

/** Asks each request on a connection of its own, which ends behind the answer: for servers that close then anyway. */
export class SingleUse<In, Out> {
  readonly events = createClientEvents<In>()
  readonly #settings: ClientSettings<In, Out>
  readonly #stop = new AbortController()

  /** @param signal ends everything at once */
  constructor(settings: ClientSettings<In, Out>, signal: AbortSignal) {
    this.#settings = settings
    const forget = whenAborted(signal, () => this.close())
    this.#stop.signal.addEventListener('abort', forget, { once: true })
  }

  /**
   * As `request` of a connection, for any kind of content.
   * @param onEnd called once, when the connection has ended, or there was none: a little after the answer
   */
  async ask(kind: PayloadKind, content: unknown, options: BegunRequest<In>, onEnd: () => void): Promise<In> {
    const { timeout = this.#settings.requestTimeout, signal } = options
    let ended: Promise<unknown> | undefined
    try {
      return await requestRepeating({ ...options, timeout }, async (left) => {
        const connection = await this.#open(left(), signal)
        try {
          return await connection.requestWithin(kind, content, options, left())
        } finally {
          ended = connection.close({ deadline: 0 })
        }
      })
    } finally {
      if (ended === undefined) onEnd()
      else void ended.then(onEnd)
    }
  }

  /** Ends all connections at once. */
  close(): void {
    this.#stop.abort()
  }

  /** @param left milliseconds; 0 is off */
  async #open(left: number, signal: AbortSignal | undefined): Promise<ManagedConnection<In, Out>> {
    const given = new AbortController()
    const forget = whenStopped(this.#stop.signal, () => given.abort(this.#stop.signal.reason))
    const { events } = this
    const opening = ManagedConnection.open(this.#settings, { reconnect: false, signal: given.signal, events })
    opening.then(({ closed }) => closed.then(forget), forget)
    try {
      const connection = await within(opening, left, signal, () =>
        timedOut('no connection was there in time to ask on'),
      )
      events.emit('connection.opened', { remote: connection.remote })
      void dropUnrequested(connection, events)
      return connection
    } catch (thrown) {
      given.abort(thrown)
      opening.catch(() => undefined)
      throw thrown
    }
  }
}
