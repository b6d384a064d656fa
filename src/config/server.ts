import { resolve } from 'node:path'
import { Directory } from '../clients/directory.ts'
import type { Address } from '../contracts/client.ts'
import type { Clock } from '../contracts/clock.ts'
import type {
  BufferCounters,
  DeadLetterCounters,
  EndpointCounters,
  ObservedDevice,
  ObservedEndpoint,
} from '../contracts/counters.ts'
import { SluiceError } from '../contracts/errors.ts'
import { createEvents, type Events, type ReloadReport } from '../contracts/events.ts'
import type { Storage } from '../contracts/storage.ts'
import { DeadLetterStore } from '../delivery/dead-letters.ts'
import { Engine, type ServerState } from '../engine/server.ts'
import { Sources } from '../source/sources.ts'
import { createStorage } from '../storage/storage.ts'
import { adoptSocket, type NetSocket } from '../transports/net-socket.ts'
import { createTcp } from '../transports/tcp.ts'
import { endedOrLate } from '../util/signals.ts'
import { findOrphans } from './buffers.ts'
import { type Built, build, type World } from './build.ts'
import { createClock } from './clock.ts'
import { DataFolder, requireDataFolder } from './data-folder.ts'
import { afterReload, diffPlans, diskBuffersOf, requireBuffersKept, requireFreeAddresses } from './diff.ts'
import { importPackage } from './packages.ts'
import type { Plan } from './plan.ts'
import type { PlannedServer, Replan, Wiring } from './planned-server.ts'
import { failureOf } from './reload-failure.ts'
import { type RetryReport, retryDeadLetters } from './retry-dead-letters.ts'
import { createShare } from './share.ts'

/** Milliseconds that a stop may take unless told otherwise. */
export const DEFAULT_DRAIN_MS = 15_000

/** Makes a server of a plan. Nothing is opened before `start`. */
export function createServerFromPlan<Source = never>(
  plan: Plan,
  wiring: Wiring = {},
  replan: Replan<Source> = () => plan,
): PlannedServer<Source> {
  return new ServerOfPlan(plan, wiring, replan)
}

class ServerOfPlan<Source> implements PlannedServer<Source> {
  readonly clients = new Directory()
  readonly events: Events
  #plan: Plan
  readonly #wiring: Wiring
  readonly #clock: Clock
  readonly #replan: Replan<Source>
  /** Aborted when the stop may take no longer. */
  readonly #late = new AbortController()
  readonly #storage: Storage
  readonly #data: DataFolder
  /** Undefined where another one stands in. */
  readonly #deadLetters: DeadLetterStore | undefined
  readonly #share = createShare()
  /** By name, also of endpoints that are gone: metrics only grow. */
  readonly #counters = new Map<string, EndpointCounters>()
  #engine: Engine | undefined = undefined
  #sources: Sources | undefined = undefined
  #world: World | undefined = undefined
  #built: Built | undefined = undefined
  /** What was built before a reload, until its last run has ended. */
  readonly #retired = new Set<Built>()
  /** Settles when no reload is under way. */
  #reloading: Promise<unknown> = Promise.resolve()
  /** Settles when no dead letter is being retried. */
  #retrying: Promise<unknown> = Promise.resolve()
  #starting: Promise<void> | undefined = undefined
  #stopping: Promise<void> | undefined = undefined
  #closed = false

