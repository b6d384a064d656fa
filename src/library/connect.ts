import { z } from '../contracts/schema.ts'
import { type Connection, ManagedConnection } from '../wire/connection.ts'
import { abortSignal, type ClientOptions, checkOptions } from './client-options.ts'
import { createSettings } from './client-settings.ts'

export interface ConnectOptions<In, Out = In> extends ClientOptions<In, Out> {
  /**
   * Connect again whenever the connection is lost, with the waits of `retry.backoff`, and without limit unless
   * `retry.attempts` is given. What is sent meanwhile waits; requests that were under way fail. Default false.
   */
  readonly reconnect?: boolean
  /** Gives connecting up, and closes the connection at once, when it is aborted. */
  readonly signal?: AbortSignal
}

/**
 * Connects to a server: the client's side, with the framings and formats of the server's.
 * @returns a connection to send on, to ask, and to read with `for await`
 * @throws ConfigError for wrong options; SluiceError `connection_refused`, `connection_timeout`, `host_unknown`,
 * `tls_failed`: one plain sentence; what `onConnect` throws; the reason of the signal
 */
export async function connect<In = string, Out = In>(options: ConnectOptions<In, Out>): Promise<Connection<In, Out>> {
  const { reconnect, ...checked } = checkOptions(options, {
    reconnect: z.boolean().prefault(false),
    signal: abortSignal().optional(),
  })
  const settings = createSettings<In, Out>(options, checked)
  return ManagedConnection.open(settings, { reconnect, signal: options.signal })
}
