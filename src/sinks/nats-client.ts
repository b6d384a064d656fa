import type * as Core from '@nats-io/transport-node'
import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import { formatDuration } from '../util/units.ts'
import { isTlsProblem, type TlsSettings } from './client-tls.ts'
import { NatsLink, unavailable } from './nats-link.ts'

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

/** A client that connects when it is needed, and anew for the next write when the connection was lost. */
export class NatsClient {
  readonly #nats: NatsPackage
  readonly #target: NatsTarget
  readonly #signal: AbortSignal
  #link: Promise<NatsLink> | undefined
  #open: NatsLink | undefined
  #closed = false
  readonly #abort = () => this.#open?.destroy(unavailable('the server stopped without waiting any longer'))

  constructor(nats: NatsPackage, target: NatsTarget, signal: AbortSignal) {
    this.#nats = nats
    this.#target = target
    this.#signal = signal
    signal.addEventListener('abort', this.#abort)
  }

  /**
   * The connection, made now if there is none.
   * @throws SluiceError `sink_unavailable`, retryable, when no server can be reached; `sink_failed` when they refuse us,
   *   and `tls_failed`, when we do not trust them
   */
  link(): Promise<NatsLink> {
    this.#link ??= this.#connect()
    return this.#link
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#signal.removeEventListener('abort', this.#abort)
    const link = await this.#link?.catch(() => undefined)
    await link?.connection.close()
  }

  async #connect(): Promise<NatsLink> {
    const { servers, user, password, token, creds, tls, timeout } = this.#target
    try {
      if (this.#closed || this.#signal.aborted) throw unavailable('the sink is closed')
      const connection = await this.#nats.connect({
        servers: [...servers],
        name: 'sluice',
        ...(user !== undefined && { user }),
        ...(password !== undefined && { pass: password }),
        ...(token !== undefined && { token }),
        ...(creds !== undefined && { authenticator: this.#nats.credsAuthenticator(creds) }),
        // Null means never; without the option the library would encrypt without a check of the certificate's authority.
        tls: tls ?? null,
        timeout,
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
      const link = new NatsLink(connection, this.#nats.createInbox())
      this.#open = link
      void link.closed.then(() => this.#lose(link))
      if (this.#signal.aborted) this.#abort()
      return link
    } catch (thrown) {
      this.#link = undefined
      throw this.#connectProblem(thrown)
    }
  }

  #lose(link: NatsLink): void {
    if (this.#open !== link) return
    this.#open = undefined
    this.#link = undefined
  }

  /** The texts of the library and of the server never contain what is secret, but they do not say where, either. */
  #connectProblem(thrown: unknown): SluiceError {
    if (thrown instanceof SluiceError) return thrown
    const { errors } = this.#nats
    const { servers, timeout } = this.#target
    const where = servers.join(', ')
    if (thrown instanceof errors.AuthorizationError || thrown instanceof errors.UserAuthenticationExpiredError) {
      return new SluiceError('sink_failed', `NATS at ${where} refuses the credentials`, {
        cause: thrown,
        hint: 'check user and password, token or creds',
      })
    }
    const error = toSluiceError(thrown, 'sink_unavailable')
    if (isTlsProblem(thrown)) {
      return new SluiceError('tls_failed', `NATS at ${where} has no certificate that is trusted: ${error.message}`, {
        cause: thrown,
        hint: 'give the file of its authority: tls: { ca: … }',
      })
    }
    const code = (thrown as NodeJS.ErrnoException).code
    const reason =
      thrown instanceof errors.TimeoutError ? `no answer within ${formatDuration(timeout)}` : error.message || code
    const hint = 'check servers, and that nats-server runs there'
    return unavailable(`cannot connect to NATS at ${where}: ${reason}`, thrown, { hint })
  }
}
