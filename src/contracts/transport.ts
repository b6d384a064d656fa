import type { Address } from './client.ts'

/** A connection of bytes, whatever carries them: TCP, a Unix socket, TLS over either, or memory. */
export interface Socket {
  readonly remote: Address
  readonly local: Address
  readonly tls: boolean
  /** Hands over the receiver of everything that happens. Nothing is read before. Called once. */
  start(handler: SocketHandler): void
  /**
   * Queues bytes. The buffer belongs to the socket until it has been sent and must not be changed.
   * @returns false when the caller should wait for `onDrain`
   */
  write(bytes: Buffer | string): boolean
  /**
   * False once nothing that is written leaves any more: after `end` or `destroy`, or when the connection broke. It may be
   * false before `onClose` tells of it; what is written then is dropped.
   */
  readonly writable: boolean
  /** Bytes queued and not yet taken by the operating system. */
  readonly queued: number
  pause(): void
  resume(): void
  /**
   * For a moment, and at next to no cost: what arrives is left with the operating system until `wake`. It goes beside `pause`,
   * which it does not undo. What has been read already may still be handed out. A transport may do without.
   */
  rest?(): void
  wake?(): void
  /** Sends what is queued, then FIN. Reading goes on. */
  end(): void
  /** Ends both directions at once and drops what is queued. The other side may take it for an orderly end. */
  destroy(): void
  /**
   * As `destroy`, for a stream that is not complete and must not look so: the other side sees the connection break (RFC 9293,
   * section 3.10.5). Unix sockets have no way to tell it.
   */
  reset(): void
}

/** What a socket tells. `onClose` is always the last call and comes exactly once. */
export interface SocketHandler {
  /** The chunk belongs to the receiver: it will not be reused. */
  onData(chunk: Buffer): void
  /** The other side sent FIN. Writing is still possible. */
  onEnd(): void
  onDrain(): void
  /**
   * @param error why, if it was not a clean close: a SluiceError with the code `connection_reset`, `connection_timeout`
   *   (the other side vanished; keepalive got no answer) or `tls_failed`
   */
  onClose(error: Error | undefined): void
}

/** An address that is listened on. */
export interface Listener {
  /** The real address: port 0 has become the port that the system gave. */
  readonly address: Address
  /** Stops accepting. Connections that exist stay. */
  close(): Promise<void>
}

export interface ListenOptions {
  /** An IP address or host name; `::` also takes IPv4 unless `ipv6Only`. Not used with `path`. */
  readonly host?: string
  readonly port?: number
  /** Path of a Unix socket. */
  readonly path?: string
  /** Who listens. A transport that was given sockets by the service manager finds the one that is meant by it. */
  readonly name?: string
  readonly ipv6Only?: boolean
  /** Length of the queue of connections that the kernel has accepted and we have not. */
  readonly backlog?: number
  /** Several processes listen on the port, and the kernel spreads the connections over them (SO_REUSEPORT, socket(7)). */
  readonly reusePort?: boolean
  readonly socket?: SocketOptions
}

/** Whether two entries mean one address, so that what is bound for the one serves the other. */
export function isSameAddress(a: ListenOptions, b: ListenOptions): boolean {
  return a.host === b.host && a.port === b.port && a.path === b.path && a.ipv6Only === b.ipv6Only
}

export interface DialOptions {
  readonly host?: string
  readonly port?: number
  readonly path?: string
  /** Milliseconds until the attempt fails with `connection_timeout`. */
  readonly timeout: number
  readonly signal?: AbortSignal
  readonly socket?: SocketOptions
}

export interface SocketOptions {
  /** Milliseconds of silence after which TCP keepalive probes begin; 0 turns them off. */
  readonly keepAlive?: number
  /** Send small writes at once (no Nagle). */
  readonly noDelay?: boolean
}

/** A way to reach the other side. */
export interface Transport {
  /**
   * Binds an address.
   * @throws SluiceError `address_in_use`, `address_unavailable`, `permission_denied`: one sentence that says what to do
   */
  listen(options: ListenOptions, onSocket: (socket: Socket) => void): Promise<Listener>
  /**
   * Connects. Host names are resolved at every call, and both address families are tried.
   * @throws SluiceError `connection_refused`, `connection_timeout`, `host_unknown`, …
   */
  dial(options: DialOptions): Promise<Socket>
}

/** Who is behind a connection that a proxy has opened: a layer below TLS. */
export interface ProxyLayer {
  /**
   * Reads the header of the PROXY protocol with which the connection begins.
   * @returns the connection behind the header, with the addresses of the client in the place of the proxy's; undefined when the
   *   other side was gone before anything could be read, as with health checks
   * @throws SluiceError `proxy_failed`, naming the cause; the socket is then to be destroyed
   */
  unwrap(socket: Socket): Promise<Socket | undefined>
}

/** TLS as a layer of a connection that exists already. */
export interface TlsLayer {
  /**
   * Encrypts a raw socket. The handshake has a deadline and the raw socket is destroyed when it fails.
   * @throws SluiceError `tls_failed`, naming the cause
   */
  secure(socket: Socket): Promise<Socket>
}

/** What both sides of TLS share. Certificates and keys are the contents of PEM files, never paths. */
export interface TlsOptions {
  /** Certificates of the authorities whose signature on the other side's certificate is believed. */
  readonly ca?: string | readonly string[]
  /** Milliseconds for the whole handshake; default 5000. */
  readonly handshakeTimeout?: number
  /** Default `TLSv1.2`. Older versions are not offered (RFC 8996). */
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3'
}

/** TLS of a connection that we dial. */
export interface ClientTlsOptions extends TlsOptions {
  /** The name, or IP address, that the other side's certificate must carry. Default: the address that was dialled. */
  readonly servername?: string
  /** Our certificate and key, where the other side asks for one. */
  readonly cert?: string
  readonly key?: string
  readonly passphrase?: string
  /** Set to false to believe any certificate: encrypted, but not protected against an impostor. Default true. */
  readonly verify?: boolean
}
