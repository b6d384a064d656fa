import type * as Redis from 'redis'
import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Outcomes } from '../contracts/sink.ts'
import type { TlsSettings } from './client-tls.ts'
import type { Link } from './link.ts'
import { unavailable, unreachable } from './network-error.ts'
import { type Command, execute, isPassing, type Reply, type Sender } from './redis-transaction.ts'

/** The package `redis`. */
export type RedisPackage = typeof Redis

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
 * Connects to a server that answers. The library's own reconnecting is off, and so are its queues: it would send again by
 * itself what may have been executed already.
 * @param signal ends the connection when it is aborted
 * @throws SluiceError retryable when the server cannot be reached or not be used now; not retryable when it refuses us, or
 *   does not sync although it must
 */
export async function connectRedis(redis: RedisPackage, target: RedisTarget, signal: AbortSignal): Promise<RedisLink> {
  const { host, port, socket, user, password, database, tls, timeout, fsync } = target
  const encryption = tls !== undefined && { ...tls, tls: true as const }
  const place = socket === undefined ? { host, port, ...encryption } : { path: socket }
  if (signal.aborted) throw unavailable('the connection is closed')
  const client = redis.createClient({
    // The version of the protocol that every server speaks.
    RESP: 2,
    socket: { ...place, connectTimeout: timeout, reconnectStrategy: false },
    ...(user !== undefined && { username: user }),
    ...(password !== undefined && { password }),
    database,
    disableOfflineQueue: true,
    disableClientInfo: true,
    maintNotifications: 'disabled',
  })
  const problem = (thrown: unknown) => toProblem(redis, thrown, socket ?? `${host}:${port}`)
  const link = new RedisLink(client as unknown as LibraryClient, redis, signal, problem)
  try {
    await link.begin(timeout, fsync)
    return link
  } catch (thrown) {
    await link.end()
    throw problem(thrown)
  }
}

/** Why there is no connection. The server's texts never repeat a password, but they do not say where, either. */
function toProblem({ ErrorReply }: RedisPackage, thrown: unknown, address: string): SluiceError {
  if (thrown instanceof SluiceError) return thrown
  if (!(thrown instanceof ErrorReply)) return unreachable(thrown, address)
  const { message } = thrown
  if (/^(?:WRONGPASS|NOAUTH|ERR (?:invalid password|AUTH|Client sent AUTH))/.test(message)) {
    const hint = 'check user and password'
    return new SluiceError('sink_failed', `Redis at ${address} refuses the credentials`, { cause: thrown, hint })
  }
  const text = `Redis at ${address} answers: ${message}`
  return isPassing(message) ? unavailable(text, thrown) : new SluiceError('sink_failed', text, { cause: thrown })
}

/** What is used of the library's client; its own type depends on modules that are not loaded. */
interface LibraryClient {
  connect(): Promise<unknown>
  destroy(): void
  on(event: 'error', listener: (error: Error) => void): void
  sendCommand(
    args: readonly (string | Buffer)[],
    options?: { readonly typeMapping: Readonly<Record<number, unknown>> },
  ): Promise<Reply>
  subscribe(channel: string, listener: ChannelListener, bytes: true): Promise<void>
  pSubscribe(pattern: string, listener: ChannelListener, bytes: true): Promise<void>
}

/** Is given what was published, and to which channel. */
export type ChannelListener = (message: Buffer, channel: Buffer) => void

/** One connection, from its beginning to its end; it never connects again. */
export class RedisLink implements Link<Command>, Sender {
  readonly #client: LibraryClient
  readonly #redis: RedisPackage
  readonly #signal: AbortSignal
  readonly #abort = () => this.destroy(unavailable('the server stopped without waiting any longer'))
  lost: SluiceError | undefined
  /** Resolves when the connection has ended, with the reason. */
  readonly ended: Promise<SluiceError>
  readonly #end = Promise.withResolvers<SluiceError>()

  /** @param problem says why there is no connection any more */
  constructor(
    client: LibraryClient,
    redis: RedisPackage,
    signal: AbortSignal,
    problem: (thrown: unknown) => SluiceError,
  ) {
    this.#client = client
    this.#redis = redis
    this.#signal = signal
    this.ended = this.#end.promise
    // After an error the connection is gone, or what it would still say cannot be trusted.
    client.on('error', (error) => this.destroy(problem(error)))
    signal.addEventListener('abort', this.#abort)
  }

  get open(): boolean {
    return this.lost === undefined
  }

  /** Connects. @param fsync the server must sync before it answers @throws what the library throws, or SluiceError */
  async begin(timeout: number, fsync: boolean): Promise<void> {
    await this.#inTime(timeout, async () => {
      await this.#client.connect()
      await requireAnswer(this)
      if (fsync) await requireSync(this)
    })
  }

  async deliver(commands: readonly Command[], timeout: number): Promise<Outcomes> {
    try {
      return await this.#inTime(timeout, () => execute(this, commands))
    } catch (thrown) {
      const error = toSluiceError(thrown, 'sink_unavailable')
      return commands.map(() => error)
    }
  }

  async send(commands: readonly Command[], as: 'text' | 'bytes' = 'text'): Promise<readonly Reply[]> {
    const { BLOB_STRING } = this.#redis.RESP_TYPES
    const options = as === 'bytes' ? [{ typeMapping: { [BLOB_STRING]: Buffer } }] : []
    const replies = commands.map((command) => this.#client.sendCommand(command, ...options))
    return (await Promise.allSettled(replies)).map((result) => {
      if (result.status === 'fulfilled') return result.value
      if (result.reason instanceof this.#redis.ErrorReply) return result.reason
      throw this.lost ?? unavailable('the connection to Redis was lost', result.reason)
    })
  }

  /**
   * Sends one command and waits for its reply.
   * @param timeout milliseconds after which the connection is ended
   * @param as what strings in the reply shall be
   * @throws the error that the server replied with, as it came, or SluiceError when the connection was lost
   */
  async ask(command: Command, timeout: number, as: 'text' | 'bytes' = 'text'): Promise<Reply> {
    const [reply] = await this.#inTime(timeout, () => this.send([command], as))
    if (this.errorText(reply) !== undefined) throw reply
    return reply
  }

  /** Subscribes to a channel, or with `isPattern` to all that fit. Nothing else may be sent from then on. */
  async listen(channel: string, isPattern: boolean, listener: ChannelListener, timeout: number): Promise<void> {
    await this.#inTime(timeout, () =>
      isPattern ? this.#client.pSubscribe(channel, listener, true) : this.#client.subscribe(channel, listener, true),
    )
  }

  errorText(reply: Reply): string | undefined {
    return reply instanceof this.#redis.ErrorReply ? reply.message : undefined
  }

  /** Ends the connection at once; what is open fails with this error. */
  destroy(error: SluiceError): void {
    this.lost ??= error
    this.#signal.removeEventListener('abort', this.#abort)
    this.#client.destroy()
    this.#end.resolve(this.lost)
  }

  async end(): Promise<void> {
    this.destroy(unavailable('the connection is closed'))
  }

  async #inTime<T>(timeout: number, work: () => Promise<T>): Promise<T> {
    const timer = setTimeout(() => this.destroy(unavailable('Redis has not answered in time')), timeout)
    try {
      return await work()
    } catch (thrown) {
      // What the library says after the end is only that it has ended.
      throw this.lost ?? thrown
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
