import type * as Core from '@nats-io/transport-node'
import type { NatsConnection } from '@nats-io/transport-node'
import type { Address } from '../contracts/client.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Transport } from '../contracts/transport.ts'
import type { TlsSettings } from './client-tls.ts'
import { findServer, type Greeting, parseServer } from './nats-greeting.ts'
import { unavailable, unreachable } from './network-error.ts'

/** The package `@nats-io/transport-node`. */
export type NatsPackage = typeof Core

/** What is needed to know to connect. */
export interface NatsTarget {
  readonly servers: readonly string[]
  readonly user?: string | undefined
  readonly password?: string | undefined
  readonly token?: string | undefined
  /** What is in the credentials file. */
  readonly creds?: Uint8Array | undefined
  readonly tls: TlsSettings | undefined
  /** Milliseconds for an attempt to connect. */
  readonly timeout: number
}

/**
 * Connects to the first of the servers that answers. The connection never comes back once it was lost.
 * @param signal aborted when nobody wants the connection any more
 * @throws SluiceError retryable when no server can be reached; not retryable when they refuse us, or we do not trust them
 */
export async function connectNats(
  nats: NatsPackage,
  tcp: Transport,
  target: NatsTarget,
  signal: AbortSignal,
): Promise<NatsConnection> {
  const { servers, user, password, token, creds, tls, timeout } = target
  if (signal.aborted) throw unavailable('the server is stopping')
  const until = performance.now() + timeout
  const greeting = await findServer(tcp, servers, { timeout, signal })
  requireEqualTls(greeting, tls)
  const { server } = greeting
  try {
    return await nats.connect({
      servers: server,
      name: 'sluice',
      ...(user !== undefined && { user }),
      ...(password !== undefined && { pass: password }),
      ...(token !== undefined && { token }),
      ...(creds !== undefined && { authenticator: nats.credsAuthenticator(creds) }),
      // Null means never; without the option the library would decide by what the server can.
      tls: tls ?? null,
      timeout: Math.max(1, Math.ceil(until - performance.now())),
      // The library would keep what is published between two connections, without a bound, and send it later.
      reconnect: false,
      waitOnFirstConnect: false,
      // Only the servers that the user named.
      ignoreClusterUpdates: true,
      // A dead peer is found within a minute also while nothing is sent.
      pingInterval: 20_000,
      maxPingOut: 2,
      noAsyncTraces: true,
    })
  } catch (thrown) {
    throw toProblem(nats, thrown, server)
  }
}

/** Where the server of a connection is. */
export function serverOf(connection: NatsConnection): Address {
  const { host, port } = parseServer(connection.getServer())!
  return { ip: host, port }
}

/**
 * Waits until the server has processed what was sent before.
 * @param timeout milliseconds
 * @throws SluiceError retryable, when it has not said so in time
 */
export async function flushed(connection: NatsConnection, timeout: number): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(unavailable('NATS has not answered in time')), timeout)
  try {
    // When the connection ends, the library leaves its own promise open for ever.
    void connection.closed().then((cause) => reject(unavailable('the connection to NATS was lost', cause)))
    await Promise.race([connection.isClosed() ? promise : connection.flush(), promise])
  } finally {
    clearTimeout(timer)
  }
}

/** The library's own words for these are not for users. */
function requireEqualTls({ server, tls }: Greeting, ours: TlsSettings | undefined): void {
  if (ours === undefined && tls === 'required') {
    throw new SluiceError('tls_failed', `NATS at ${server} takes only encrypted connections`, {
      hint: 'write tls: true',
    })
  }
  if (ours !== undefined && tls === 'never') {
    const hint = 'configure tls in nats-server, or remove tls here'
    throw new SluiceError('tls_failed', `NATS at ${server} does not encrypt`, { hint })
  }
}

/** The texts of the library and of the server never contain what is secret, but they do not say where, either. */
function toProblem({ errors }: NatsPackage, thrown: unknown, address: string): SluiceError {
  if (thrown instanceof errors.AuthorizationError || thrown instanceof errors.UserAuthenticationExpiredError) {
    return new SluiceError('sink_failed', `NATS at ${address} refuses the credentials`, {
      cause: thrown,
      hint: 'check user and password, token or creds',
    })
  }
  if (thrown instanceof errors.TimeoutError) {
    return unavailable(`NATS at ${address} has not answered in time`, thrown)
  }
  // The library wraps what the network said.
  return unreachable(thrown instanceof errors.ConnectionError ? (thrown.cause ?? thrown) : thrown, address)
}
