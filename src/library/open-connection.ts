import type { Codec } from '../contracts/codec.ts'
import type { Socket } from '../contracts/transport.ts'
import { type ClientOptions, checkOptions } from './client-options.ts'
import { createSettings } from './client-settings.ts'

/** A connection that nobody reads yet, and what is needed to read and write it. */
export interface OpenConnection {
  readonly socket: Socket
  readonly incoming: Codec
  readonly outgoing: Codec
  /** Longest frame in bytes. */
  readonly maxFrameLength: number
}

/** What says where to connect to, and how to speak there. */
export type OpenOptions = Pick<
  ClientOptions<unknown>,
  'host' | 'port' | 'socket' | 'framing' | 'format' | 'tls' | 'timeout'
>

/**
 * Connects once, with TLS where that is asked for, and leaves reading to the caller: for tools that look at bytes.
 * @throws ConfigError for wrong options; SluiceError `connection_refused`, `connection_timeout`, `host_unknown`,
 * `tls_failed`: one plain sentence
 */
export async function openConnection(options: OpenOptions): Promise<OpenConnection> {
  const settings = createSettings<unknown, unknown>(options, checkOptions(options, {}))
  await settings.ready()
  const { incoming, outgoing, maxFrameLength } = settings
  return { socket: await settings.dial(new AbortController().signal), incoming, outgoing, maxFrameLength }
}
