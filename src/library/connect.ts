import type { FormatRef, FramingRef } from './builders.ts'
import type { ConnectEntry } from './config.ts'
import { createDialled, type Dialled } from './dialled.ts'
import { type OpenOptions, openConnection } from './open-connection.ts'

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
  const opened = await openConnection({ ...entry, ...limits } as OpenOptions, signal)
  return createDialled<In, Out>(opened.socket, opened.incoming, opened.outgoing, opened.maxFrameLength)
}
