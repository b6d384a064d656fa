import type { Directory } from '../clients/directory.ts'
import type { Address } from '../contracts/client.ts'
import type { Observed, ObservedEndpoint } from '../contracts/counters.ts'
import { SluiceError } from '../contracts/errors.ts'
import { isSameAddress, type Socket } from '../contracts/transport.ts'
import { endedOrLate, whenAborted } from '../util/signals.ts'
import { Dialers } from './dialer.ts'
import { Endpoint, Entrance } from './endpoint.ts'
import type { ConnectSpec, ListenSpec, Surroundings } from './spec.ts'

type Spec = ListenSpec | ConnectSpec

/** Where a server is in its life; it goes through these in order, once. */
export type ServerState = 'new' | 'starting' | 'running' | 'draining' | 'stopped'

/**
 * All endpoints together: start, reload, drain, stop.
 *
 * ```
 *   start:  bind every address ─▶ switch        a failed bind undoes the others
 *   reload: bind what is new ─▶ switch ─▶ unbind what is gone, drain its connections
 *   switch: every address leads to its endpoint, every endpoint has its new spec, new ones dial; in one go
 *   drain:  unbind ─▶ stop dialling and polling ─▶ sources finish ─▶ stop reading ─▶ finish what has arrived ─▶ close
 *                                                    └── when it is late: end what is left
 * ```
 */
export class Engine implements Pick<Observed, 'endpoints'> {
  state: ServerState = 'new'
  readonly #surroundings: Surroundings
  readonly #directory: Directory
  readonly #endpoints = new Map<string, Endpoint>()
  /** Taken away by a reload, and not yet at the end of their work. */
  readonly #leaving = new Set<Endpoint>()
  /** What is bound, and the name of the endpoint that it leads to. */
  #entrances: ReadonlyMap<Entrance, string> = new Map()
  readonly #dialers = new Map<Endpoint, Dialers>()

  constructor(surroundings: Surroundings, directory: Directory) {
    this.#surroundings = surroundings
    this.#directory = directory
  }

