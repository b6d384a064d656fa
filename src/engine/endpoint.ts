import type { Address, Client } from '../contracts/client.ts'
import type { DeadLetters } from '../contracts/context.ts'
import { countReason, type EndpointCounters } from '../contracts/counters.ts'
import { type CloseReason, SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Events } from '../contracts/events.ts'
import type { Listener, Socket } from '../contracts/transport.ts'
import { Deadlines } from '../util/deadlines.ts'
import { Connection } from './connection.ts'
import type { Directory } from './directory.ts'
import { type DataflowHooks, type Failure, settleFailures } from './failures.ts'
import type { EndpointSpec, Host, ListenSpec, Surroundings } from './spec.ts'

/**
 * What all connections of one entry of `listen:` or `connect:` share. It makes connections of sockets and keeps account
 * of them until the last delivery that they began has ended.
 */
export class Endpoint implements Host {
  readonly spec: EndpointSpec
  readonly surroundings: Surroundings
  readonly deadlines = new Deadlines()
  readonly #hooks: DataflowHooks
  readonly #bury: (failure: Failure) => Promise<void>
  readonly #directory: Directory
  /** Every connection with work left, also after its socket has closed. */
  readonly #connections = new Set<Connection>()
  #open = 0
  /** Sockets whose TLS handshake is under way: they count for the limit and are no clients yet. */
  readonly #handshakes = new Set<Socket>()
  #count = 0
  #draining = false
  #onEmpty: (() => void) | undefined = undefined

  constructor(spec: EndpointSpec, surroundings: Surroundings, directory: Directory) {
    this.spec = spec
    this.surroundings = surroundings
    this.#hooks = createHooks(spec.counters, surroundings.events)
    const deadLetters = countDeadLetters(surroundings.deadLetters, spec.counters, surroundings.events)
    this.#bury = createBurial(deadLetters, spec.counters, surroundings.events)
    this.#directory = directory
  }

  /** Connections with an open socket. */
  get open(): number {
    return this.#open
  }

