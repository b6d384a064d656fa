import type { Address, PayloadKind } from '../contracts/client.ts'
import { encodeContent } from '../contracts/codec.ts'
import { notices, type SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Frames } from '../contracts/framing.ts'
import type { Socket, SocketHandler } from '../contracts/transport.ts'
import { ByteWriter } from '../util/byte-writer.ts'
import { whenAborted } from '../util/signals.ts'
import { closed, lost, timedOut, tooMany } from './client-errors.ts'
import type { ClientSettings } from './client-settings.ts'
import { type FrameReceiver, Framer } from './framer.ts'
import { Inbox } from './inbox.ts'
import type { Link, LinkListener, RequestOptions, WaitOptions } from './link.ts'
import { Request, Requests } from './requests.ts'
import { toMilliseconds, within } from './within.ts'

/** One socket, framed and typed, from its beginning to its end. */
export class SocketLink<In, Out> implements Link<In, Out>, SocketHandler, FrameReceiver {
  readonly remote: Address
  /** Resolves when the socket has closed. */
  readonly gone: Promise<void>
  listener: LinkListener<In> | undefined = undefined
  readonly #socket: Socket
  readonly #settings: ClientSettings<In, Out>
  readonly #framer: Framer
  readonly #requests: Requests<In>
  #inbox = new Inbox<In>()
  readonly #out = new ByteWriter()
  /** For one message, because a framing may write half of it before it throws. */
  readonly #single = new ByteWriter()
  #flushing = false
  /** When the first of what will leave with the next write was sent, of `performance.now()`. */
  #turn = 0
  /** Settles when what has been sent is taken; undefined while nobody waits for that. */
  #taken: PromiseWithResolvers<void> | undefined = undefined
  #sends = 0
  #paused = false
  #closing = false
  /** Set once nothing can be asked any more. */
  #end: { readonly error: SluiceError | undefined } | undefined = undefined
  #markGone!: () => void
  #wake: (() => void) | undefined = undefined

  constructor(socket: Socket, settings: ClientSettings<In, Out>) {
    const { incoming, maxFrameLength, idOf, maxPending, whenTimedOut } = settings
    this.#socket = socket
    this.remote = socket.remote
    this.#settings = settings
    this.#framer = new Framer(incoming.framing.createDecoder(maxFrameLength), maxFrameLength)
    this.#requests = new Requests(idOf?.in, whenTimedOut === 'forget' ? 0 : maxPending)
    this.#requests.onIdle = () => this.#wake?.()
    this.#requests.onOverdue = (request) => this.#giveUp(request, this.#timedOut(request))
    this.gone = new Promise((resolve) => {
      this.#markGone = resolve
    })
    this.#inbox.onRoom = () => this.#resume()
    socket.start(this)
  }

  /** Whether something can be sent. It may be false a moment before the listener is told. */
  get usable(): boolean {
    return this.#end === undefined && !this.#closing && this.#socket.writable
  }

  /** Undefined while it is open. */
  get end(): { readonly error: SluiceError | undefined } | undefined {
    return this.#end
  }

  send(value: Out, options?: WaitOptions): Promise<void> {
    return this.write('value', value, options)
  }

  sendText(text: string, options?: WaitOptions): Promise<void> {
    return this.write('text', text, options)
  }

  sendRaw(bytes: string | Buffer, options?: WaitOptions): Promise<void> {
    return this.write('raw', bytes, options)
  }

  /** {@link Link.send}, for any kind of content. */
  async write(kind: PayloadKind, content: unknown, { timeout = 0, signal }: WaitOptions = {}): Promise<void> {
    const time = toMilliseconds(timeout)
    signal?.throwIfAborted()
    this.#encode(kind, content)
    this.#sends++
    if (this.#taken === undefined) {
      this.#taken = Promise.withResolvers()
      // Whoever waits for it handles it; some may have gone.
      this.#taken.promise.catch(() => undefined)
    }
    await within(this.#taken.promise, time, signal, () =>
      timedOut(`the other side did not take what was sent within ${time} ms`),
    )
  }

  request(value: Out, options: RequestOptions<In> = {}): Promise<In> {
    return this.requestWithin('value', value, options)
  }