  get endpoints(): readonly ObservedEndpoint[] {
    // One that left and one that came back under its name count together.
    const named = Map.groupBy(this.#all, ({ spec }) => spec.name)
    return Array.from(named.values(), (group) => {
      const { name, kind, counters } = group[0]!.spec
      return { name, kind, counters, connections: group.reduce((sum, { open }) => sum + open, 0) }
    })
  }

  /** The real addresses of a `listen:` endpoint: port 0 has become a port. */
  addresses(name: string): readonly Address[] {
    return Array.from(this.#entrances)
      .filter(([, endpoint]) => endpoint === name)
      .map(([{ address }]) => address)
  }

  /** @throws SluiceError when an address cannot be bound; nothing is then left open */
  async start(specs: readonly Spec[]): Promise<void> {
    this.state = 'starting'
    try {
      await this.reload(specs, 0)
    } catch (thrown) {
      this.state = 'stopped'
      throw thrown
    }
    this.state = 'running'
    this.#surroundings.events.emit('server.started', {})
  }

  /**
   * Takes other specs while it runs. Endpoints of the same name and kind keep their connections, addresses that stay the
   * same are not unbound, and runs in flight end where they began.
   * @param deadlineMs what connections of endpoints that are gone may take to finish
   * @returns resolves after the switch; `released` does when nothing old is in use any more
   * @throws SluiceError when an address cannot be bound, or the server is stopping; nothing has changed then
   */
  async reload(specs: readonly Spec[], deadlineMs: number): Promise<{ readonly released: Promise<unknown> }> {
    const bound = new Map<Entrance, string>()
    const opened: Entrance[] = []
    try {
      for (const spec of specs) {
        if (spec.kind === 'connect') continue
        let first: Entrance | undefined
        for (const options of spec.addresses) {
          // A port that the system chose belongs to the endpoint that asked for it.
          const stays = ([one, name]: readonly [Entrance, string]) =>
            isSameAddress(one.options, options) && (options.port !== 0 || name === spec.name)
          let entrance = Array.from(this.#entrances).find(stays)?.[0]
          if (entrance === undefined) {
            entrance = new Entrance(options)
            await entrance.open(spec, (options.port === 0 && first?.address.port) || options.port)
            opened.push(entrance)
          }
          first ??= entrance
          bound.set(entrance, spec.name)
        }
      }
      if (this.state !== 'starting' && this.state !== 'running')
        throw new SluiceError('internal', 'the server is stopping')
    } catch (thrown) {
      await this.#unbind(opened)
      throw thrown
    }
    return { released: this.#switch(specs, bound, deadlineMs) }
  }

  /** Takes a socket that the caller has accepted himself. */
  async handle(socket: Socket, name: string): Promise<void> {
    const endpoint = this.#endpoints.get(name)
    if (endpoint === undefined) throw new SluiceError('internal', `there is no endpoint "${name}"`)
    await endpoint.accept(socket)
  }

  /**
   * Stops in order. Called once.
   * @param deadlineMs for those who watch: when `late` will be aborted
   * @param late aborted when what is left shall be ended at once
   * @param sources drains what sends to our clients without being one: they must still be there
   */
  async drain(deadlineMs: number, late: AbortSignal, sources?: () => Promise<void>): Promise<void> {
    this.state = 'draining'
    this.#surroundings.events.emit('server.draining', { deadlineMs })
    const unbound = this.#unbind(Array.from(this.#entrances.keys()))
    this.#entrances = new Map()
    for (const dialers of this.#dialers.values()) dialers.stop()
    const first = sources?.()
    const all = this.#all
    const ended = Promise.all([first, ...all.map((endpoint) => endpoint.drain(first))])
    whenAborted(late, () => {
      for (const endpoint of all) endpoint.terminate()
    })
    await endedOrLate(ended, late)
    await unbound
    this.state = 'stopped'
    this.#surroundings.events.emit('server.stopped', {})
  }

  get #all(): readonly Endpoint[] {
    return [...this.#endpoints.values(), ...this.#leaving]
  }

  #switch(specs: readonly Spec[], entrances: ReadonlyMap<Entrance, string>, deadlineMs: number): Promise<unknown> {
    const released: Promise<unknown>[] = []
    const before = new Map(this.#endpoints)
    this.#endpoints.clear()
    for (const spec of specs) {
      const old = before.get(spec.name)
      const stays = old?.spec.kind === spec.kind
      const endpoint = stays ? old : new Endpoint(spec, this.#surroundings, this.#directory)
      this.#endpoints.set(spec.name, endpoint)
      if (stays) {
        before.delete(spec.name)
        released.push(endpoint.replace(spec))
      }
      if (spec.kind === 'listen') continue
      const dialers = this.#dialers.get(endpoint) ?? new Dialers()
      this.#dialers.set(endpoint, dialers)
      dialers.replace(endpoint, spec)
    }
    const gone = Array.from(this.#entrances.keys()).filter((entrance) => !entrances.has(entrance))
    this.#entrances = entrances
    for (const [entrance, name] of entrances) entrance.leadTo(this.#endpoints.get(name)!)
    released.push(this.#unbind(gone), ...Array.from(before.values(), (endpoint) => this.#leave(endpoint, deadlineMs)))
    return Promise.all(released)
  }

  /** Drains an endpoint that a reload has taken away. */
  async #leave(endpoint: Endpoint, deadlineMs: number): Promise<void> {
    this.#leaving.add(endpoint)
    this.#dialers.get(endpoint)?.stop()
    this.#dialers.delete(endpoint)
    const timer = setTimeout(() => endpoint.terminate(), deadlineMs).unref()
    await endpoint.drain()
    clearTimeout(timer)
    this.#leaving.delete(endpoint)
  }

  async #unbind(entrances: readonly Entrance[]): Promise<void> {
    await Promise.all(entrances.map((entrance) => entrance.close()))
  }
}
