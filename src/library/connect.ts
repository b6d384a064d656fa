import { createTcp } from '../transports/tcp.ts'
import { createClientTls } from '../transports/tls.ts'
import type { FormatRef, FramingRef } from './builders.ts'
import type { ConnectEntry } from './config.ts'
import { planOf } from './create-server.ts'
import { createDialled, type Dialled } from './dialled.ts'

export interface ConnectOptions<In, Out = In> {
  readonly host?: string
  readonly port?: number
  /** Path of a Unix socket, instead of host and port. */
  readonly socket?: string
  /** Default: lines. */
  readonly framing?: FramingRef | string | { readonly in: FramingRef; readonly out: FramingRef }
  /** Default: text. */
  readonly format?: FormatRef<In> | { readonly in: FormatRef<In>; readonly out: FormatRef<Out> }
  /** Encrypt; `{}` is enough for a certificate of a usual authority. */
  readonly tls?: ConnectEntry['tls']
  /** Time in which the other side must take the connection. Default `10s`. */
  readonly timeout?: string
  /** Longest frame that is accepted. Default `1MiB`. */
  readonly maxFrameLength?: string
  /** Gives the attempt to connect up. */
  readonly signal?: AbortSignal
}

/**
 * Connects to a server: the client's side, with the framings and formats of the server's.
 * @returns a connection to send on, to ask, and to read with `for await`
 * @throws ConfigError for wrong options; SluiceError `connection_refused`, `connection_timeout`, `host_unknown`,
 * `tls_failed`: one plain sentence
 */
export async function connect<In = string, Out = In>(options: ConnectOptions<In, Out>): Promise<Dialled<In, Out>> {
  const { maxFrameLength, signal, ...entry } = options
  const limits = maxFrameLength === undefined ? {} : { limits: { maxFrameLength } }
  const plan = planOf({ connect: { client: { ...entry, ...limits, dataflow: [] } as ConnectEntry } }, {})
  await plan.ready()
  const endpoint = plan.endpoints[0]!
  if (endpoint.kind !== 'connect') throw new TypeError('connect makes outgoing connections only')
  const { dial, servername } = endpoint.devices[0]!
  const raw = await createTcp().dial({ ...dial, ...(signal && { signal }) })
  const tls = endpoint.tls && createClientTls({ ...endpoint.tls, ...(servername !== undefined && { servername }) })
  const socket = tls === undefined ? raw : await tls.secure(raw)
  const incoming = { framing: endpoint.framingIn, format: endpoint.formatIn }
  const outgoing = { framing: endpoint.framingOut, format: endpoint.formatOut }
  return createDialled<In, Out>(socket, incoming, outgoing, endpoint.limits.maxFrameLength)
}
