import type { Directory } from '../clients/directory.ts'
import type { BufferCounters, EndpointCounters, ObservedDevice, ObservedEndpoint } from '../contracts/counters.ts'
import type { ReloadReport } from '../contracts/events.ts'
import type { DeadLetterStore } from '../delivery/dead-letters.ts'
import { Engine } from '../engine/server.ts'
import { Sources } from '../source/sources.ts'
import { endedOrLate } from '../util/signals.ts'
import { warn } from '../util/warn.ts'
import { type Built, build } from './build.ts'
import { afterReload, diffPlans, requireBuffersKept, requireFreeAddresses } from './diff.ts'
import { tellOfOrphans } from './orphans.ts'
import type { Plan } from './planned.ts'
import { DEFAULT_DRAIN_MS } from './planned-server.ts'
import type { CountersByName } from './planner.ts'
import { type RetryReport, retryDeadLetters } from './retry-dead-letters.ts'
import type { World } from './world.ts'

/**
 * A plan at work: the parts that were built of it, and the engine and the sources that run them. A reload puts another plan
 * in its place.
 */
export class Running {
  readonly engine: Engine
  readonly #sources: Sources
  readonly #clients: Directory
  readonly #world: World
  #plan: Plan
  #built: Built
  /** What was built before a reload, until its last run has ended. */
  readonly #retired = new Set<Built>()
  /** By name, also of endpoints that are gone: metrics only grow. */
  readonly #counters = new Map<string, EndpointCounters>()
  /** Settles when no dead letter is being retried. */
  #retrying: Promise<unknown> = Promise.resolve()

  /**
   * @param built of the plan; it is closed here
   * @param clientPrefix stands before the number in each client's id
   */
  constructor(plan: Plan, built: Built, world: World, clients: Directory, clientPrefix: string) {
    const { events, clock, deadLetters, signal } = world
    const surroundings = { events, clock, boot: clock.uuid(), deadLetters, clientPrefix }
    this.engine = new Engine(surroundings, clients)
    this.#sources = new Sources({ ...surroundings, late: signal })
    this.#clients = clients
    this.#world = world
    this.#plan = plan
    this.#built = built
    this.#remember(plan)
  }

  get endpoints(): readonly ObservedEndpoint[] {
    const sockets = this.engine.endpoints.map((endpoint) => ({
      ...endpoint,
      devices: this.#devicesOf(endpoint.name),
      upstreams: this.#built.upstreams.get(endpoint.name),
    }))
    return [...sockets, ...this.#sources.endpoints]
  }

  get buffers(): readonly BufferCounters[] {
    return this.#built.buffers
  }

  /** Of all endpoints that there have been: another plan goes on with them. */
  get counters(): CountersByName {
    return this.#counters
  }

  /** @throws SluiceError when an address cannot be bound, or the server has been stopped meanwhile */
  async start(): Promise<void> {
    await tellOfOrphans(this.#plan, this.#world)
    this.#built.activate()
    this.#world.signal.throwIfAborted()
    await this.engine.start(this.#built.endpoints)
    void this.#sources.exchange(this.#built.sources)
  }

  /**
   * Builds the parts of another plan and puts them in the place of the old ones, which are closed when nothing uses them.
   * @throws SluiceError for what cannot be opened; nothing has changed then
   */
  async reload(next: Plan): Promise<ReloadReport> {
    const report = diffPlans(this.#plan, next)
    requireFreeAddresses(this.#plan, next)
    requireBuffersKept(this.buffers, next)
    const built = await build(next, { ...this.#world, lineFraming: next.lineFraming })
    let released: Promise<unknown>
    try {
      released = (await this.engine.reload(built.endpoints, DEFAULT_DRAIN_MS)).released
      released = Promise.all([released, this.#sources.exchange(built.sources)])
    } catch (thrown) {
      await built.close().catch(warn)
      throw thrown
    }
    const old = this.#built
    this.#built = built
    built.activate()
    this.#plan = afterReload(this.#plan, next)
    this.#remember(next)
    this.#retire(old, released)
    return report
  }

  /** Takes dead letters through the dataflows that are in force, after those that were asked for before. */
  retryDeadLetters(ids: readonly number[], store: DeadLetterStore): Promise<RetryReport> {
    const { clock, events } = this.#world
    const around = {
      store,
      clock,
      events,
      entryPoints: () => this.#built.entryPoints,
      isRunning: () => this.engine.state === 'running',
    }
    const report = this.#retrying.then(() => retryDeadLetters(ids, around))
    this.#retrying = report
    return report
  }

  /** Finishes what is under way. @param deadlineMs for those who watch */
  async drain(deadlineMs: number): Promise<void> {
    const { signal } = this.#world
    if (this.engine.state === 'running') await this.engine.drain(deadlineMs, signal, () => this.#sources.drain())
    await endedOrLate(this.#retrying, signal)
  }

  /** Closes all parts. Never rejects. */
  async close(): Promise<void> {
    await Promise.all([...this.#retired, this.#built].map((built) => built.close().catch(warn)))
  }

  #devicesOf(name: string): readonly ObservedDevice[] | undefined {
    const plan = this.#plan.endpoints.find((endpoint) => endpoint.name === name)
    if (plan?.kind !== 'connect') return undefined
    const ids = plan.devices.flatMap(({ id }) => id ?? [])
    if (ids.length === 0) return undefined
    return ids.map((id) => ({ id, connected: this.#clients.get(id)?.endpoint === name }))
  }

  #remember({ endpoints }: Plan): void {
    for (const { name, counters } of endpoints) this.#counters.set(name, counters)
  }

  /** Closes what a reload has replaced when its last run has ended. */
  #retire(old: Built, released: Promise<unknown>): void {
    this.#retired.add(old)
    const closed = Promise.all([released, this.#retrying])
      .then(() => old.close())
      .then(() => tellOfOrphans(this.#plan, this.#world))
      .catch(warn)
    void closed.finally(() => this.#retired.delete(old))
  }
}
