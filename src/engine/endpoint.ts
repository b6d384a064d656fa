import { createClient } from '../clients/create-client.ts'
import type { Directory } from '../clients/directory.ts'
import type { Address } from '../contracts/client.ts'
import type { Conversation } from '../contracts/conversation.ts'
import { countReason } from '../contracts/counters.ts'
import type { Device } from '../contracts/device.ts'
import { type CloseReason, SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { DataflowHooks, Failure } from '../contracts/failure.ts'
import type { Listener, ListenOptions, Socket } from '../contracts/transport.ts'
import { countDeadLetters, createBurial, createHooks } from '../delivery/burial.ts'
import { Deadlines } from '../util/deadlines.ts'
import { Rests } from '../util/rests.ts'
import { Turns } from '../util/turns.ts'
import { Connection } from './connection.ts'
import type { ConnectSpec, Host, ListenSpec, Surroundings } from './spec.ts'
import { settleFailures } from './stages.ts'

/**
 * What all connections of one entry of `listen:` or `connect:` share. It makes connections of sockets and keeps account
 * of them until the last delivery that they began has ended. A reload gives it another spec.
 */
export class Endpoint {
  readonly surroundings: Surroundings
  readonly directory: Directory
  #spec: ListenSpec | ConnectSpec
  /** What new connections see of it. */
  #host: Host
  readonly #deadlines = new Deadlines()
  readonly #turns = new Turns()
  readonly #rests = new Rests()
  readonly #hooks: DataflowHooks
  readonly #bury: (failure: Failure) => Promise<void>
  /** Every connection with work left, also after its socket has closed. */
  readonly #connections = new Set<Conversation>()
  #open = 0
  /** Sockets whose PROXY header or TLS handshake is under way: they count for the limit and are no clients yet. */
  readonly #handshakes = new Set<Socket>()
  /** Settles when a drain has ended; undefined before there is one. */
  #drained: PromiseWithResolvers<void> | undefined = undefined

  constructor(spec: ListenSpec | ConnectSpec, surroundings: Surroundings, directory: Directory) {
    this.#spec = spec
    this.surroundings = surroundings
    this.#host = this.#hostOf(spec)
    this.#hooks = createHooks(spec.counters, surroundings.events)
    const deadLetters = countDeadLetters(surroundings.deadLetters, spec.counters, surroundings.events)
    this.#bury = createBurial(deadLetters, spec.counters, surroundings.events)
    this.directory = directory
  }

  get spec(): ListenSpec | ConnectSpec {
    return this.#spec
  }

  /** Connections with an open socket. */
  get open(): number {
    return this.#open
  }

  /**
   * Takes the dataflows of another spec from the next run of each connection on. Its framing, format, TLS and limits are
   * for new connections.
   * @param spec of the same name and kind, with the same counters
   * @returns resolves when the last run in the old dataflows has ended
   */
  async replace(spec: ListenSpec | ConnectSpec): Promise<void> {
    this.#spec = spec
    this.#host = this.#hostOf(spec)
    await Promise.allSettled(Array.from(this.#connections, ({ pending }) => pending))
  }

  /**
   * Makes a client of a raw socket: the limit on connections, then the PROXY header, then TLS, then the lane.
   * @param device that was dialled; undefined when the other side came to us
   * @returns undefined when the socket was refused
   */
  async accept(raw: Socket, device?: Device): Promise<Conversation | undefined> {
    const { spec } = this
    // Asked for now: a socket that has closed no longer knows who was at the other end.
    let { remote } = raw
    if (this.#drained) return this.#refuse(raw, remote, 'drained', STOPPING)
    const { maxConnections } = spec.limits
    if (this.#open + this.#handshakes.size >= maxConnections) {
      return this.#refuse(raw, remote, 'too_many_connections', `limits.maxConnections is ${maxConnections}`)
    }
    // Clients that send and go, while a sink takes nothing, would fill the memory one after the other.
    if (this.#connections.size >= 2 * maxConnections) {
      const detail = `limits.maxConnections is ${maxConnections}, and as many that have closed wait for their last messages`
      return this.#refuse(raw, remote, 'too_many_connections', detail)
    }
    const { proxy } = spec
    const { tls } = device ?? spec
    if (proxy === undefined && tls === undefined) return this.#admit(raw, device)
    this.#handshakes.add(raw)
    let socket: Socket | undefined = raw
    try {
      if (proxy !== undefined) {
        socket = await proxy.unwrap(raw)
        remote = socket?.remote ?? remote
      }
      if (socket !== undefined && tls !== undefined) socket = await tls.secure(socket)
    } catch (thrown) {
      if (this.#drained) return this.#refuse(raw, remote, 'drained', STOPPING)
      const { code, message, hint } = toSluiceError(thrown, 'tls_failed')
      return this.#refuse(raw, remote, code === 'proxy_failed' ? code : 'tls_failed', message, hint)
    } finally {
      this.#handshakes.delete(raw)
    }
    if (this.#drained) return this.#refuse(socket ?? raw, remote, 'drained', STOPPING)
    return socket === undefined ? this.#refuse(raw, remote, 'client_closed', GONE) : this.#admit(socket, device)
  }

  /**
   * Takes no more connections, reads no more and finishes what has arrived. Resolves when every connection has ended.
   * @param first until it has settled, connections are still read: others send to them
   */
  async drain(first?: Promise<unknown>): Promise<void> {
    this.#drained ??= Promise.withResolvers()
    for (const raw of this.#handshakes) raw.destroy()
    if (first !== undefined) await first
    for (const connection of this.#connections) connection.finish('drained')
    if (this.#connections.size === 0) this.#drained.resolve()
    return this.#drained.promise
  }

  /** Ends every connection at once. */
  terminate(): void {
    for (const connection of this.#connections) connection.terminate('drain_deadline')
  }

  #hostOf(spec: ListenSpec | ConnectSpec): Host {
    const { surroundings } = this
    return {
      spec,
      surroundings,
      deadlines: this.#deadlines,
      turns: this.#turns,
      rests: this.#rests,
      current: () => this.#spec,
      closed: (client, reason, detail) => {
        this.#open--
        this.directory.remove(client)
        countReason(spec.counters.closed, reason)
        surroundings.events.emit('connection.closed', { client, reason, detail })
      },
      ended: (connection) => {
        this.#connections.delete(connection as Conversation)
        if (this.#connections.size === 0) this.#drained?.resolve()
      },
      settle: (failed, onError) => settleFailures(failed, onError, this.#hooks, this.#bury),
      lost: (client, count) => {
        spec.counters.repliesLost += count
        // Until the connection has closed, an answer finds no place only when the run of its message is over.
        surroundings.events.emit('reply.lost', { client, count, late: client.state !== 'closed' })
      },
    }
  }

  #admit(socket: Socket, device: Device | undefined): Conversation {
    const { name, counters } = this.spec
    const { clientPrefix, clock } = this.surroundings
    // The counters outlive the endpoint, so that one which comes back with a reload uses no number twice.
    const id = device?.id ?? `${name}-${clientPrefix}${counters.opened + 1}`
    const client = createClient(id, name, socket, clock.now(), device?.tags)
    const connection = this.spec.serve?.(socket, client, this.#host) ?? new Connection(socket, client, this.#host)
    this.#open++
    this.#connections.add(connection)
    this.directory.add(client, connection, this.spec.codec)
    this.spec.counters.opened++
    this.surroundings.events.emit('connection.opened', { client })
    connection.open()
    return connection
  }

  #refuse(socket: Socket, remote: Address, reason: CloseReason, detail: string, hint?: string): undefined {
    countReason(this.spec.counters.refused, reason)
    const { name: endpoint } = this.spec
    this.surroundings.events.emit('connection.refused', { endpoint, remote, reason, detail, ...(hint && { hint }) })
    socket.destroy()
    return undefined
  }
}

/** An address that is bound, and the endpoint that it leads to: a reload may change that while it stays bound. */
export class Entrance {
  /** As they are configured; the real address may have another port. */
  readonly options: ListenOptions
  #listener: Listener | undefined = undefined
  #endpoint: Endpoint | undefined = undefined
  /** Came while it was not yet known whether all other addresses can be bound too. */
  readonly #early: Socket[] = []

  constructor(options: ListenOptions) {
    this.options = options
  }

  get address(): Address {
    return this.#listener!.address
  }

  /**
   * Binds the address. Who comes waits until it is known where it leads.
   * @param port in the place of port 0: several addresses of an endpoint share the port that the first was given
   * @throws SluiceError one sentence that says what to do
   */
  async open({ name, transport }: ListenSpec, port = this.options.port): Promise<void> {
    const options = { ...this.options, name, ...(port !== undefined && { port }) }
    try {
      this.#listener = await transport.listen(options, (socket) => {
        if (this.#endpoint === undefined) this.#early.push(socket)
        else void this.#endpoint.accept(socket)
      })
    } catch (thrown) {
      const { code, message, hint } = toSluiceError(thrown, 'internal')
      throw new SluiceError(code, `${name}: ${message}`, { cause: thrown, ...(hint !== undefined && { hint }) })
    }
  }

  leadTo(endpoint: Endpoint): void {
    if (this.#endpoint === endpoint) return
    this.#endpoint = endpoint
    const { spec, surroundings } = endpoint
    const { address } = this
    surroundings.events.emit('listener.opened', { endpoint: spec.name, address, tls: spec.tls !== undefined })
    for (const socket of this.#early.splice(0)) void endpoint.accept(socket)
  }

  async close(): Promise<void> {
    for (const socket of this.#early.splice(0)) socket.destroy()
    await this.#listener!.close()
    const endpoint = this.#endpoint
    endpoint?.surroundings.events.emit('listener.closed', { endpoint: endpoint.spec.name, address: this.address })
  }
}

const STOPPING = 'the server is stopping'
const GONE = 'it was gone before anything could be read, as with health checks'
