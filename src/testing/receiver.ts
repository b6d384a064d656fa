import type { Socket, SocketHandler } from '../contracts/transport.ts'

/** Starts a socket and records everything that it tells, for tests. */
export class Receiver implements SocketHandler {
  readonly socket: Socket
  /** Names of the calls in their order: data, end, drain, close. */
  readonly calls: ('data' | 'end' | 'drain' | 'close')[] = []
  /** Called for each chunk, after it was recorded. */
  whenData: (chunk: Buffer) => void = () => {}
  /** Bytes received so far. */
  length = 0
  /** Resolves when the other side has sent its end. */
  readonly ended: Promise<void>
  /** Resolves with the error of the close, or undefined when it was clean. */
  readonly closed: Promise<Error | undefined>
  readonly #chunks: Buffer[] = []
  readonly #end = Promise.withResolvers<void>()
  readonly #close = Promise.withResolvers<Error | undefined>()
  #arrival = Promise.withResolvers<void>()
  #drain = Promise.withResolvers<void>()

  constructor(socket: Socket) {
    this.socket = socket
    this.ended = this.#end.promise
    this.closed = this.#close.promise
    socket.start(this)
  }

  get chunks(): readonly Buffer[] {
    return this.#chunks
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks)
  }

  get text(): string {
    return this.bytes.toString()
  }

  /** Waits until this many bytes have arrived in all. */
  async received(length: number): Promise<void> {
    while (this.length < length) await this.#arrival.promise
  }

  /** Waits for the next `onDrain`. */
  drained(): Promise<void> {
    return this.#drain.promise
  }

  onData(chunk: Buffer): void {
    this.calls.push('data')
    this.#chunks.push(chunk)
    this.length += chunk.length
    this.#arrival.resolve()
    this.#arrival = Promise.withResolvers()
    this.whenData(chunk)
  }

  onEnd(): void {
    this.calls.push('end')
    this.#end.resolve()
  }

  onDrain(): void {
    this.calls.push('drain')
    this.#drain.resolve()
    this.#drain = Promise.withResolvers()
  }

  onClose(error: Error | undefined): void {
    this.calls.push('close')
    this.#close.resolve(error)
  }
}
