import type { Codec } from '../contracts/codec.ts'
import type { Socket } from '../contracts/transport.ts'
import { createTcp } from '../transports/tcp.ts'
import { createClientTls } from '../transports/tls.ts'
import type { ConnectEntry } from './config.ts'
import { planOf } from './create-server.ts'

/** A connection that nobody reads yet, and what is needed to read and write it. */
export interface OpenConnection {
  readonly socket: Socket
  readonly incoming: Codec
  readonly outgoing: Codec
  /** Longest frame in bytes. */
  readonly maxFrameLength: number
}

/** What an entry of `connect:` says of one connection. */
export type OpenOptions = Omit<ConnectEntry, 'dataflow' | 'onConnect' | 'onDisconnect' | 'onError'>

/**
 * Connects to an address, with TLS where that is asked for.
 * @param signal gives the attempt up
 * @throws ConfigError for wrong options; SluiceError `connection_refused`, `connection_timeout`, `host_unknown`,
 * `tls_failed`: one plain sentence
 */
export async function openConnection(options: OpenOptions, signal?: AbortSignal): Promise<OpenConnection> {
  const plan = planOf({ connect: { client: { ...options, dataflow: [] } as ConnectEntry } }, {})
  await plan.ready()
  const endpoint = plan.endpoints[0]!
  if (endpoint.kind !== 'connect') throw new TypeError('connect makes outgoing connections only')
  const raw = await createTcp().dial({ ...endpoint.dial, ...(signal && { signal }) })
  const socket = endpoint.tls === undefined ? raw : await createClientTls(endpoint.tls).secure(raw)
  return {
    socket,
    incoming: { framing: endpoint.framingIn, format: endpoint.formatIn },
    outgoing: { framing: endpoint.framingOut, format: endpoint.formatOut },
    maxFrameLength: endpoint.limits.maxFrameLength,
  }
}
