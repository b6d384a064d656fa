import type { Socket as NetSocket } from 'node:net'
import type { Address } from '../contracts/client.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Socket, SocketHandler } from '../contracts/transport.ts'
import { type Handle, handleOf } from './handle.ts'
import { tlsBroken } from './tls-errors.ts'

export type { NetSocket }

/**
 * Takes over a socket that somebody else has accepted or connected. What it has read and not handed out is not lost.
 * @param stream belongs to the result from now on
 */
export function adoptSocket(stream: NetSocket): Socket {
  stream.pause()
  stream.allowHalfOpen = true
  return new SocketAdapter(stream)
}

/** Where a Node socket keeps the adapter that stands for it, so that one set of listeners serves every connection. */
const ADAPTER = Symbol('adapter')

type AdaptedSocket = NetSocket & { [ADAPTER]?: SocketAdapter }

/**
 * A socket of Node (`net` or `tls`) as a {@link Socket}.
 *
 * Thousands of idle connections are the normal case, so a connection costs this one small object: listeners are shared
 * functions, and addresses are asked for when somebody wants them.
 *
 * The Node socket must have been made with `allowHalfOpen` and must be paused; see {@link adoptSocket} for any other.
 */
export class SocketAdapter implements Socket {
  /** The Node socket underneath. A layer such as TLS may take it over instead of calling `start`. */
  readonly stream: NetSocket
  /** Path of the Unix socket that the connection goes through; undefined for TCP. */
  readonly #path: string | undefined
  #handler: SocketHandler | undefined = undefined
  /** What reads again at `wake`. */
  #resting: Handle | undefined = undefined
  /** What went wrong, for `onClose`. */
  #error: Error | undefined = undefined

  constructor(stream: NetSocket, path?: string) {
    this.stream = stream
    this.#path = path
    const adapted: AdaptedSocket = stream
    adapted[ADAPTER] = this
    // Without this listener a reset between accept and `start` would end the process.
    stream.on('error', onError)
  }

  get remote(): Address {
    if (this.#path !== undefined) return { ip: this.#path, port: 0 }
    return { ip: plainIp(this.stream.remoteAddress), port: this.stream.remotePort ?? 0 }
  }

  get local(): Address {
    if (this.#path !== undefined) return { ip: this.#path, port: 0 }
    return { ip: plainIp(this.stream.localAddress), port: this.stream.localPort ?? 0 }
  }

  get tls(): boolean {
    return (this.stream as NetSocket & { encrypted?: boolean }).encrypted === true
  }

  get queued(): number {
    return this.stream.writableLength
  }

  get writable(): boolean {
    return this.stream.writable
  }

  start(handler: SocketHandler): void {
    const stream = this.stream
    this.#handler = handler
    if (stream.closed) {
      queueMicrotask(() => this.reportClose())
      return
    }
    stream.on('data', onData)
    stream.on('end', onEnd)
    stream.on('drain', onDrain)
    stream.on('close', onClose)
    if (stream.readableEnded) queueMicrotask(() => handler.onEnd())
    stream.resume()
  }

  write(bytes: Buffer | string): boolean {
    // Node destroys a socket that is written to after its end. Here such bytes are dropped, as `onClose` will tell.
    return this.stream.writable ? this.stream.write(bytes) : true
  }

  pause(): void {
    this.stream.pause()
  }

  resume(): void {
    this.stream.resume()
  }

  /** `pause` of Node.js would read once more. Node.js does not learn of this, so it can go on as if nothing had been. */
  rest(): void {
    const handle = handleOf(this.stream)
    if (handle?.reading !== true) return
    handle.readStop()
    this.#resting = handle
  }

  wake(): void {
    const handle = this.#resting
    this.#resting = undefined
    if (handle === undefined || handle !== handleOf(this.stream)) return
    if (handle.reading && handle.readStart() < 0) this.stream.destroy(new Error('it cannot be read any more'))
  }

  end(): void {
    if (this.stream.writable) this.stream.end()
  }

  destroy(): void {
    this.stream.destroy()
  }

  reset(): void {
    // Node.js throws where the socket is of another kind than TCP.
    if (handleOf(this.stream)?.reset === undefined) this.stream.destroy()
    else this.stream.resetAndDestroy()
  }

  /** For the shared listeners below. */
  get handler(): SocketHandler {
    return this.#handler!
  }

  /** For the shared listeners below: the first error is the cause, later ones follow from it. */
  fail(error: Error): void {
    this.#error ??= error
    // Node.js leaves an encrypted one open that the other side has refused.
    this.stream.destroy()
  }

  /** For the shared listeners below. What ends because it broke is told as a close. */
  reportEnd(): void {
    if (this.#error === undefined) this.handler.onEnd()
  }

  /** For the shared listeners below. */
  reportClose(): void {
    this.handler.onClose(this.#error === undefined ? undefined : closeError(this.#error))
  }
}

function onData(this: AdaptedSocket, chunk: Buffer): void {
  this[ADAPTER]!.handler.onData(chunk)
}

function onEnd(this: AdaptedSocket): void {
  this[ADAPTER]!.reportEnd()
}

function onDrain(this: AdaptedSocket): void {
  this[ADAPTER]!.handler.onDrain()
}

function onError(this: AdaptedSocket, error: Error): void {
  this[ADAPTER]!.fail(error)
}

function onClose(this: AdaptedSocket): void {
  this[ADAPTER]!.reportClose()
}

/** A dual-stack listener sees IPv4 peers as `::ffff:10.0.0.7` (RFC 4291, section 2.5.5.2); people write `10.0.0.7`. */
function plainIp(ip: string | undefined): string {
  if (ip === undefined) return ''
  return ip.startsWith('::ffff:') && ip.includes('.') ? ip.slice(7) : ip
}

/** What ended a connection that was open, in the terms of this project. */
function closeError(error: Error): SluiceError {
  const code = (error as NodeJS.ErrnoException).code ?? ''
  const options = { cause: error, retryable: true }
  if (code === 'ECONNRESET' || code === 'EPIPE') {
    return new SluiceError('connection_reset', 'the other side reset the connection', options)
  }
  if (code === 'ETIMEDOUT' || code === 'EHOSTUNREACH' || code === 'ENETUNREACH') {
    return new SluiceError('connection_timeout', 'the other side no longer answers', options)
  }
  if (code.startsWith('ERR_SSL') || code.startsWith('ERR_TLS')) {
    return tlsBroken(error)
  }
  return new SluiceError('connection_reset', `the connection broke (${error.message})`, options)
}
