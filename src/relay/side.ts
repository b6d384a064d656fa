import type { Socket, SocketHandler } from '../contracts/transport.ts'

/** What a side of a relay tells of itself. */
export interface SideEvents {
  /** Before the bytes are handed on. */
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
  #reading = true
  /** All that it sent has been read. */
  ended = false
  closed = false

  constructor(socket: Socket, events: SideEvents) {
    this.socket = socket
    this.#events = events
  }

  /** @param other gets what this side reads; without one it is dropped */
  join(other: Side): void {
    this.#other = other
  }

  start(): void {
    this.socket.start(this)
  }

  /** Takes no more of what it sends, and tells the other side that this was all. */
  stopReading(): void {
    if (!this.#reading) return
    this.#reading = false
    // What comes is dropped and not left unread: closing a socket with unread bytes is a reset (RFC 2525, section 2.17).
    this.socket.resume()
    this.#other?.socket.end()
  }

  destroy(): void {
    this.socket.destroy()
  }

  onData(chunk: Buffer): void {
    if (!this.#reading || this.#other === undefined) return
    this.#events.data(chunk)
    if (this.#other.socket.write(chunk)) return
    this.socket.pause()
    this.#events.paused()
  }

  onEnd(): void {
    this.ended = true
    this.#reading = false
    this.#events.ended()
    this.#other?.socket.end()
  }

  onDrain(): void {
    this.#other?.socket.resume()
  }

  onClose(error: Error | undefined): void {
    this.closed = true
    // A paused other side would never tell that it has ended.
    this.#other?.socket.resume()
    this.#events.closed(error)
  }
}
