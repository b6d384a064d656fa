import type { PayloadKind } from '../contracts/client.ts'
import { type Codec, encodeContent } from '../contracts/codec.ts'
import { notices, SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Frames } from '../contracts/framing.ts'
import type { Socket, SocketHandler } from '../contracts/transport.ts'
import { type FrameReceiver, Framer } from '../engine/framer.ts'
import { ByteWriter } from '../util/byte-writer.ts'

/** The near end of a connection that this program has dialled: framed and typed. */
export interface Dialled<In, Out = In> extends AsyncIterable<In>, AsyncDisposable {
  /** Address of the other side, as `ip` and `port`. */
  readonly remote: Socket['remote']
  /** True once either side has closed. */
  readonly closed: boolean
  /**
   * Sends a value, formatted and framed.
   * @returns when the operating system has taken the bytes
   * @throws SluiceError `client_gone` when the connection has closed, or what format and framing say
   */
  send(value: Out): Promise<void>
  /** Sends text that is framed but not formatted. */
  sendText(text: string): Promise<void>
  /** Sends bytes as they are. */
  sendRaw(bytes: string | Buffer): Promise<void>
  /**
   * Sends a value and waits for the next message that is not the answer to an earlier request. A request that was given
   * up still has its answer to come: the message that would have been it is dropped. Where the other side may leave a
   * request unanswered altogether, close the connection after a timeout, for nothing tells its answers apart.
   * @param options.timeout milliseconds, default 10,000
   * @throws SluiceError `connection_timeout` when no answer comes in time, `client_gone` when the connection closes first
   */
  request(value: Out, options?: { readonly timeout?: number }): Promise<In>
  /** The next message; undefined when the connection has ended. @throws SluiceError what made the stream unreadable */
  receive(): Promise<In | undefined>
  /** Sends FIN after what is queued and resolves when the connection has closed. Reading goes on until then. */
  close(): Promise<void>
}

/** Messages that wait for a reader before the socket is paused; it reads on when half of them are left. */
const MAX_WAITING = 1024

/** The same, as bytes of their frames. */
const MAX_WAITING_BYTES = 1024 * 1024

/** Milliseconds that the other side has to answer our FIN. */
const CLOSE_MS = 2000

interface Waiter<T> {
  resolve(value: T | undefined): void
  reject(error: SluiceError): void
  /** A request is answered before a reader is served. */
  readonly request: boolean
}

/**
 * Frames and types a socket that has been dialled.
 * @param incoming framing and format of what arrives
 * @param outgoing framing and format of what is sent
 * @param maxLength longest frame in bytes
 */
export function createDialled<In, Out>(
  socket: Socket,
  incoming: Codec,
  outgoing: Codec,
  maxLength: number,
): Dialled<In, Out> {
  return new DialledSocket<In, Out>(socket, incoming, outgoing, maxLength)
}

class DialledSocket<In, Out> implements Dialled<In, Out>, SocketHandler, FrameReceiver {
  closed = false
  readonly remote: Socket['remote']
  readonly #socket: Socket
  readonly #incoming: Codec
  readonly #outgoing: Codec
  readonly #framer: Framer
  readonly #messages: { readonly message: In; readonly bytes: number }[] = []
  /** Length of the frames of the messages that wait for a reader. */
  #waitingBytes = 0
  #paused = false
  readonly #waiters: Waiter<In>[] = []
  readonly #whenClosed: Promise<void>
  #markClosed!: () => void
  #failure: SluiceError | undefined = undefined
  #writable: Promise<void> | undefined = undefined
  #markWritable: (() => void) | undefined = undefined
  #ended = false

