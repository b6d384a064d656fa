import { lstat, unlink } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import type { Address } from '../contracts/client.ts'
import type { DialOptions, Listener, ListenOptions, Socket, Transport } from '../contracts/transport.ts'
import { whenAborted } from '../util/signals.ts'
import { type InheritedSocket, InheritedSockets } from './inherited.ts'
import { SocketAdapter } from './net-socket.ts'
import { dialError, listenError, timeoutError } from './socket-errors.ts'

/**
 * Connections over TCP, and over Unix sockets where `path` is given.
 *
 * Without a host it listens on all addresses, IPv4 and IPv6 where there is IPv6. The file of a Unix socket that nobody
 * listens on any more is replaced; it is removed when the listener closes. A `dial` that is aborted rejects with the
 * signal's reason.
 * @param inherited listening sockets that the program was started with: they are used in the place of new ones
 */
export function createTcp(inherited: InheritedSockets = new InheritedSockets([])): Transport {
  return {
    listen: (options, onSocket) => {
      const given = inherited.take(options)
      return given === undefined ? listen(options, onSocket) : adopt(given, options, onSocket)
    },
    dial,
  }
}

async function adopt(given: InheritedSocket, options: ListenOptions, onSocket: (socket: Socket) => void) {
  try {
    return await bind(options, onSocket, given)
  } catch (error) {
    throw listenError(error, options)
  }
}

async function listen(options: ListenOptions, onSocket: (socket: Socket) => void): Promise<Listener> {
  try {
    return await bind(options, onSocket)
  } catch (error) {
    if (options.path === undefined || codeOf(error) !== 'EADDRINUSE' || !(await isStale(options.path))) {
      throw listenError(error, options)
    }
  }
  try {
    await unlink(options.path)
    return await bind(options, onSocket)
  } catch (error) {
    throw listenError(error, options)
  }
}

/** @param given is bound already; then only this is asked for what it is bound to */
function bind(options: ListenOptions, onSocket: (socket: Socket) => void, given?: InheritedSocket): Promise<Listener> {
  const { socket = {}, backlog = BACKLOG } = options
  const path = given?.address?.port === 0 ? given.address.ip : options.path
  const { promise, resolve, reject } = Promise.withResolvers<Listener>()
  const server = createServer(
    {
      allowHalfOpen: true,
      // Nothing is read before `start`: unread bytes stay in the kernel, where they hold the sender.
      pauseOnConnect: true,
      ...nodeOptions(socket),
    },
    (stream) => onSocket(new SocketAdapter(stream, path)),
  )
  server.once('error', reject)
  server.listen(given === undefined ? target(options) : { fd: given.fd, backlog }, () => {
    server.off('error', reject)
    // From here on errors are failed accepts; Node goes on accepting. A lack of file descriptors is not among them: libuv
    // closes such a connection at once and tells nobody.
    server.on('error', () => {})
    resolve({ address: given?.address ?? addressOf(server), close: () => close(server) })
  })
  return promise
}

function target({ host, port = 0, path, ipv6Only = false, reusePort = false, backlog = BACKLOG }: ListenOptions) {
  if (path !== undefined) return { path, backlog }
  const address = host === undefined && !ipv6Only ? { port } : { host: host ?? '::', port, ipv6Only }
  return { ...address, reusePort, backlog }
}

/** Node's default, 511; the kernel cuts it to `net.core.somaxconn`. */
const BACKLOG = 511

function addressOf(server: Server): Address {
  const address = server.address()
  if (typeof address === 'string') return { ip: address, port: 0 }
  return { ip: address!.address, port: address!.port }
}

async function close(server: Server): Promise<void> {
  // The callback of `close` would wait for the connections too. The port is free at once.
  if (server.listening) server.close()
}

/** Whether the file is a Unix socket that nobody listens on. */
async function isStale(path: string): Promise<boolean> {
  try {
    if (!(await lstat(path)).isSocket()) return false
    const socket = await dial({ path, timeout: 1000 })
    socket.destroy()
    return false
  } catch (error) {
    return codeOf((error as Error).cause) === 'ECONNREFUSED'
  }
}

async function dial(options: DialOptions): Promise<Socket> {
  const { host, port, path, timeout, signal, socket = {} } = options
  signal?.throwIfAborted()
  const stream = connect({
    ...(path === undefined ? { host: host ?? 'localhost', port: port ?? 0 } : { path }),
    allowHalfOpen: true,
    autoSelectFamily: true,
    // Addresses are tried one after the other; Node's 250 ms each would be too short for mobile networks.
    autoSelectFamilyAttemptTimeout: Math.max(250, Math.floor(timeout / 3)),
    ...nodeOptions(socket),
  })
  stream.pause()
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => fail(timeoutError(options)), timeout)
    const refused = (error: Error) => fail(dialError(error, options))
    const settle = () => {
      clearTimeout(timer)
      forget?.()
      stream.off('connect', connected)
    }
    const connected = () => {
      settle()
      const adapter = new SocketAdapter(stream, path)
      stream.off('error', refused)
      resolve(adapter)
    }
    const fail = (error: unknown) => {
      settle()
      // The error listener stays: a late error of a socket that nobody owns must not end the process.
      stream.destroy()
      reject(error)
    }
    const forget = signal && whenAborted(signal, () => fail(signal.reason))
    stream.on('error', refused)
    stream.on('connect', connected)
  })
}

function nodeOptions({ keepAlive = 0, noDelay = false }: NonNullable<ListenOptions['socket']>) {
  return { noDelay, keepAlive: keepAlive > 0, keepAliveInitialDelay: keepAlive }
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException | undefined)?.code
}
