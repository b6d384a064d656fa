import type * as Redis from 'redis'
import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import { formatDuration } from '../util/units.ts'
import { isTlsProblem, type TlsSettings } from './client-tls.ts'

/** The package `redis`. */
export type RedisPackage = typeof Redis

/** A command: its name and its arguments. */
export type Command = readonly (string | Buffer)[]

/** A reply, or the error that the server replied with. */
export type Reply = unknown

/** What is needed to know to connect. */
export interface RedisTarget {
  readonly host: string
  readonly port: number
  /** Path of a Unix socket, instead of host and port. */
  readonly socket?: string | undefined
  readonly user?: string | undefined
  readonly password?: string | undefined
  readonly database: number
  readonly tls: TlsSettings | undefined
  /** Every connection must be to a server that syncs before it answers. */
  readonly fsync: boolean
  /** Milliseconds for an attempt to connect, and for the replies to what is sent together. */
  readonly timeout: number
}

/**
 * A client that connects when it is needed, and anew for the next write when the connection was lost. The library's own
 * reconnecting is off, and so are its queues: it would send again by itself what may have been executed already.
 */
export class RedisClient {
  readonly #redis: RedisPackage
  readonly #target: RedisTarget
  readonly #signal: AbortSignal
  #link: Promise<RedisLink> | undefined
  #open: RedisLink | undefined
  #closed = false
  readonly #abort = () => this.#open?.destroy()

  constructor(redis: RedisPackage, target: RedisTarget, signal: AbortSignal) {
    this.#redis = redis
    this.#target = target
    this.#signal = signal
    signal.addEventListener('abort', this.#abort)
  }

  /**
   * The connection, made now if there is none.
   * @throws SluiceError `sink_unavailable`, retryable, when the server cannot be reached; `sink_failed` or `tls_failed`
   *   when it is not as it must be
   */
  link(): Promise<RedisLink> {
    this.#link ??= this.#connect()
    return this.#link
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#signal.removeEventListener('abort', this.#abort)
    const link = await this.#link?.catch(() => undefined)
    link?.destroy()
  }

  async #connect(): Promise<RedisLink> {
    const { host, port, socket, user, password, database, tls, timeout, fsync } = this.#target
    if (this.#closed || this.#signal.aborted) throw unavailable('the sink is closed')
    const address =
      socket === undefined ? { host, port, ...(tls !== undefined && { ...tls, tls: true as const }) } : { path: socket }
    const client = this.#redis.createClient({
      // The version of the protocol that every server speaks.
      RESP: 2,
      socket: { ...address, connectTimeout: timeout, reconnectStrategy: false },
      ...(user !== undefined && { username: user }),
      ...(password !== undefined && { password }),
      database,
      disableOfflineQueue: true,
      disableClientInfo: true,
      maintNotifications: 'disabled',
    })
    const link = new RedisLink(client as unknown as LibraryClient, this.#redis, timeout, () => this.#lose(link))
    this.#open = link
    try {
      await link.connect()
      await requireAnswer(link)
      if (fsync) await requireSync(link)
      return link
    } catch (thrown) {
      link.destroy()
      this.#lose(link)
      throw this.#connectProblem(thrown)
    }
  }

  #lose(link: RedisLink): void {
    if (this.#open !== link) return
    this.#open = undefined
    this.#link = undefined
  }

  /** The server's texts never repeat a password, but they do not say where, either. */
  #connectProblem(thrown: unknown): SluiceError {
    const { host, port, socket, timeout } = this.#target
    const where = `Redis at ${socket ?? `${host}:${port}`}`
    if (thrown instanceof SluiceError) return thrown
    const { message } = toSluiceError(thrown)
    if (thrown instanceof this.#redis.ErrorReply) {
      if (/^(?:WRONGPASS|NOAUTH|ERR (?:invalid password|AUTH|Client sent AUTH))/.test(message)) {
        const hint = 'check user and password'
        return new SluiceError('sink_failed', `${where} refuses the credentials`, { cause: thrown, hint })
      }
      const passes = isPassing(message)
      const code = passes ? 'sink_unavailable' : 'sink_failed'
      return new SluiceError(code, `${where} answers: ${message}`, { cause: thrown, retryable: passes })
    }
    if (isTlsProblem(thrown)) {
      return new SluiceError('tls_failed', `${where} has no certificate that is trusted: ${message}`, {
        cause: thrown,
        hint: 'give the file of its authority: tls: { ca: … }',
      })
    }
    const hint = 'check host and port, and that redis-server runs there'
    const late = thrown instanceof this.#redis.ConnectionTimeoutError
    return unavailable(
      `cannot connect to ${where}: ${late ? `no answer within ${formatDuration(timeout)}` : plain(thrown, message)}`,
      { cause: thrown, hint },
    )
  }
}