  constructor(socket: Socket, incoming: Codec, outgoing: Codec, maxLength: number) {
    this.#socket = socket
    this.remote = socket.remote
    this.#incoming = incoming
    this.#outgoing = outgoing
    this.#framer = new Framer(incoming.framing.createDecoder(maxLength), maxLength)
    this.#whenClosed = new Promise((resolve) => {
      this.#markClosed = resolve
    })
    socket.start(this)
  }

  send(value: Out): Promise<void> {
    return this.#send('value', value)
  }

  sendText(text: string): Promise<void> {
    return this.#send('text', text)
  }

  sendRaw(bytes: string | Buffer): Promise<void> {
    return this.#send('raw', bytes)
  }

  async request(value: Out, { timeout = 10_000 }: { readonly timeout?: number } = {}): Promise<In> {
    const { promise, waiter } = this.#wait(true)
    // It stays in line, so that its answer, when it comes, is not given to the next request.
    const timer = setTimeout(() => {
      waiter.reject(new SluiceError('connection_timeout', `no answer came within ${timeout} ms`, { retryable: true }))
    }, timeout)
    const sent = this.send(value).catch((thrown: unknown) => {
      // Nothing was asked, so nothing will be answered.
      const index = this.#waiters.indexOf(waiter)
      if (index >= 0) this.#waiters.splice(index, 1)
      throw thrown
    })
    try {
      const [message] = await Promise.all([promise, sent])
      if (message === undefined) throw this.#gone()
      return message
    } finally {
      clearTimeout(timer)
    }
  }

  receive(): Promise<In | undefined> {
    const next = this.#messages.shift()
    if (next !== undefined) {
      this.#waitingBytes -= next.bytes
      if (this.#paused && this.#messages.length <= MAX_WAITING / 2 && this.#waitingBytes <= MAX_WAITING_BYTES / 2) {
        this.#paused = false
        this.#socket.resume()
      }
      return Promise.resolve(next.message)
    }
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    return this.#ended ? Promise.resolve(undefined) : this.#wait(false).promise
  }

  async *[Symbol.asyncIterator](): AsyncIterator<In> {
    for (let message = await this.receive(); message !== undefined; message = await this.receive()) yield message
  }

  async close(): Promise<void> {
    if (this.closed) return
    this.#socket.end()
    const timer = setTimeout(() => this.#socket.destroy(), CLOSE_MS)
    await this.#whenClosed
    clearTimeout(timer)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  onData(chunk: Buffer): void {
    this.#framer.feed(chunk, this)
  }

  takeFrames(frames: Frames): void {
    if (this.#failure === undefined) this.#take(frames)
  }

  onEnd(): void {
    this.#take(this.#framer.end())
    this.#end()
    this.#socket.end()
  }

  onQuiet(): boolean {
    if (this.#ended) return false
    if (!this.#paused) this.#take(this.#framer.end())
    return this.#paused
  }

  onDrain(): void {
    this.#markWritable?.()
    this.#writable = undefined
    this.#markWritable = undefined
  }

  onClose(error: Error | undefined): void {
    this.closed = true
    if (error !== undefined && !this.#ended) this.#failure ??= toSluiceError(error, 'connection_reset')
    this.onDrain()
    this.#end()
    this.#markClosed()
  }

  async #send(kind: PayloadKind, content: unknown): Promise<void> {
    if (this.closed || this.#ended) throw this.#gone()
    const writer = new ByteWriter()
    encodeContent(kind, content, this.#outgoing, writer)
    if (this.#socket.write(writer.take())) return
    this.#writable ??= new Promise((resolve) => {
      this.#markWritable = resolve
    })
    await this.#writable
    if (this.closed) throw this.#gone()
  }

  #take(frames: Frames): void {
    const { bytes, starts, ends, errors } = frames
    for (let i = 0; i < starts.length; i++) {
      const error = errors?.get(i)
      if (error !== undefined && error.code !== 'frame_cut') {
        if (!notices.has(error.code)) this.#failure ??= error
        continue
      }
      try {
        const message = this.#incoming.format.parse(bytes, starts[i]!, ends[i]!) as In
        this.#deliver(message, ends[i]! - starts[i]!)
      } catch (thrown) {
        this.#failure ??= toSluiceError(thrown, 'format_invalid')
      }
    }
    if (this.#failure !== undefined) {
      this.#socket.destroy()
    } else if (this.#messages.length > MAX_WAITING || this.#waitingBytes > MAX_WAITING_BYTES) {
      this.#paused = true
      this.#socket.pause()
    }
  }

  #deliver(message: In, bytes: number): void {
    const request = this.#waiters.findIndex((waiter) => waiter.request)
    const [waiter] = this.#waiters.splice(Math.max(request, 0), 1)
    if (waiter !== undefined) {
      waiter.resolve(message)
      return
    }
    this.#messages.push({ message, bytes })
    this.#waitingBytes += bytes
  }

  #wait(request: boolean): { readonly promise: Promise<In | undefined>; readonly waiter: Waiter<In> } {
    const { promise, resolve, reject } = Promise.withResolvers<In | undefined>()
    // A request that fails while its send still waits must not count as unhandled.
    promise.catch(() => undefined)
    const waiter: Waiter<In> = { resolve, reject, request }
    if (this.#ended) resolve(undefined)
    else this.#waiters.push(waiter)
    return { promise, waiter }
  }

  #end(): void {
    this.#ended = true
    for (const waiter of this.#waiters.splice(0)) {
      if (this.#failure !== undefined) waiter.reject(this.#failure)
      else waiter.resolve(undefined)
    }
  }

  #gone(): SluiceError {
    return this.#failure ?? new SluiceError('client_gone', 'the connection has closed')
  }
}
