import { constants } from 'node:crypto'
import { EventEmitter } from 'node:events'
import { isIP } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect, createSecureContext, createServer, type Server, type TLSSocket } from 'node:tls'
import type { Address } from '../contracts/client.ts'
import type { ClientTlsOptions, Socket, TlsLayer, TlsOptions } from '../contracts/transport.ts'
import { SocketAdapter } from './net-socket.ts'
import { streamOf } from './socket-stream.ts'
import { handshakeTimedOut, tlsError } from './tls-errors.ts'

export interface ServerTlsOptions extends TlsOptions {
  /** The certificate, followed by intermediate ones. */
  readonly cert: string
  readonly key: string
  /** Passphrase of an encrypted key. */
  readonly passphrase?: string
  /** Whether clients must prove who they are with a certificate signed by `ca`. Default: true exactly when `ca` is given. */
  readonly requireClientCert?: boolean
  /** 48 bytes that encrypt session tickets; equal in all processes that share a port. Default: random. */
  readonly ticketKeys?: Buffer
}

/**
 * TLS for connections that were accepted. A client has 5 s for its handshake; renegotiation is off.
 * @throws SluiceError `tls_failed` when certificate and key cannot be used
 */
export function createServerTls(options: ServerTlsOptions): TlsLayer {
  const { ca, handshakeTimeout = HANDSHAKE_TIMEOUT, requireClientCert = ca !== undefined } = options
  const server = readable(() =>
    createServer({
      ...contextOptions(options),
      cert: options.cert,
      key: options.key,
      ...(options.ticketKeys && { ticketKeys: options.ticketKeys }),
      requestCert: requireClientCert,
      rejectUnauthorized: requireClientCert,
    }),
  )
  return {
    secure: (socket) =>
      handshake(socket, handshakeTimeout, (raw, result) => {
        const closed = () => result.fail(undefined)
        raw.once('close', closed)
        // Documented: a stream may be handed to a TLS server that does not listen itself.
        EventEmitter.prototype.emit.call(forOneHandshake(server, result), 'connection', raw)
        return () => raw.off('close', closed)
      }),
  }
}

/**
 * TLS for connections that we dial.
 * @throws SluiceError `tls_failed` when a certificate or key cannot be used
 */
export function createClientTls(options: ClientTlsOptions = {}): TlsLayer {
  const { handshakeTimeout = HANDSHAKE_TIMEOUT, verify = true } = options
  const secureContext = readable(() =>
    createSecureContext({
      ...contextOptions(options),
      ...(options.cert !== undefined && { cert: options.cert }),
      ...(options.key !== undefined && { key: options.key }),
    }),
  )
  return {
    secure(socket) {
      const name = options.servername ?? socket.remote.ip
      return handshake(socket, handshakeTimeout, (raw, result) => {
        const stream = connect({
          socket: raw,
          secureContext,
          host: name,
          // An IP address must not be sent as a server name (RFC 6066, section 3).
          servername: isIP(name) === 0 ? name : '',
          rejectUnauthorized: verify,
        })
        stream.disableRenegotiation()
        const failed = (error: Error) => result.fail(error)
        const closed = () => result.fail(undefined)
        stream.on('error', failed)
        stream.once('close', closed)
        stream.once('secureConnect', () => result.succeed(stream))
        return () => {
          stream.off('close', closed)
          // The listener for errors stays until the adapter has its own.
          setImmediate(() => stream.off('error', failed))
        }
      })
    },
  }
}

const HANDSHAKE_TIMEOUT = 5000

/** What becomes of one handshake. Only the first call counts. */
interface Handshake {
  succeed(stream: TLSSocket): void
  /** @param error undefined when the connection just ended */
  fail(error: Error | undefined): void
}

/**
 * Runs a handshake to its end or its deadline, and destroys the connection if it fails.
 * @param begin starts it and returns what to undo when it is over
 */
function handshake(
  socket: Socket,
  timeout: number,
  begin: (raw: Duplex, result: Handshake) => () => unknown,
): Promise<Socket> {
  const raw = streamOf(socket)
  if (raw.destroyed) return Promise.reject(tlsError(undefined))
  const { promise, resolve, reject } = Promise.withResolvers<Socket>()
  let over = false
  let finish: () => unknown = () => {}
  const settle = (how: () => void) => {
    if (over) return
    over = true
    clearTimeout(timer)
    finish()
    how()
  }
  const refuse = (error: Error) => {
    raw.destroy()
    reject(error)
  }
  // Node's own deadline reports but does not close, and every byte prolongs it.
  const timer = setTimeout(() => settle(() => refuse(handshakeTimedOut(timeout))), timeout)
  // A side that ends before it has finished its handshake has gone; both streams may be half-open again afterwards.
  raw.allowHalfOpen = false
  finish = begin(raw, {
    succeed: (stream) =>
      settle(() => {
        raw.allowHalfOpen = true
        stream.allowHalfOpen = true
        resolve(new TlsSocket(stream, socket))
      }),
    fail: (error) => settle(() => refuse(tlsError(error))),
  })
  return promise
}

/** An encrypted connection: the addresses are those of the connection underneath. */
class TlsSocket extends SocketAdapter {
  readonly #raw: Socket

  constructor(stream: TLSSocket, raw: Socket) {
    super(stream)
    this.#raw = raw
    stream.pause()
  }

  override get remote(): Address {
    return this.#raw.remote
  }

  override get local(): Address {
    return this.#raw.local
  }

  override reset(): void {
    this.#raw.reset()
    this.destroy()
  }
}

function contextOptions({ ca, minVersion = 'TLSv1.2', passphrase }: TlsOptions & { readonly passphrase?: string }) {
  return {
    minVersion,
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
    ...(ca !== undefined && { ca: typeof ca === 'string' ? ca : [...ca] }),
    ...(passphrase !== undefined && { passphrase }),
  }
}

/**
 * The server as one connection sees it. Node's server tells which connection was secured, or failed, but not on which
 * stream it was begun; this one reports to the handshake it was made for.
 */
function forOneHandshake(server: Server, result: Handshake): Server {
  const emit = (event: string, first: unknown) => {
    if (event === 'secureConnection') result.succeed(first as TLSSocket)
    else if (event === 'tlsClientError') result.fail(first as Error)
    return true
  }
  return Object.create(server, { emit: { value: emit } })
}

function readable<T>(create: () => T): T {
  try {
    return create()
  } catch (error) {
    throw tlsError(error as Error)
  }
}
