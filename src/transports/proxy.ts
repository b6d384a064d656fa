import type { Duplex } from 'node:stream'
import type { Address } from '../contracts/client.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { ProxyLayer, Socket } from '../contracts/transport.ts'
import type { ProxiedClient } from '../wire/proxy-header.ts'
import { type ParsedHeader, parseProxyHeader } from '../wire/proxy-parser.ts'
import { createIpFilter, type IpRange } from './ip-range.ts'
import { type NetSocket, SocketAdapter } from './net-socket.ts'
import { streamOf } from './socket-stream.ts'

export interface ProxyOptions {
  /**
   * Where proxies connect from: a header is believed from there alone. Undefined where the addresses of sockets say nothing, as
   * with Unix sockets: whoever can connect is believed.
   */
  readonly trust: readonly IpRange[] | undefined
  /** Milliseconds for the whole header. */
  readonly timeout: number
}

/**
 * For connections that a proxy has opened for somebody else, and that begin with a header which says for whom (HAProxy, "The
 * PROXY protocol", doc/proxy-protocol.txt, section 2). Without one nothing is guessed: a port for both would let anybody claim
 * any address, so such a connection fails.
 */
export function createProxyLayer({ trust, timeout }: ProxyOptions): ProxyLayer {
  const isTrusted = trust && createIpFilter(trust)
  return {
    async unwrap(socket) {
      const { remote, local } = socket
      // A socket that was reset before it was accepted does not know any more who was there, so nobody can be believed.
      if (isTrusted !== undefined && remote.ip === '') return undefined
      if (isTrusted?.(remote.ip) === false) {
        throw new SluiceError('proxy_failed', `proxyProtocol.trust does not name ${remote.ip}`, {
          hint: 'If a load balancer has this address, add it there; if not, somebody goes past the load balancer.',
        })
      }
      const stream = streamOf(socket)
      const header = await takeHeader(stream, timeout)
      if (header === undefined) return undefined
      const ends = header.client === undefined ? { remote, local } : endsOf(header.client)
      return new ProxiedSocket(stream as NetSocket, socket, ends)
    },
  }
}

/** Both ends of a connection. */
type Ends = Pick<Socket, 'remote' | 'local'>

function endsOf({ ip, port, localIp, localPort }: ProxiedClient): Ends {
  return { remote: { ip, port }, local: { ip: localIp, port: localPort } }
}

/** The connection behind its header: the same stream, with the addresses between which the client believes to speak. */
class ProxiedSocket extends SocketAdapter {
  readonly #raw: Socket
  readonly #ends: Ends

  constructor(stream: NetSocket, raw: Socket, ends: Ends) {
    super(stream)
    this.#raw = raw
    this.#ends = ends
  }

  override get remote(): Address {
    return this.#ends.remote
  }

  override get local(): Address {
    return this.#ends.local
  }

  override reset(): void {
    this.#raw.reset()
    this.destroy()
  }
}

/**
 * Reads the header off a stream. What came with it, and is not the header's, can be read from the stream afterwards. It leaves
 * the stream paused.
 * @returns undefined when the other side was gone before anything could be read
 * @throws SluiceError `proxy_failed`; the stream is then to be destroyed
 */
function takeHeader(stream: Duplex, timeout: number): Promise<ParsedHeader | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<ParsedHeader | undefined>()
  let taken: Buffer = Buffer.alloc(0)
  const settle = (how: () => void) => {
    clearTimeout(timer)
    stream.off('readable', read).off('end', ended).off('close', ended)
    stream.pause()
    how()
  }
  const read = () => {
    const chunk: Buffer | null = stream.read()
    if (chunk === null) return
    taken = taken.length === 0 ? chunk : Buffer.concat([taken, chunk])
    try {
      const header = parseProxyHeader(taken)
      if (header === undefined) return
      settle(() => {
        if (header.length < taken.length) stream.unshift(taken.subarray(header.length))
        resolve(header)
      })
    } catch (error) {
      settle(() => reject(error))
    }
  }
  const ended = () => settle(() => (taken.length === 0 ? resolve(undefined) : reject(endedEarly())))
  const timer = setTimeout(() => settle(() => reject(timedOut(timeout))), timeout)
  stream.on('readable', read).on('end', ended).on('close', ended)
  if (stream.destroyed) ended()
  return promise
}

function endedEarly(): SluiceError {
  return new SluiceError('proxy_failed', 'the other side closed the connection in the middle of its PROXY header')
}

function timedOut(timeout: number): SluiceError {
  return new SluiceError('proxy_failed', `no whole PROXY header came within ${timeout} ms`, {
    hint: 'Check that it is a load balancer that connects, and that it sends the header.',
  })
}