  /**
   * Makes a client of a raw socket: the limit on connections, then TLS, then the lane.
   * @returns undefined when the socket was refused
   */
  async accept(raw: Socket): Promise<Connection | undefined> {
    const { spec } = this
    // Asked for now: a socket that has closed no longer knows who was at the other end.
    const { remote } = raw
    if (this.#draining) return this.#refuse(raw, remote, 'drained', STOPPING)
    if (this.#open + this.#handshakes.size >= spec.limits.maxConnections) {
      return this.#refuse(raw, remote, 'too_many_connections', `limits.maxConnections is ${spec.limits.maxConnections}`)
    }
    if (spec.tls === undefined) return this.#admit(raw)
    this.#handshakes.add(raw)
    let socket: Socket
    try {
      socket = await spec.tls.secure(raw)
    } catch (thrown) {
      if (this.#draining) return this.#refuse(raw, remote, 'drained', STOPPING)
      const { message, hint } = toSluiceError(thrown, 'tls_failed')
      return this.#refuse(raw, remote, 'tls_failed', message, hint)
    } finally {
      this.#handshakes.delete(raw)
    }
    return this.#draining ? this.#refuse(socket, remote, 'drained', STOPPING) : this.#admit(socket)
  }

  closed(client: Client, reason: CloseReason, detail: string): void {
    this.#open--
    this.#directory.remove(client)
    countReason(this.spec.counters.closed, reason)
    this.surroundings.events.emit('connection.closed', { client, reason, detail })
  }

  ended(connection: object): void {
    this.#connections.delete(connection as Connection)
    if (this.#connections.size === 0) this.#onEmpty?.()
  }

  settle(failed: readonly Failure[]): Promise<void> {
    return settleFailures(failed, this.spec.onError, this.#hooks, this.#bury)
  }

  lost(client: Client, count: number): void {
    this.spec.counters.repliesLost += count
    this.surroundings.events.emit('reply.lost', { client, count })
  }

  /** Reads no more and finishes what has arrived. Resolves when every connection has ended. */
  drain(): Promise<void> {
    this.#draining = true
    for (const raw of this.#handshakes) raw.destroy()
    for (const connection of this.#connections) connection.finish('drained')
    if (this.#connections.size === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#onEmpty = resolve
    })
  }

  /** Ends every connection at once. */
  terminate(): void {
    for (const connection of this.#connections) connection.terminate('drain_deadline')
  }

  #admit(socket: Socket): Connection {
    const client = this.#describe(socket)
    const connection = new Connection(socket, client, this)
    this.#open++
    this.#connections.add(connection)
    this.#directory.add(client, connection, this.spec.codec)
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

  #describe({ remote, local, tls }: Socket): Client {
    const now = this.surroundings.clock.now()
    return {
      id: `${this.spec.name}-${++this.#count}`,
      endpoint: this.spec.name,
      ip: remote.ip,
      port: remote.port,
      localIp: local.ip,
      localPort: local.port,
      tls,
      since: now,
      lastSeen: now,
      bytesIn: 0,
      bytesOut: 0,
      messagesIn: 0,
      messagesOut: 0,
      state: 'open',
      tags: NO_TAGS,
    }
  }
}

/**
 * Binds every address of a `listen:` entry. When one cannot be bound, none is.
 * @throws SluiceError one sentence that says what to do
 */
export async function openListeners(endpoint: Endpoint, spec: ListenSpec): Promise<readonly Listener[]> {
  const { events } = endpoint.surroundings
  const listeners: Listener[] = []
  try {
    for (const address of spec.addresses) {
      // Several addresses with port 0 shall share the port that the first one was given.
      const port = address.port === 0 && listeners.length > 0 ? listeners[0]!.address.port : address.port
      const options = port === undefined ? address : { ...address, port }
      listeners.push(await spec.transport.listen(options, (socket) => void endpoint.accept(socket)))
    }
  } catch (thrown) {
    await Promise.all(listeners.map((listener) => listener.close()))
    const { code, message, hint } = toSluiceError(thrown, 'internal')
    throw new SluiceError(code, `${spec.name}: ${message}`, { cause: thrown, ...(hint !== undefined && { hint }) })
  }
  for (const { address } of listeners) {
    events.emit('listener.opened', { endpoint: spec.name, address, tls: spec.tls !== undefined })
  }
  return listeners
}

const STOPPING = 'the server is stopping'

const NO_TAGS = Object.freeze({})

/** The store of dead letters as the parts and connections of one endpoint use it: what is kept is counted and told. */
export function countDeadLetters(deadLetters: DeadLetters, counters: EndpointCounters, events: Events): DeadLetters {
  return {
    async add(message, error, step) {
      const id = await deadLetters.add(message, error, step)
      countReason(counters.deadLetters, error.code)
      events.emit('deadLetter.stored', { id, message, error })
      return id
    },
  }
}

/** Keeps a failed message as a dead letter. When even that fails, an event with the message is all that is left. */
export function createBurial(
  deadLetters: DeadLetters,
  counters: EndpointCounters,
  events: Events,
): (failure: Failure) => Promise<void> {
  return async ({ message, error, step }) => {
    if (step !== '') {
      countReason(counters.failed, error.code)
      events.emit('message.failed', { message, error, step, outcome: 'dead letter' })
    }
    try {
      await deadLetters.add(message, error, step)
    } catch (thrown) {
      events.emit('deadLetter.lost', { message, error, cause: toSluiceError(thrown, 'storage_failed') })
    }
  }
}

/** What the dataflows of an endpoint count and tell. */
export function createHooks(counters: EndpointCounters, events: Events): DataflowHooks {
  return {
    dropped(count) {
      counters.dropped += count
    },
    handled(message, error, step) {
      // A frame that was rejected has been told of already.
      if (step === '') return
      countReason(counters.failed, error.code)
      events.emit('message.failed', { message, error, step, outcome: 'handled' })
    },
  }
}
