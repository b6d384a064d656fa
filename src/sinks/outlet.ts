import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { DialOptions, Socket, SocketHandler, Transport } from '../contracts/transport.ts'

/** What an outlet needs to know to connect. */
export type OutletTarget = Omit<DialOptions, 'socket'> & { readonly signal: AbortSignal }

/**
 * A connection that is only written to: made when bytes are to be sent and there is none, and made again when it was
 * lost. It does not try again by itself; whoever sends decides.
 */
export class Outlet {
  readonly #transport: Transport
  readonly #target: OutletTarget
  #link: Link | undefined
  #dialling: Promise<Link> | undefined
  readonly #abort = (): void => this.#link?.socket.destroy()

  constructor(transport: Transport, target: OutletTarget) {
    this.#transport = transport
    this.#target = target
    target.signal.addEventListener('abort', this.#abort)
  }

  /**
   * Sends bytes, in the order of the calls. They must not be changed before they were sent.
   * @returns resolves when the socket took them: at once, or after its drain while the other side is slow to read
   * @throws SluiceError `sink_unavailable`, retryable: nobody answers, or the connection broke before they were taken
   */
  async send(bytes: Buffer): Promise<void> {
    this.#dialling ??= this.#dial()
    const link = await this.#dialling
    await link.write(bytes)
  }

  /** Sends what is queued and ends the connection. Nothing may be sent any more. */
  async close(): Promise<void> {
    this.#target.signal.removeEventListener('abort', this.#abort)
    const link = this.#link
    if (link === undefined) return
    link.socket.end()
    const timer = setTimeout(() => link.socket.destroy(), LINGER_MS)
    await link.closed
    clearTimeout(timer)
  }

  async #dial(): Promise<Link> {
    try {
      const socket = await this.#transport.dial({
        ...this.#target,
        socket: { keepAlive: KEEP_ALIVE_MS, noDelay: true },
      })
      this.#link = new Link(socket, () => this.#lose())
      return this.#link
    } catch (error) {
      this.#dialling = undefined
      throw unavailable(error)
    }
  }

  #lose(): void {
    this.#link = undefined
    this.#dialling = undefined
  }
}

/** One connection of an outlet, from its begin to its close. */
class Link implements SocketHandler {
  readonly socket: Socket
  /** False from the moment at which either side has ended it. */
  open = true
  /** Why it closed, if it was not a clean close. */
  error: Error | undefined = undefined
  /** Resolves when both directions are closed. */
  readonly closed: Promise<void>
  readonly #close = Promise.withResolvers<void>()
  readonly #whenLost: () => void
  /** What waits for the socket's queue to empty. */
  #drain: PromiseWithResolvers<void> | undefined

  constructor(socket: Socket, whenLost: () => void) {
    this.socket = socket
    this.closed = this.#close.promise
    this.#whenLost = whenLost
    socket.start(this)
  }

  async write(bytes: Buffer): Promise<void> {
    // A socket drops what it is given between the moment at which it breaks and the turn in which it tells.
    const took = this.open && this.socket.writable && this.socket.write(bytes)
    if (!this.socket.writable) this.#lose()
    if (!this.open) throw unavailable(this.error)
    if (took) return
    this.#drain ??= Promise.withResolvers()
    await this.#drain.promise
  }

  /** Read and dropped, so that the other side is never blocked in a write. */
  onData(): void {}

  /** The other side will not read for long any more: what is queued still goes out, the next bytes take a new connection. */
  onEnd(): void {
    this.#lose()
    this.socket.end()
  }

  onDrain(): void {
    this.#drain?.resolve()
    this.#drain = undefined
  }

  onClose(error: Error | undefined): void {
    this.error = error
    this.#lose()
    this.#drain?.reject(unavailable(error))
    this.#close.resolve()
  }

  #lose(): void {
    if (!this.open) return
    this.open = false
    this.#whenLost()
  }
}

/** How long the other side may take to close after our end. */
const LINGER_MS = 2000

/** Silence after which the kernel asks whether the other side is still there. */
const KEEP_ALIVE_MS = 60_000

function unavailable(cause: unknown): SluiceError {
  const error = cause === undefined ? undefined : toSluiceError(cause, 'sink_unavailable')
  const hint = error?.hint === undefined ? {} : { hint: error.hint }
  const message = error?.message ?? 'the other side closed the connection'
  return new SluiceError('sink_unavailable', message, { cause, retryable: true, ...hint })
}
