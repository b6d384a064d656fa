import type { ListenPlan, Plan } from '../config/plan.ts'
import type { Address } from '../contracts/client.ts'
import { countReason } from '../contracts/counters.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Events } from '../contracts/events.ts'
import {
  isSameAddress,
  type Listener,
  type ListenOptions,
  type Socket,
  type Transport,
} from '../contracts/transport.ts'
import { handleOf } from '../transports/handle.ts'
import type { SocketAdapter } from '../transports/net-socket.ts'
import type { Handover } from './channel.ts'
import type { Accepted, WorkerHandle } from './worker-handle.ts'

/**
 * A worker that has not taken so many connections gets no more for now. It is busy, and whoever is quicker should have
 * them; and what else is said to it would stand behind them in the channel.
 */
const MOST_UNTAKEN = 8

/** An address that is bound, and the workers that want its connections. */
interface Entrance {
  readonly options: ListenOptions
  /** Name of the endpoint that it leads to; a reload may change it. */
  endpoint: string
  /** With the number by which each worker knows it. */
  readonly users: Map<WorkerHandle, number>
  /** Accepted while no worker could take them, oldest first. */
  readonly waiting: Accepted[]
  readonly listener: Promise<Listener>
  /** Known once it is bound. */
  address: Address | undefined
}

/**
 * Every address that the workers listen on. They are bound here, so that neither a dead worker nor a reload resets anybody
 * who waits, and each connection is handed to the worker with the fewest of its endpoint.
 *
 * ```
 *   accept ─▶ limit ─▶ given to a worker ─▶ taken: our copy is closed ─▶ gone
 *                │            └── the worker dies, or declines ─▶ given to another
 *                └── no worker is ready, or all are busy ─▶ waits ─▶ given to the first that is
 * ```
 */
export class Entrances {
  readonly #transport: Transport
  readonly #events: Events
  #plan: Plan
  readonly #entrances = new Set<Entrance>()
  readonly #workers: () => readonly WorkerHandle[]
  /** Nobody gets a connection before the start has succeeded, nor once the stop has begun. */
  #state: 'new' | 'open' | 'closed' = 'new'
  /** Where each connection came from that no worker has taken yet. */
  readonly #origins = new WeakMap<Accepted, Entrance>()
  #lastId = 0
  /** Of workers that have equally few connections each has its turn. */
  #turn = 0

  /** @param workers all that run, ready or not */
  constructor(transport: Transport, events: Events, plan: Plan, workers: () => readonly WorkerHandle[]) {
    this.#transport = transport
    this.#events = events
    this.#plan = plan
    this.#workers = workers
  }

