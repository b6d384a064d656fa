import { SluiceError } from '../contracts/errors.ts'
import type { DialOptions, Socket, Transport } from '../contracts/transport.ts'
import { unavailable } from './network-error.ts'

/** A server that has just greeted. */
export interface Greeting {
  /** As the user named it. */
  readonly server: string
  /** Whether it takes encrypted connections: not at all, also, or no others. */
  readonly tls: 'never' | 'available' | 'required'
}

/**
 * Finds a server that speaks: nats-server greets whoever connects with INFO. A process that hangs does not, although its
 * kernel still takes connections, and the client library never closes one whose greeting was late (nor one that was never
 * made); so it only gets to see a server that has just greeted.
 * @param servers `host:port` each
 * @param options `timeout` is for all of it
 * @returns the first of the servers to greet
 * @throws SluiceError saying what is wrong with the first of the servers; retryable, unless that is no NATS server
 */
export async function findServer(tcp: Transport, servers: readonly string[], options: DialOptions): Promise<Greeting> {
  try {
    return await Promise.any(servers.map((server) => greeted(tcp, server, options)))
  } catch (thrown) {
    throw thrown instanceof AggregateError ? thrown.errors[0] : thrown
  }
}

async function greeted(tcp: Transport, server: string, options: DialOptions): Promise<Greeting> {
  const until = performance.now() + options.timeout
  const socket = await dial(tcp, server, options)
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const silent = () => reject(unavailable(`NATS at ${server} has not answered in time`))
  const timer = setTimeout(silent, Math.max(1, until - performance.now()))
  let text = ''
  socket.start({
    onData(chunk) {
      text += chunk.toString('latin1')
      const end = text.indexOf('\n')
      if (end !== -1 || text.length > MAX_GREETING) resolve(text.slice(0, end))
    },
    onEnd() {},
    onDrain() {},
    onClose: (error) => reject(unavailable(`NATS at ${server} has closed the connection`, error)),
  })
  try {
    return { server, tls: tlsOf(await promise, server) }
  } finally {
    clearTimeout(timer)
    socket.destroy()
  }
}

async function dial(tcp: Transport, server: string, options: DialOptions): Promise<Socket> {
  try {
    return await tcp.dial({ ...parseServer(server)!, ...options })
  } catch (thrown) {
    if (!(thrown instanceof SluiceError)) throw thrown
    throw unavailable(thrown.message, thrown, thrown.hint === undefined ? {} : { hint: thrown.hint })
  }
}

/** Longest INFO that is read, in bytes; it lists the servers of a cluster. */
const MAX_GREETING = 65_536

/** Source: https://docs.nats.io/reference/reference-protocols/nats-protocol#info */
function tlsOf(greeting: string, server: string): Greeting['tls'] {
  try {
    const [, json] = /^INFO\s+(\{.*)$/i.exec(greeting.trim())!
    const info = JSON.parse(json!) as { readonly tls_required?: boolean; readonly tls_available?: boolean }
    if (info.tls_required === true) return 'required'
    return info.tls_available === true ? 'available' : 'never'
  } catch (cause) {
    const hint = 'check servers: the port is usually 4222'
    throw new SluiceError('sink_failed', `what listens on ${server} is no NATS server`, { cause, hint })
  }
}

/** Host and port of `host`, `host:port`, `[::1]:4222` or `nats://host:port`; undefined for anything else. */
export function parseServer(server: string): { readonly host: string; readonly port: number } | undefined {
  const match = /^(?:(?:nats|tls):\/\/)?(?:\[([^[\]]+)\]|([^\s:/@[\]]+))(?::(\d{1,5}))?\/?$/.exec(server)
  if (match === null) return undefined
  const port = match[3] === undefined ? DEFAULT_PORT : Number(match[3])
  return port >= 1 && port <= 65_535 ? { host: match[1] ?? match[2]!, port } : undefined
}

const DEFAULT_PORT = 4222
