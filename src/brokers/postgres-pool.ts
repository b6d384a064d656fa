import type { Client } from 'pg'
import type { PartContext, Shared } from '../contracts/context.ts'
import { SluiceError } from '../contracts/errors.ts'
import { whenAborted } from '../util/signals.ts'
import { Slots } from '../util/slots.ts'
import { formatDuration } from '../util/units.ts'
import { readTls } from './client-tls.ts'
import { unavailable } from './network-error.ts'
import { hostOf, type PostgresAddress, readTarget } from './postgres-address.ts'
import { sqlStateOf, timedOut, toConnectError } from './postgres-errors.ts'
import { Lease, type LeaseOptions, type PgPackage, type ServerFacts } from './postgres-lease.ts'

export interface PoolOptions extends LeaseOptions {
  /** Most connections; who comes when all are in use waits. Absent where whoever uses the pool bounds them. */
  readonly maxConnections?: number
}

/**
 * Gives the connections to a database. Parts with the same address, credentials and options share them.
 * @throws SluiceError `package_missing`; what an address is wrong with has been told by `checkPostgresAddress`
 */
export async function sharePool(
  address: PostgresAddress,
  options: Pick<PoolOptions, 'timeout' | 'session' | 'maxConnections'>,
  { importPackage, resolvePath, share }: PartContext,
): Promise<Shared<PostgresPool>> {
  const pg = (await importPackage('pg')) as PgPackage
  const target = readTarget(address)
  if ('message' in target) throw new SluiceError('sink_failed', target.message)
  const { tls = false, ...where } = target
  const given: PoolOptions = { ...where, ...options, tls: readTls(tls, resolvePath) }
  return share(`postgres ${JSON.stringify(given)}`, () => new PostgresPool(pg, given))
}

/** Connections to one database. One is made when none is idle. A read is tried again when a kept one was broken; else nothing is. */
export class PostgresPool {
  readonly #pg: PgPackage
  readonly #options: PoolOptions
  readonly #slots: Slots
  readonly #idle: Lease[] = []
  readonly #all = new Set<Lease>()
  /** Nothing more is connected. */
  #aborted = false

  constructor(pg: PgPackage, options: PoolOptions) {
    this.#pg = pg
    this.#options = options
    this.#slots = new Slots(options.maxConnections ?? Number.POSITIVE_INFINITY)
  }

  /** The server as a person would name it. */
  get where(): string {
    return hostOf(this.#options)
  }

  /**
   * Lends a connection for as long as `work` takes, at most for the timeout, waiting for a connection included. In a
   * read-only session `work` may be called again, on a new connection, when one that was kept turns out to be broken.
   * @throws SluiceError `sink_unavailable`, retryable, for what may work later; `sink_failed` for what may not. Errors with
   *   which the server has answered `work` stay as they are
   */
  async use<T>(work: (client: Client, facts: ServerFacts) => Promise<T>): Promise<T> {
    const { timeout } = this.#options
    const late = new AbortController()
    const timer = setTimeout(() => late.abort(), timeout)
    try {
      await this.#slots.take(late.signal).catch(() => {
        const hint = 'Raise maxConnections, or find out what takes so long.'
        throw unavailable(`no connection to ${this.where} was free within ${formatDuration(timeout)}`, undefined, {
          hint,
        })
      })
      try {
        return await this.#use(work, late.signal)
      } finally {
        this.#slots.give()
      }
    } finally {
      clearTimeout(timer)
    }
  }

  /** Ends all connections at once, also those in use. */
  abort(): void {
    this.#aborted = true
    for (const lease of this.#all) lease.destroy()
  }

  /** Ends all connections politely. Nothing may be in use any more. */
  async close(): Promise<void> {
    this.#idle.length = 0
    await Promise.all([...this.#all].map((lease) => lease.end()))
  }

  async #use<T>(work: (client: Client, facts: ServerFacts) => Promise<T>, late: AbortSignal): Promise<T> {
    const kept = this.#idle.pop()
    const lease = kept ?? this.#connect()
    const forget = whenAborted(late, () => lease.destroy())
    try {
      const facts = await lease.ready
      const result = await work(lease.client, facts)
      this.#release(lease)
      return result
    } catch (thrown) {
      if (late.aborted) {
        this.#dropIdle()
        throw timedOut(this.where, formatDuration(this.#options.timeout))
      }
      if (this.#isUsableAfter(thrown)) this.#release(lease)
      else {
        this.#drop(lease)
        if (kept !== undefined && this.#isReadOnly && !this.#aborted) return await this.#use(work, late)
      }
      throw lease.isReady ? thrown : toConnectError(thrown, this.where)
    } finally {
      forget()
    }
  }

  get #isReadOnly(): boolean {
    return this.#options.session === 'readOnly'
  }

  #connect(): Lease {
    const lease = new Lease(this.#pg, this.#options, () => this.#forget(lease))
    this.#all.add(lease)
    return lease
  }

  #release(lease: Lease): void {
    if (this.#all.has(lease) && lease.open) this.#idle.push(lease)
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

  /**
   * An error that a statement was answered with leaves the connection as it was, except where the server ends it. One that
   * writes and is told that it may not (25006) has reached a server that has become a standby.
   */
  #isUsableAfter(thrown: unknown): boolean {
    if (thrown instanceof SluiceError) return !thrown.retryable
    const state = sqlStateOf(thrown)
    const isFatal = (thrown as { severity?: unknown }).severity !== 'ERROR'
    if (state === undefined || isFatal || /^(?:08|57P|26)/.test(state)) return false
    return state !== '25006' || this.#isReadOnly
  }
}
