import type { CloseReason } from '../contracts/errors.ts'
import type { Socket, SocketHandler } from '../contracts/transport.ts'
import type { Inspection } from './inspection.ts'

/** What a side of a relay tells of itself. */
export interface SideEvents {
  /** The bytes are on their way, or going to be looked at. */
  data(chunk: Buffer): void
  /** It is not read until the other side has taken what waits for it. */
  paused(): void
  /** Its FIN has come. */
  ended(): void
  closed(error: Error | undefined): void
}

/**
 * One of the two sockets of a relay: what it reads goes to the other. It holds nothing itself: what the other side
 * has not taken waits at that socket, at most one read, and in the kernel of whoever sends.
 */
export class Side implements SocketHandler {
  readonly socket: Socket
  readonly #events: SideEvents
  #other: Side | undefined = undefined
  /** Looks at what this side sends. */
  #inspection: Inspection | undefined = undefined
  #reading = true
  /** All that it sent has been read. */
  ended = false
  closed = false

  constructor(socket: Socket, events: SideEvents) {
    this.socket = socket
    this.#events = events
  }

  /**
   * @param other gets what this side reads; without one it is dropped
   * @param inspection gets it too, or alone where it is inline
   */
  join(other: Side, inspection: Inspection | undefined): void {
    this.#other = other
    this.#inspection = inspection
  }

  start(): void {
    this.socket.start(this)
  }

  /** Takes no more of what it sends, and tells the other side that this was all. */
  stopReading(reason: CloseReason): void {
    if (!this.#reading) return
    this.#reading = false
    // What comes is dropped and not left unread: closing a socket with unread bytes is a reset (RFC 2525, section 2.17).
    this.socket.resume()
    if (this.#inspection?.mode !== 'inline') this.#other?.socket.end()
    this.#inspection?.finish(reason)
  }

  destroy(): void {
    this.socket.destroy()
  }

  /** Ends it as a stream that broke, and must not look complete. */
  reset(): void {
    this.socket.reset()
  }

  onData(chunk: Buffer): void {
    if (!this.#reading || this.#other === undefined) return
    const inspection = this.#inspection
    // The bytes are on their way before anything looks at their copy.
    if (inspection?.mode !== 'inline' && !this.#other.socket.write(chunk)) {
      this.socket.pause()
      this.#events.paused()
    }
    this.#events.data(chunk)
    inspection?.read(chunk)
  }

  onEnd(): void {
    this.ended = true
    this.#reading = false
    this.#events.ended()
    if (this.#inspection?.mode !== 'inline') this.#other?.socket.end()
    this.#inspection?.readEnd()
  }

  onDrain(): void {
    const inspection = this.#other?.inspection
    if (inspection?.mode === 'inline') inspection.drained()
    else this.#other?.socket.resume()
  }

  get inspection(): Inspection | undefined {
    return this.#inspection
  }

  onClose(error: Error | undefined): void {
    this.closed = true
    // A paused other side would never tell that it has ended.
    this.#other?.socket.resume()
    // After its FIN what has come is finished, and then the inspection ends by itself.
    if (error !== undefined || !this.ended) this.#inspection?.close(error)
    const incoming = this.#other?.inspection
    // Nothing can be passed on to it any more; a copy goes on for as long as there is something to copy.
    if (incoming?.mode === 'inline') incoming.close(error)
    this.#events.closed(error)
  }
}