  constructor(plan: Plan, wiring: Wiring, replan: Replan<Source>) {
    this.#plan = plan
    this.#wiring = wiring
    this.#replan = replan
    // A listener's own mistake must not stop the server, and must not pass in silence either.
    this.events = createEvents(warn)
    const folder = resolve(plan.baseDir, plan.data.dir)
    this.#data = new DataFolder(wiring.ownFolder ?? folder)
    this.#storage = createStorage({ own: folder })
    this.#clock = wiring.clock ?? createClock()
    if (wiring.deadLetters !== undefined) return
    const { now } = this.#clock
    const options = { ...plan.data.deadLetters, events: this.events, now, signal: this.#late.signal }
    this.#deadLetters = new DeadLetterStore(this.#storage, folder, options)
  }

  get state(): ServerState {
    if (this.#engine !== undefined) return this.#engine.state
    if (this.#closed) return 'stopped'
    if (this.#stopping !== undefined) return 'draining'
    return this.#starting === undefined ? 'new' : 'starting'
  }

  get endpoints(): readonly ObservedEndpoint[] {
    const sockets = (this.#engine?.endpoints ?? []).map((endpoint) => ({
      ...endpoint,
      devices: this.#devicesOf(endpoint.name),
      upstreams: this.#built?.upstreams.get(endpoint.name),
    }))
    return [...sockets, ...(this.#sources?.endpoints ?? [])]
  }

  #devicesOf(name: string): readonly ObservedDevice[] | undefined {
    const plan = this.#plan.endpoints.find((endpoint) => endpoint.name === name)
    if (plan?.kind !== 'connect') return undefined
    const ids = plan.devices.flatMap(({ id }) => id ?? [])
    if (ids.length === 0) return undefined
    return ids.map((id) => ({ id, connected: this.clients.get(id)?.endpoint === name }))
  }

  get buffers(): readonly BufferCounters[] {
    return this.#built?.buffers ?? []
  }

  get deadLetters(): DeadLetterCounters | undefined {
    return this.#deadLetters?.counters
  }

  start(): Promise<void> {
    if (this.#starting !== undefined || this.#stopping !== undefined) {
      return Promise.reject(new SluiceError('internal', 'a server is started once; make another one with createServer'))
    }
    this.#starting = this.#start()
    return this.#starting
  }

  async #start(): Promise<void> {
    const { events, clients } = this
    const clock = this.#clock
    const deadLetters = this.#wiring.deadLetters ?? this.#deadLetters!
    try {
      await this.#plan.ready()
      if (this.#deadLetters !== undefined) {
        requireDataFolder(this.#data.path)
        await this.#deadLetters.open()
      }
      this.#world = {
        events,
        clients: this.#wiring.clients?.(clients) ?? clients,
        clock,
        deadLetters,
        data: this.#data,
        storage: this.#storage,
        share: this.#share,
        tcp: this.#wiring.transport ?? createTcp(this.#wiring.inherited),
        signal: this.#late.signal,
        lineFraming: this.#plan.lineFraming,
        importPackage: (name) => importPackage(name, this.#plan.baseDir),
        ...(this.#wiring.replaceSink && { replaceSink: this.#wiring.replaceSink }),
      }
      this.#built = await build(this.#plan, this.#world)
      await this.#tellOfOrphans()
      this.#built.activate()
      this.#late.signal.throwIfAborted()
      const { clientPrefix = '' } = this.#wiring
      const surroundings = { events, clock, boot: clock.uuid(), deadLetters, clientPrefix }
      this.#engine = new Engine(surroundings, clients)
      this.#sources = new Sources({ ...surroundings, late: this.#late.signal })
      await this.#engine.start(this.#built.endpoints)
      void this.#sources.exchange(this.#built.sources)
      this.#remember(this.#plan)
    } catch (thrown) {
      await this.#close()
      throw thrown
    }
  }

  /** Nothing delivers what waits for a step that is not there: somebody has to know. */
  async #tellOfOrphans(): Promise<void> {
    const orphans = await findOrphans(this.#storage, this.#data, diskBuffersOf(this.#plan))
    for (const orphan of orphans) this.events.emit('buffer.orphaned', orphan)
  }

  reload(source: Source): Promise<ReloadReport> {
    const report = this.#reloading.then(() => this.#reload(source))
    this.#reloading = report.catch(() => undefined)
    return report
  }

  async #reload(source: Source): Promise<ReloadReport> {
    try {
      await this.#starting
      if (this.#engine?.state !== 'running') {
        throw new SluiceError('internal', `a server is reloaded while it is running, and this one is ${this.state}`)
      }
      const next = await this.#replan(source, this.#counters)
      await next.ready()
      const report = diffPlans(this.#plan, next)
      requireFreeAddresses(this.#plan, next)
      requireBuffersKept(this.buffers, next)
      await this.#exchange(this.#engine, next)
      this.events.emit('server.reloaded', report)
      return report
    } catch (thrown) {
      this.events.emit('server.reloadFailed', failureOf(thrown))
      throw thrown
    }
  }

  /** Builds the parts of another plan and puts them in the place of the old ones, which are closed when nothing uses them. */
  async #exchange(engine: Engine, next: Plan): Promise<void> {
    const old = this.#built!
    const built = await build(next, { ...this.#world!, lineFraming: next.lineFraming })
    let released: Promise<unknown>
    try {
      released = (await engine.reload(built.endpoints, DEFAULT_DRAIN_MS)).released
      released = Promise.all([released, this.#sources!.exchange(built.sources)])
    } catch (thrown) {
      await built.close().catch(warn)
      throw thrown
    }
    this.#built = built
    built.activate()
    this.#remember(afterReload(this.#plan, next))
    this.#retired.add(old)
    const closed = Promise.all([released, this.#retrying])
      .then(() => old.close())
      .then(() => this.#tellOfOrphans())
      .catch(warn)
    void closed.finally(() => this.#retired.delete(old))
  }

  retryDeadLetters(ids: readonly number[]): Promise<RetryReport> {
    const store = this.#deadLetters
    if (store === undefined || this.state !== 'running') {
      const text = `dead letters are retried by a server that is running, and this one is ${this.state}`
      return Promise.reject(new SluiceError('internal', text))
    }
    const around = {
      store,
      clock: this.#clock,
      events: this.events,
      entryPoints: () => this.#built!.entryPoints,
      isRunning: () => this.state === 'running',
    }
    const report = this.#retrying.then(() => retryDeadLetters(ids, around))
    this.#retrying = report
    return report
  }

  #remember(plan: Plan): void {
    this.#plan = plan
    for (const { name, counters } of plan.endpoints) this.#counters.set(name, counters)
  }

  stop({ deadline = DEFAULT_DRAIN_MS }: { readonly deadline?: number } = {}): Promise<void> {
    const timer = setTimeout(() => this.#late.abort(), Math.min(deadline, LONGEST_TIMER_MS))
    this.#stopping ??= this.#stop(deadline)
    return this.#stopping.finally(() => clearTimeout(timer))
  }

  address(endpoint: string): Address | undefined {
    return this.addresses(endpoint)[0]
  }

  addresses(endpoint: string): readonly Address[] {
    return this.#engine?.addresses(endpoint) ?? []
  }

  async handle(socket: NetSocket, endpoint: string): Promise<void> {
    if (this.#engine === undefined) throw new Error('start the server before you give it a socket')
    await this.#engine.handle(adoptSocket(socket), endpoint)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  async #stop(deadline: number): Promise<void> {
    const { signal } = this.#late
    if (this.#starting !== undefined && this.state !== 'running') {
      // A start that fails closes everything itself, and says why to whoever called it.
      const started = this.#starting.catch(() => undefined)
      await endedOrLate(started, signal)
    }
    if (this.#engine?.state === 'running') await this.#engine.drain(deadline, signal, () => this.#sources!.drain())
    await endedOrLate(this.#retrying, signal)
    // A reload that is under way cannot come to its end any more; it closes what it has opened.
    await endedOrLate(this.#reloading, signal)
    await this.#close()
  }

  async #close(): Promise<void> {
    const { signal } = this.#late
    const built = [...this.#retired, ...(this.#built === undefined ? [] : [this.#built])]
    await endedOrLate(Promise.all(built.map((one) => one.close().catch(warn))), signal)
    await endedOrLate(this.#closeStorage().catch(warn), signal)
    this.#closed = true
  }

  async #closeStorage(): Promise<void> {
    await this.#deadLetters?.close()
    await this.#storage.close()
    this.#data.unlock()
  }
}

/** Node's timers cannot wait longer; a longer time would be over at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

/** For mistakes of others, such as a listener or a part that cannot be closed: they stop nothing, and are not hidden. */
function warn(error: unknown): void {
  process.emitWarning(error instanceof Error ? error : String(error))
}