  addresses(endpoint: string): readonly Address[] {
    return Array.from(this.#entrances)
      .filter((entrance) => entrance.endpoint === endpoint)
      .flatMap(({ address }) => address ?? [])
  }

  /** Gives connections to workers from now on. */
  open(): void {
    this.#state = 'open'
    for (const entrance of this.#entrances) this.#tellOf('listener.opened', entrance)
    this.giveWaiting()
  }

  /** Binds an address for a worker, unless it is bound. @throws SluiceError when it cannot be bound */
  async listen(worker: WorkerHandle, number: number, options: ListenOptions): Promise<Address> {
    if (this.#state === 'closed') throw new SluiceError('internal', 'the server is stopping')
    const entrance = this.#find(options) ?? this.#bind(options)
    entrance.users.set(worker, number)
    return (await entrance.listener).address
  }

  /** A worker wants no more connections of an address. */
  async unlisten(worker: WorkerHandle, number: number): Promise<void> {
    const entrance = Array.from(this.#entrances).find(({ users }) => users.get(worker) === number)
    entrance?.users.delete(worker)
    // One that could not start again has wanted nothing yet: who comes meanwhile waits for its next attempt.
    if (entrance !== undefined && worker.isReady) await this.#unbindUnused(entrance)
  }

  /** Takes the names and limits of another plan. */
  async follow(plan: Plan): Promise<void> {
    this.#plan = plan
    const used = new Set<Entrance>()
    for (const endpoint of plan.endpoints) {
      if (endpoint.kind !== 'listen') continue
      for (const options of endpoint.addresses) {
        const entrance = this.#find({ ...options, name: endpoint.name })
        if (entrance === undefined) continue
        entrance.endpoint = endpoint.name
        used.add(entrance)
      }
    }
    // Those of workers that have died, and that no worker will want again.
    for (const entrance of this.#entrances) if (!used.has(entrance)) await this.#unbindUnused(entrance)
  }

  /** Hears what becomes of a connection that was given to a worker. */
  hear(worker: WorkerHandle, { kind, id }: Handover): void {
    if (kind === 'taken') {
      worker.take(id)
    } else {
      const accepted = worker.remove(id)
      if (kind === 'declined' && accepted !== undefined) this.#give(accepted)
      else accepted?.stream?.destroy()
    }
    this.giveWaiting()
  }

  /** A worker has ended: what it had not taken goes to the others. */
  forget(worker: WorkerHandle): void {
    for (const { users } of this.#entrances) users.delete(worker)
    for (const { id, stream } of Array.from(worker.connections.values())) {
      const accepted = worker.remove(id)!
      if (stream !== undefined) this.#give(accepted)
    }
  }

  /** A worker can take connections again: it gets who has waited for that. */
  giveWaiting(): void {
    for (const { waiting, users } of this.#entrances) {
      while (waiting.length > 0 && this.#choose(users.keys(), waiting[0]!.endpoint) !== undefined) {
        this.#give(waiting.shift()!)
      }
    }
  }

  /** Unbinds everything. Who waits is turned away. */
  async close(): Promise<void> {
    this.#state = 'closed'
    const all = Array.from(this.#entrances)
    for (const { waiting } of all) for (const { stream } of waiting.splice(0)) stream?.destroy()
    await Promise.all(all.map((entrance) => this.#unbind(entrance)))
  }

  /** A port that the system chose belongs to the endpoint that asked for it. */
  #find(options: ListenOptions): Entrance | undefined {
    const isMeant = ({ options: bound, endpoint }: Entrance) =>
      isSameAddress(bound, options) && (options.port !== 0 || endpoint === options.name)
    return Array.from(this.#entrances).find(isMeant)
  }

  #bind(options: ListenOptions): Entrance {
    const entrance: Entrance = {
      options,
      endpoint: options.name ?? '',
      users: new Map(),
      waiting: [],
      listener: this.#transport.listen(options, (socket) => this.#accept(entrance, socket)),
      address: undefined,
    }
    this.#entrances.add(entrance)
    entrance.listener.then(
      ({ address }) => {
        entrance.address = address
        if (this.#state === 'open') this.#tellOf('listener.opened', entrance)
      },
      () => this.#entrances.delete(entrance),
    )
    return entrance
  }

  async #unbindUnused(entrance: Entrance): Promise<void> {
    if (entrance.users.size === 0) await this.#unbind(entrance)
  }

  async #unbind(entrance: Entrance): Promise<void> {
    this.#entrances.delete(entrance)
    const listener = await entrance.listener.catch(() => undefined)
    await listener?.close()
    for (const { stream } of entrance.waiting.splice(0)) stream?.destroy()
    if (listener !== undefined) this.#tellOf('listener.closed', entrance)
  }

  #accept(entrance: Entrance, socket: Socket): void {
    const { endpoint } = entrance
    const plan = this.#planOf(endpoint)
    const waiting = Array.from(this.#entrances).filter((one) => one.endpoint === endpoint)
    const here = waiting.reduce((sum, one) => sum + one.waiting.length, 0)
    const open = this.#workers().reduce((sum, worker) => sum + worker.count(endpoint), here)
    if (plan !== undefined && open >= plan.limits.maxConnections) {
      const detail = `limits.maxConnections is ${plan.limits.maxConnections}`
      const { remote } = socket
      countReason(plan.counters.refused, 'too_many_connections')
      this.#events.emit('connection.refused', { endpoint, remote, reason: 'too_many_connections', detail })
      socket.destroy()
      return
    }
    const { stream } = socket as SocketAdapter
    const accepted = { id: ++this.#lastId, endpoint, stream }
    this.#origins.set(accepted, entrance)
    this.#give(accepted)
  }

  /** Gives a connection to a worker, or lets it wait for one. */
  #give(accepted: Accepted): void {
    const { endpoint, stream } = accepted
    const entrance = this.#origins.get(accepted)
    const handle = stream && handleOf(stream)
    if (handle === undefined || entrance === undefined || !this.#entrances.has(entrance)) {
      stream?.destroy()
      return
    }
    const worker = this.#choose(entrance.users.keys(), endpoint)
    if (worker === undefined) {
      entrance.waiting.push(accepted)
      return
    }
    this.#turn++
    worker.give(accepted, entrance.users.get(worker)!, handle)
  }

  #choose(users: Iterable<WorkerHandle>, endpoint: string): WorkerHandle | undefined {
    if (this.#state !== 'open') return undefined
    const able = Array.from(users).filter(({ isReady, untaken }) => isReady && untaken < MOST_UNTAKEN)
    const fewest = Math.min(...able.map((worker) => worker.count(endpoint)))
    const equal = able.filter((worker) => worker.count(endpoint) === fewest)
    return equal[this.#turn % equal.length]
  }

  #planOf(endpoint: string): ListenPlan | undefined {
    return this.#plan.endpoints.find((one) => one.kind === 'listen' && one.name === endpoint) as ListenPlan | undefined
  }

  #tellOf(event: 'listener.opened' | 'listener.closed', { endpoint, address }: Entrance): void {
    if (address === undefined) return
    const plan = this.#planOf(endpoint)
    if (event === 'listener.closed') this.#events.emit(event, { endpoint, address })
    else this.#events.emit(event, { endpoint, address, tls: plan?.tls !== undefined })
  }
}
