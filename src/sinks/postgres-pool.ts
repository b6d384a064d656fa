import type { Client } from 'pg'
import type { TlsSettings } from '../brokers/client-tls.ts'
import { SluiceError } from '../contracts/errors.ts'
import { formatDuration } from '../util/units.ts'
import { sqlStateOf, timedOut, toConnectError, toDeliveryError } from './postgres-errors.ts'
import type { Target } from './postgres-options.ts'

/** The package, as far as it is used. */
export type PgPackage = { readonly Client: typeof Client }

export interface PoolOptions extends Omit<Target, 'tls'> {
  readonly tls: TlsSettings | undefined
  /** Milliseconds for one use of a connection, connecting included. */
  readonly timeout: number
  readonly durable: boolean
}

/** What the server said of itself when a connection was made. */
export interface ServerFacts {
  /** False where the administrator has turned off `fsync`: then nothing survives a power cut. */
  readonly fsync: boolean
}

/**
 * Connections to one database. One is made when none is idle, so there are as many as there are uses at a time; whoever
 * uses the pool bounds that. Nothing is queued here and nothing is tried again.
 */
export class PostgresPool {
  readonly #pg: PgPackage
  readonly #options: PoolOptions
  readonly #idle: Lease[] = []
  readonly #all = new Set<Lease>()

  constructor(pg: PgPackage, options: PoolOptions) {
    this.#pg = pg
    this.#options = options
  }

  /** The server as a person would name it. */
  get where(): string {
    const { host, port } = this.#options
    return host.startsWith('/') ? host : host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
  }

  /**
   * Lends a connection for as long as `work` takes, at most for the timeout.
   * @throws SluiceError `sink_unavailable`, retryable, for what may work later; `sink_failed` for what may not. Errors of
   *   `work` that are about the table stay as they are
   */
  async use<T>(work: (client: Client, facts: ServerFacts) => Promise<T>): Promise<T> {
    const lease = this.#idle.pop() ?? this.#connect()
    const timer = setTimeout(() => lease.expire(), this.#options.timeout)
    try {
      const facts = await lease.ready
      const result = await work(lease.client, facts)
      this.#release(lease)
      return result
    } catch (thrown) {
      if (lease.expired) {
        this.#dropIdle()
        throw timedOut(this.where, formatDuration(this.#options.timeout))
      }
      if (isUsableAfter(thrown)) this.#release(lease)
      else this.#drop(lease)
      throw lease.isReady ? thrown : toConnectError(thrown, this.where)
    } finally {
      clearTimeout(timer)
    }
  }

  /** Ends all connections at once, also those in use. */
  abort(): void {
    for (const lease of this.#all) lease.destroy()
  }

  /** Ends all connections politely. Nothing may be in use any more. */
  async close(): Promise<void> {
    this.#idle.length = 0
    await Promise.all([...this.#all].map((lease) => lease.end()))
  }

  #connect(): Lease {
    const lease = new Lease(new this.#pg.Client(clientOptions(this.#options)), this.#options, () => this.#forget(lease))
    this.#all.add(lease)
    return lease
  }

  #release(lease: Lease): void {
    if (this.#all.has(lease) && !lease.client.connection.stream.destroyed) this.#idle.push(lease)
  }

  #drop(lease: Lease): void {
    lease.destroy()
    this.#dropIdle()
  }

  /** When one connection broke, the idle ones most likely did too: each would cost a failed write to find out. */
  #dropIdle(): void {
    for (const lease of this.#idle.splice(0)) lease.destroy()
  }

  #forget(lease: Lease): void {
    this.#all.delete(lease)
    const at = this.#idle.indexOf(lease)
    if (at !== -1) this.#idle.splice(at, 1)
  }
}

/** One connection, from its begin to its end. */
class Lease {
  readonly client: Client
  /** Resolves when statements may be sent. */
  readonly ready: Promise<ServerFacts>
  isReady = false
  /** Its time was over before its work was done. */
  expired = false
  readonly #closed: Promise<void>

  /** @param whenClosed called once, when the connection is no more */
  constructor(client: Client, options: PoolOptions, whenClosed: () => void) {
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

  expire(): void {
    this.expired = true
    this.destroy()
  }

  destroy(): void {
    this.client.connection.stream.destroy()
  }

  async end(): Promise<void> {
    const timer = setTimeout(() => this.destroy(), LINGER_MS)
    await Promise.all([this.client.end(), this.#closed])
    clearTimeout(timer)
  }

  async #prepare({ timeout, durable }: PoolOptions): Promise<ServerFacts> {
    await this.client.connect()
    const { rows } = await this.client.query<{ fsync: string; standby: boolean }>({
      text: SETTINGS,
      values: [String(Math.max(1, timeout - Math.min(timeout / 10, GRACE_MS))), durable ? 'on' : 'off'],
    })
    const [facts] = rows
    if (facts?.standby) {
      throw new SluiceError('sink_unavailable', 'the server is a standby, which takes no rows', { retryable: true })
    }
    this.isReady = true
    return { fsync: facts?.fsync === 'on' }
  }
}

/**
 * What holds for a connection. The server ends a statement a little before we would, so that one that waited for a lock
 * does not cost the connection. Some settings of synchronous_commit promise more than `on`, so only `off` is changed.
 */
const SETTINGS = `
  SELECT set_config('statement_timeout', round($1::numeric)::text, false),
         set_config('synchronous_commit',
           CASE current_setting('synchronous_commit') WHEN 'off' THEN $2 ELSE current_setting('synchronous_commit') END,
           false),
         current_setting('fsync') AS fsync,
         pg_is_in_recovery() AS standby`

const GRACE_MS = 500

/** How long the server may take to close after our goodbye. */
const LINGER_MS = 2000

/** Silence after which the kernel asks whether the server is still there. */
const KEEP_ALIVE_MS = 60_000

function clientOptions({ host, port, database, user, password, tls }: PoolOptions) {
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

/** An error that a statement was answered with leaves the connection as it was, except where the server ends it. */
function isUsableAfter(thrown: unknown): boolean {
  if (thrown instanceof SluiceError) return !thrown.retryable
  const state = sqlStateOf(thrown)
  const isFatal = (thrown as { severity?: unknown }).severity !== 'ERROR'
  return state !== undefined && !isFatal && !/^(?:08|57P|26)|^25006$/.test(state)
}

/** Gives what {@link PostgresPool.use} threw a code. */
export function deliveryError(thrown: unknown, pool: PostgresPool): SluiceError {
  return toDeliveryError(thrown, pool.where)
}