/** What is used of the library's client; its own type depends on modules that are not loaded. */
interface LibraryClient {
  connect(): Promise<unknown>
  destroy(): void
  on(event: 'error', listener: (error: Error) => void): void
  sendCommand(args: readonly (string | Buffer)[]): Promise<Reply>
}

/** One connection, from its beginning to its end; it never connects again. */
export class RedisLink {
  readonly #client: LibraryClient
  readonly #redis: RedisPackage
  readonly #timeout: number
  readonly #whenLost: () => void
  #error: SluiceError | undefined

  constructor(client: LibraryClient, redis: RedisPackage, timeout: number, whenLost: () => void) {
    this.#client = client
    this.#redis = redis
    this.#timeout = timeout
    this.#whenLost = whenLost
    // After an error the connection is gone, or what it would still say cannot be trusted.
    client.on('error', (cause) => {
      this.#error ??= unavailable('the connection to Redis was lost', { cause })
      this.destroy()
    })
  }

  /** @throws what the library throws, or SluiceError when there is no answer in time */
  connect(): Promise<void> {
    return this.#inTime(this.#client.connect().then(() => undefined))
  }

  /**
   * Sends commands at once, and waits for the replies. Nothing of others comes in between.
   * @returns a reply for each, or the error that the server replied with
   * @throws SluiceError `sink_unavailable`, retryable, when the connection was lost: any of them may have been executed
   */
  async send(commands: readonly Command[]): Promise<readonly Reply[]> {
    const replies = commands.map((command) => this.#client.sendCommand(command))
    const results = await this.#inTime(Promise.allSettled(replies))
    return results.map((result) => {
      if (result.status === 'fulfilled') return result.value
      if (result.reason instanceof this.#redis.ErrorReply) return result.reason
      throw this.#error ?? unavailable('the connection to Redis was lost', { cause: result.reason })
    })
  }

  /** The text of an error that the server replied with; undefined for any other reply. */
  errorText(reply: Reply): string | undefined {
    return reply instanceof this.#redis.ErrorReply ? reply.message : undefined
  }

  /** Ends the connection at once; what is open fails. */
  destroy(): void {
    this.#whenLost()
    this.#client.destroy()
  }

  async #inTime<T>(work: Promise<T>): Promise<T> {
    const expired = Promise.withResolvers<never>()
    const timer = setTimeout(() => {
      this.#error = unavailable(`Redis has not answered for ${formatDuration(this.#timeout)}`)
      expired.reject(this.#error)
      this.destroy()
    }, this.#timeout)
    try {
      return await Promise.race([work, expired.promise])
    } finally {
      clearTimeout(timer)
    }
  }
}

/**
 * A connection is there as soon as the kernel of the server has taken it. What is written before the server itself has
 * answered may be executed much later, and once for each attempt.
 * @throws what the server replies, unless it is that our user may not ask
 */
async function requireAnswer(link: RedisLink): Promise<void> {
  const [reply] = await link.send([['PING']])
  const refused = link.errorText(reply)
  if (refused !== undefined && !refused.startsWith('NOPERM')) throw reply
}

/**
 * The server must write its append-only file and sync it before it answers.
 * @throws SluiceError `sink_failed` when it does not, or does not say so
 */
async function requireSync(link: RedisLink): Promise<void> {
  const [reply] = await link.send([['CONFIG', 'GET', 'append*']])
  const refused = link.errorText(reply)
  if (refused !== undefined) {
    if (isPassing(refused)) throw unavailable(`Redis does not say how it syncs: ${refused}`)
    throw new SluiceError('sink_failed', `Redis does not say how it syncs: ${refused}`, {
      hint: 'allow the user the command CONFIG GET, or remove fsync: true',
    })
  }
  const settings = Array.isArray(reply) ? reply.map(String) : []
  const setting = (name: string) => settings[settings.indexOf(name) + 1]
  if (setting('appendonly') === 'yes' && setting('appendfsync') === 'always') return
  throw new SluiceError('sink_failed', 'Redis does not sync to disk before it answers', {
    hint: 'set appendonly yes and appendfsync always in redis.conf, or remove fsync: true',
  })
}

/** Errors of a server that may be able to do it later: it is loading, full, failing over, or busy with a script. */
export function isPassing(text: string): boolean {
  return /^(?:LOADING|BUSY|TRYAGAIN|CLUSTERDOWN|MASTERDOWN|READONLY|OOM|MISCONF|NOREPLICAS|UNBLOCKED|ERR max number of clients)\b/.test(
    text,
  )
}

/** The library puts the addresses that it tried into its texts, or nothing at all. */
function plain(thrown: unknown, message: string): string {
  const code = (thrown as NodeJS.ErrnoException).code
  if (code === 'ECONNREFUSED') return 'connection refused'
  return message === '' ? (code ?? 'it did not say why') : message
}

/** An error that may pass. */
export function unavailable(message: string, options: { cause?: unknown; hint?: string } = {}): SluiceError {
  return new SluiceError('sink_unavailable', message, { ...options, retryable: true })
}