  /**
   * {@link Link.request}, for any kind of content, of which a part of the time may be over already.
   * @param left milliseconds of it; default all
   */
  requestWithin(
    kind: PayloadKind,
    content: unknown,
    { signal, match, timeout: time }: RequestOptions<In>,
    left?: number,
  ): Promise<In> {
    return new Promise((resolve, reject) => {
      // What is thrown in here rejects.
      const timeout = time === undefined ? this.#settings.requestTimeout : toMilliseconds(time)
      signal?.throwIfAborted()
      const id = match === undefined && kind === 'value' ? this.#settings.idOf?.out(content as Out) : undefined
      this.#encode(kind, content)
      const deadline = timeout === 0 ? undefined : this.#turn + (left ?? timeout)
      const request = new Request({ id, match, timeout, deadline }, resolve, reject)
      this.#requests.add(request)
      if (signal === undefined) return
      request.forget = whenAborted(signal, () => this.#giveUp(request, signal.reason))
    })
  }

  receive(options: WaitOptions = {}): Promise<In | undefined> {
    return this.#inbox.receive(options)
  }

  [Symbol.asyncIterator](): AsyncIterator<In> {
    return this.#inbox.read()
  }

  /** From now on messages that answer no request go there, those first that wait here. */
  deliverTo(inbox: Inbox<In>): void {
    this.#inbox.moveTo(inbox)
    this.#inbox = inbox
    inbox.onRoom = () => this.#resume()
    if (inbox.isFull) this.#pause()
    else this.#resume()
  }

  /**
   * Waits for what is under way, sends FIN and resolves when the connection has closed; reading goes on until then.
   * @param deadline milliseconds for what is under way
   */
  async close(deadline: number): Promise<void> {
    this.#closing = true
    const late = Promise.withResolvers<void>()
    const timer = setTimeout(late.resolve, deadline)
    while (deadline > 0 && this.#end === undefined && (this.#requests.open > 0 || this.#sends > 0)) {
      const idle = new Promise<void>((resolve) => {
        this.#wake = resolve
      })
      if (await Promise.race([idle.then(() => false), late.promise.then(() => true)])) break
    }
    clearTimeout(timer)
    this.#requests.failAll(lost('it was closed here'))
    this.#flush()
    this.#finish()
    await this.gone
  }

  /** Ends the connection at once. */
  fail(error: SluiceError): void {
    this.#lose(error)
    this.#socket.destroy()
  }

  onData(chunk: Buffer): void {
    this.#framer.feed(chunk, this)
  }

  takeFrames(frames: Frames): void {
    const { bytes, starts, ends, errors } = frames
    for (let i = 0; i < starts.length && this.#end === undefined; i++) {
      const error = errors?.get(i)
      if (error === undefined || error.code === 'frame_cut') this.#takeFrame(bytes, starts[i]!, ends[i]!)
      else if (!notices.has(error.code)) this.#takeError(error)
    }
    if (this.#framer.broken !== undefined) this.fail(this.#framer.broken)
    else if (this.#inbox.isFull) this.#pause()
  }

  onEnd(): void {
    this.takeFrames(this.#framer.end())
    this.#flush()
    this.#lose(undefined)
    this.#finish()
  }

  onQuiet(): boolean {
    if (this.#end !== undefined) return false
    if (!this.#paused) this.takeFrames(this.#framer.end())
    return this.#paused
  }

  onDrain(): void {
    // What has not been written yet is not taken; the write will tell.
    if (this.#flushing) return
    this.#taken?.resolve()
    this.#taken = undefined
    this.#sends = 0
    this.#wake?.()
  }

  onClose(error: Error | undefined): void {
    this.#lose(error === undefined ? undefined : toSluiceError(error, 'connection_reset'))
    this.#markGone()
  }

  #encode(kind: PayloadKind, content: unknown): void {
    const { outgoing, maxPending } = this.#settings
    if (!this.usable) throw closed(this.#end?.error, true)
    if (this.#requests.size + this.#sends >= maxPending) throw tooMany(maxPending)
    try {
      encodeContent(kind, content, outgoing, this.#single)
    } catch (thrown) {
      this.#single.take()
      throw thrown
    }
    this.#out.write(this.#single.takePiece())
    if (this.#flushing) return
    this.#flushing = true
    this.#turn = performance.now()
    // What is sent in one turn leaves with one write.
    process.nextTick(() => this.#flush())
  }

  #flush(): void {
    this.#flushing = false
    if (!this.#out.empty && this.#socket.write(this.#out.take())) this.onDrain()
  }

  #takeFrame(bytes: Buffer, start: number, end: number): void {
    let message: In
    try {
      message = this.#settings.incoming.format.parse(bytes, start, end) as In
    } catch (thrown) {
      this.#takeError(toSluiceError(thrown, 'format_invalid'))
      return
    }
    const taken = this.#requests.take(message)
    if (taken === 'unrequested') this.#inbox.push(message, end - start)
    else if (taken === 'late') this.listener?.onLate(message)
  }

  #takeError(error: SluiceError): void {
    if (this.#requests.takeError(error) === 'unrequested') this.#inbox.pushError(error)
  }

  #giveUp(request: Request<In>, error: unknown): void {
    this.#requests.giveUp(request, error)
    if (this.#settings.whenTimedOut === 'close')
      this.fail(lost('another request on it was given up, and its late answer could be taken for this one'))
  }

  #timedOut(request: Request<In>): SluiceError {
    const error = this.#requests.timedOut(request)
    if (!this.#paused) return error
    const text = `${error.message}; ${this.#inbox.size} messages wait that nobody reads, so nothing more is read`
    return timedOut(text, 'Read what answers no request, with receive or for await.')
  }

  #pause(): void {
    if (this.#paused || this.#end !== undefined) return
    this.#paused = true
    this.#socket.pause()
  }

  #resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#socket.resume()
  }

  /** Nothing more can be asked. */
  #lose(error: SluiceError | undefined): void {
    if (this.#end !== undefined) return
    this.#end = { error }
    const why = lost(
      error?.message ?? (this.#closing ? 'it was closed here' : 'the other side closed the connection'),
      error,
    )
    this.#requests.failAll(why)
    this.#taken?.reject(why)
    this.#taken = undefined
    this.#sends = 0
    this.#wake?.()
    this.#inbox.onRoom = undefined
    this.listener?.onLost(error)
    // Where nobody has taken the messages over, whoever reads here is told.
    if (this.listener === undefined) this.#inbox.end(error)
  }

  #finish(): void {
    this.#socket.end()
    const timer = setTimeout(() => this.#socket.destroy(), CLOSE_MS)
    void this.gone.then(() => clearTimeout(timer))
  }
}

/** Milliseconds that the other side has to answer our FIN. */
const CLOSE_MS = 2000
