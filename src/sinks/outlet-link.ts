import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { DialOptions, Socket, SocketHandler, TlsLayer, Transport } from '../contracts/transport.ts'
import { dialSecured } from '../wire/dialling.ts'

/** What is needed to connect. */
export type OutletTarget = Omit<DialOptions, 'socket'> & {
  readonly signal: AbortSignal
  readonly tls: TlsLayer | undefined
}

/**
 * Connects.
 * @param whenLost called once, when either side has ended the connection or it broke
 * @throws SluiceError `sink_unavailable`, retryable
 */
export async function dialLink(transport: Transport, target: OutletTarget, whenLost = () => {}): Promise<Link> {
  try {
    const { tls, ...dial } = target
    const socket = await dialSecured(transport, { ...dial, socket: { keepAlive: KEEP_ALIVE_MS, noDelay: true } }, tls)
    return new Link(socket, whenLost)
  } catch (error) {
    throw unavailable(error)
  }
}

/** One connection that is only written to, from its begin to its close. */
export class Link implements SocketHandler {
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

  /**
   * Sends what is queued and FIN, and waits until the other side has closed too; after `patience` milliseconds it is closed
   * all the same. Never rejects.
   * @returns how many bytes it had not taken by then
   */
  async end(patience: number): Promise<number> {
    let left = 0
    this.socket.end()
    const timer = setTimeout(() => {
      left = this.socket.queued
      this.socket.destroy()
    }, patience)
    await this.closed
    clearTimeout(timer)
    return left
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
export const LINGER_MS = 2000

/** Silence after which the kernel asks whether the other side is still there. */
const KEEP_ALIVE_MS = 60_000

/** Any cause as an error that is worth another attempt. */
export function unavailable(cause: unknown): SluiceError {
  const error = cause === undefined ? undefined : toSluiceError(cause, 'sink_unavailable')
  const hint = error?.hint === undefined ? {} : { hint: error.hint }
  const message = error?.message ?? 'the other side closed the connection'
  return new SluiceError('sink_unavailable', message, { cause, retryable: true, ...hint })
}
