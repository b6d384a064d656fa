import type { Client } from 'pg'
import { SluiceError } from '../contracts/errors.ts'
import type { TlsSettings } from './client-tls.ts'
import type { Target } from './postgres-address.ts'

/** The package, as far as it is used. */
export type PgPackage = { readonly Client: typeof Client }

/**
 * What a session is for: it writes rows that survive a power cut (`durable`), writes as the server is set (`asServer`), or
 * can write nothing at all (`readOnly`).
 */
export type SessionKind = 'durable' | 'asServer' | 'readOnly'

/** How a connection is made. */
export interface LeaseOptions extends Omit<Target, 'tls'> {
  readonly tls: TlsSettings | undefined
  /** Milliseconds for one use of a connection, connecting included. */
  readonly timeout: number
  readonly session: SessionKind
}

/** What the server said of itself when a connection was made. */
export interface ServerFacts {
  /** False where the administrator has turned off `fsync`: then nothing survives a power cut. */
  readonly fsync: boolean
}

/** One connection, from its begin to its end. */
export class Lease {
  readonly client: Client
  /** Resolves when statements may be sent. */
  readonly ready: Promise<ServerFacts>
  isReady = false
  readonly #closed: Promise<void>

  /** @param whenClosed called once, when the connection is no more */
  constructor(pg: PgPackage, options: LeaseOptions, whenClosed: () => void) {
    const client = new pg.Client(clientOptions(options))
    this.client = client
    // What is under way fails with the same error; while nothing is, there is nobody to tell.
    client.on('error', () => this.destroy())
    this.#closed = new Promise((resolve) => {
      client.on('end', () => {
        whenClosed()
        resolve()
      })
    })
    this.ready = this.#prepare(options)
  }

  /** False from the moment at which it ends. */
  get open(): boolean {
    return !this.client.connection.stream.destroyed
  }

  destroy(): void {
    this.client.connection.stream.destroy()
  }

  async end(): Promise<void> {
    const timer = setTimeout(() => this.destroy(), LINGER_MS)
    await Promise.all([this.client.end(), this.#closed])
    clearTimeout(timer)
  }

  async #prepare({ timeout, session }: LeaseOptions): Promise<ServerFacts> {
    await this.client.connect()
    const { rows } = await this.client.query<{ fsync: string; standby: boolean }>({
      text: SETTINGS,
      values: [String(Math.max(1, timeout - Math.min(timeout / 10, GRACE_MS))), session],
    })
    const [facts] = rows
    if (facts?.standby && session !== 'readOnly') {
      throw new SluiceError('sink_unavailable', 'the server is a standby, which takes no rows', { retryable: true })
    }
    this.isReady = true
    return { fsync: facts?.fsync === 'on' }
  }
}

/**
 * What holds for a connection. The server ends a statement a little before we would, so that one that waited for a lock
 * does not cost the connection. Some settings of synchronous_commit promise more than `on`, so only `off` is changed. A
 * transaction that is read-only cannot become another one (postgresql.org/docs/current/sql-set-transaction.html). In which
 * form values come is set here too, so that they can be read whatever the administrator prefers to see.
 */
const SETTINGS = `
  SELECT set_config('statement_timeout', round($1::numeric)::text, false),
         set_config('synchronous_commit',
           CASE WHEN current_setting('synchronous_commit') = 'off' AND $2 = 'durable' THEN 'on'
                ELSE current_setting('synchronous_commit') END,
           false),
         set_config('default_transaction_read_only',
           CASE $2 WHEN 'readOnly' THEN 'on' ELSE current_setting('default_transaction_read_only') END,
           false),
         set_config('DateStyle', 'ISO', false),
         set_config('bytea_output', 'hex', false),
         current_setting('fsync') AS fsync,
         pg_is_in_recovery() AS standby`

const GRACE_MS = 500

/** How long the server may take to close after our goodbye. */
const LINGER_MS = 2000

/** Silence after which the kernel asks whether the server is still there. */
const KEEP_ALIVE_MS = 60_000

function clientOptions({ host, port, database, user, password, tls }: LeaseOptions) {
  return {
    host,
    port,
    database,
    user,
    // A function, so that without a password neither the environment nor a file in somebody's home stands in for it.
    password: () => password,
    ssl: tls ?? false,
    application_name: 'sluice',
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
  }
}
