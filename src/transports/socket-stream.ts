import { Duplex } from 'node:stream'
import type { Socket } from '../contracts/transport.ts'
import { SocketAdapter } from './net-socket.ts'

/** A socket as a stream of Node: its own where it has one. The socket must not have been started. */
export function streamOf(socket: Socket): Duplex {
  return socket instanceof SocketAdapter ? socket.stream : new SocketStream(socket)
}

/**
 * Any {@link Socket} as a stream of Node, for what takes only streams. It starts the socket, passes backpressure and
 * half-close both ways, and ends with it.
 */
class SocketStream extends Duplex {
  readonly #socket: Socket
  #waiting: (() => void) | undefined = undefined

  constructor(socket: Socket) {
    // It closes when the socket does: what has been written may not have left when both sides have ended.
    super({ allowHalfOpen: true, autoDestroy: false })
    this.#socket = socket
    // An error is told by `close`; a stream without this listener would end the process.
    this.on('error', () => {})
    socket.start({
      onData: (chunk) => {
        if (!this.push(chunk)) socket.pause()
      },
      onEnd: () => this.push(null),
      onDrain: () => this.#drained(),
      onClose: (error) => this.destroy(error),
    })
  }

  override _read(): void {
    this.#socket.resume()
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    // Bytes for a socket that broke are never called sent; its close, which is about to come, ends this stream.
    const took = this.#socket.writable && this.#socket.write(chunk)
    if (took && this.#socket.writable) done()
    else this.#waiting = done
  }

  override _final(done: () => void): void {
    this.#socket.end()
    done()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.destroy()
    done(error)
  }

  #drained(): void {
    const done = this.#waiting
    this.#waiting = undefined
    done?.()
  }
}
