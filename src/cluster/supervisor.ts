import { type ChildProcess, fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { ConfigError } from '../config/config-error.ts'
import { afterReload, diffPlans, requireBuffersKept, requireFreeAddresses } from '../config/diff.ts'
import type { Plan } from '../config/plan.ts'
import { DEFAULT_DRAIN_MS, type RunnableServer } from '../config/planned-server.ts'
import { formatProblems } from '../config/problems.ts'
import { readPlan } from '../config/read-plan.ts'
import { failureOf } from '../config/reload-failure.ts'
import type { KeptLetter, RetryReport } from '../config/retry-dead-letters.ts'
import type { Address } from '../contracts/client.ts'
import type { EndpointCounters, ObservedEndpoint } from '../contracts/counters.ts'
import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import { createEvents, type ReloadReport } from '../contracts/events.ts'
import type { ServerState } from '../engine/server.ts'
import type { LogOptions } from '../observe/log.ts'
import type { Metrics } from '../observe/metrics.ts'
import type { InheritedSockets } from '../transports/inherited.ts'
import { createTcp } from '../transports/tcp.ts'
import { warn } from '../util/warn.ts'
import { adoptLeftovers } from './adopt.ts'
import { routesToClients } from './client-routes.ts'
import { assignConnects, type Connects } from './connects.ts'
import { Entrances } from './entrances.ts'
import { GatheredMetrics } from './gathered-metrics.ts'
import type { SupervisorApi, WorkerSource } from './protocol.ts'
import { Slot, type SlotSurroundings } from './slot.ts'
import { WorkerHandle } from './worker-handle.ts'
import { isPort } from './worker-transport.ts'

export interface SupervisorOptions {
  /** The checked configuration, what stands in its file (undefined for a module), and the name of that. */
  readonly plan: Plan
  readonly text: string | undefined
  readonly file: string
  readonly inherited: InheritedSockets
  /** Where `${env.NAME}` looks at a reload. */
  readonly env: NodeJS.ProcessEnv
  /** How the workers write their log. */
  readonly log: Pick<LogOptions, 'format' | 'color'>
  /** The module that a worker runs. */
  readonly workerFile: URL
  /** Told at a reload which files and folders the configuration is read from now. */
  readonly follow?: (paths: readonly string[]) => void
}

/** What is in force: the configuration file, and who dials what. */
interface Source {
  readonly text: string | undefined
  readonly connects: Connects
}

/**
 * A server of several processes: this one accepts and hands over, the others work. It reads no byte of a connection, runs
 * no dataflow and opens no file of the data, so that there is little in it that could fail.
 */
export class Supervisor implements RunnableServer<(warnings: string) => void> {
  readonly events = createEvents(warn)
  readonly buffers = []
  readonly deadLetters = undefined
  readonly #options: SupervisorOptions
  readonly #slots: readonly Slot[]
  readonly #entrances: Entrances
  readonly #gathered = new GatheredMetrics(() => this.#ready)
  readonly #ticketKeys = randomBytes(48)
  /** By name, also of endpoints that are gone: metrics only grow. */
  readonly #counters = new Map<string, EndpointCounters>()
  #plan: Plan
  #source: Source
  #phase: Exclude<ServerState, 'draining'> = 'new'
  #stopping: Promise<void> | undefined = undefined
  /** Settles when no reload is under way. */
  #reloading: Promise<unknown> = Promise.resolve()
  /** Settles when no dead letter is being retried. */
  #retrying: Promise<unknown> = Promise.resolve()

  constructor(options: SupervisorOptions) {
    const { plan, text, inherited } = options
    this.#options = options
    this.#plan = plan
    this.#remember(plan)
    this.#source = { text, connects: assignConnects(plan, new Map()) }
    this.#entrances = new Entrances(createTcp(inherited), this.events, plan, () => this.#workers)
    const around = this.#surroundings()
    this.#slots = Array.from({ length: plan.workers }, (_, i) => new Slot(i + 1, around))
  }

  /** `starting` also while no worker takes connections. */
  get state(): ServerState {
    if (this.#phase === 'stopped') return 'stopped'
    if (this.#stopping !== undefined) return 'draining'
    return this.#phase === 'running' && this.#ready.length === 0 ? 'starting' : this.#phase
  }

  /** What is counted here: connections that no worker was given. */
  get endpoints(): readonly ObservedEndpoint[] {
    return this.#plan.endpoints.map(({ name, kind, counters }) => ({ name, kind, counters, connections: 0 }))
  }

  get workers(): number {
    return this.#ready.length
  }

  address(endpoint: string): Address | undefined {
    return this.#entrances.addresses(endpoint)[0] ?? this.#sharedAddress(endpoint)
  }

  /** The metrics of all workers together. @param own those of this process */
  metrics(own: Metrics): Metrics {
    return this.#gathered.with(own)
  }

  async start(): Promise<void> {
    this.#phase = 'starting'
    try {
      adoptLeftovers(this.#plan, this.#source.connects, (adopted) => this.events.emit('buffer.adopted', adopted))
      // What keeps one from starting keeps all; the first tells.
      const [first, ...others] = this.#slots
      await first!.start()
      if (this.#stopping === undefined) await Promise.all(others.map((slot) => slot.start()))
    } catch (thrown) {
      await Promise.all([this.#entrances.close(), ...this.#slots.map((slot) => slot.stop(0))])
      this.#phase = 'stopped'
      throw thrown
    }
    if (this.#stopping !== undefined) return
    this.#entrances.open()
    this.#phase = 'running'
    this.events.emit('server.started', {})
  }

  stop({ deadline = DEFAULT_DRAIN_MS }: { readonly deadline?: number } = {}): Promise<void> {
    const ended = Promise.all(this.#slots.map((slot) => slot.stop(deadline)))
    this.#stopping ??= this.#stop(deadline, ended)
    return this.#stopping
  }

  reload(tell: (warnings: string) => void): Promise<ReloadReport> {
    const report = this.#reloading.then(() => this.#reload(tell))
    this.#reloading = report.catch(() => undefined)
    return report
  }

  /** Each dead letter is retried by the first worker that has its endpoint. */
  retryDeadLetters(ids: readonly number[]): Promise<RetryReport> {
    const report = this.#retrying.then(() => this.#retry(ids))
    this.#retrying = report.catch(() => undefined)
    return report
  }

  /** Where each worker has bound the port itself. */
  #sharedAddress(endpoint: string): Address | undefined {
    const plan = this.#plan.endpoints.find(({ name }) => name === endpoint)
    if (this.#plan.balance !== 'reusePort' || plan?.kind !== 'listen') return undefined
    const [address] = plan.addresses.filter(isPort)
    return address && { ip: address.host ?? '::', port: address.port ?? 0 }
  }

  get #workers(): readonly WorkerHandle[] {
    return this.#slots.flatMap(({ worker }) => worker ?? [])
  }

  get #ready(): readonly WorkerHandle[] {
    return this.#workers.filter(({ isReady }) => isReady)
  }

  async #stop(deadline: number, ended: Promise<unknown>): Promise<void> {
    this.events.emit('server.draining', { deadlineMs: deadline })
    await Promise.all([this.#entrances.close(), ended])
    this.#phase = 'stopped'
    this.events.emit('server.stopped', {})
  }

  async #reload(tell: (warnings: string) => void): Promise<ReloadReport> {
    try {
      if (this.#phase !== 'running' || this.#stopping !== undefined) {
        throw new SluiceError('internal', `a server is reloaded while it is running, and this one is ${this.state}`)
      }
      const { file, env } = this.#options
      const { plan: next, problems, text, watched } = await readPlan(file, env, { counters: this.#counters })
      if (next === undefined) throw new ConfigError(problems)
      this.#options.follow?.(watched)
      tell(formatProblems(problems))
      const report = diffPlans(this.#plan, next)
      requireFreeAddresses(this.#plan, next)
      // What waits for a worker that ends meanwhile is told of when the next one begins.
      const asked = this.#ready.map((worker) => worker.channel.ask('buffers').catch(() => []))
      const buffers = await Promise.all(asked)
      requireBuffersKept(buffers.flat(), next)
      await this.#exchange(next, { text, connects: assignConnects(next, this.#source.connects) })
      this.events.emit('server.reloaded', report)
      return report
    } catch (thrown) {
      this.events.emit('server.reloadFailed', failureOf(thrown))
      throw thrown
    }
  }

  /** The first worker tries whether all can be opened; after that there is no way back. */
  async #exchange(next: Plan, source: Source): Promise<void> {
    const [first] = this.#ready
    if (first !== undefined) {
      await first.channel.ask('reload', sourceFor(first.slot, source))
      first.source = source
    }
    this.#source = source
    this.#plan = afterReload(this.#plan, next)
    this.#remember(this.#plan)
    const reloadOne = async (worker: WorkerHandle) => {
      try {
        await worker.channel.ask('reload', sourceFor(worker.slot, source))
        worker.source = source
      } catch (thrown) {
        const why = `it could not reload: ${toSluiceError(thrown, 'internal').message}`
        this.#slots[worker.slot - 1]!.restart(DEFAULT_DRAIN_MS, why)
      }
    }
    // One that has begun meanwhile looks itself.
    await Promise.all(this.#ready.filter((worker) => worker !== first).map(reloadOne))
    await this.#entrances.follow(this.#plan)
  }

  async #retry(ids: readonly number[]): Promise<RetryReport> {
    if (this.state !== 'running') {
      throw new SluiceError(
        'internal',
        `dead letters are retried by a server that is running, and this one is ${this.state}`,
      )
    }
    const done: number[] = []
    const kept: KeptLetter[] = []
    let open: readonly KeptLetter[] = ids.map((id) => ({ id, reason: 'no worker is ready', tried: false }))
    let repliesSkipped = 0
    for (const worker of this.#ready) {
      if (open.length === 0) break
      const untried = open.map(({ id }) => id)
      const report = await worker.channel.ask('retryDeadLetters', untried)
      done.push(...report.done)
      // What the worker that has the endpoint says is true; the others know nothing of it.
      kept.push(...report.kept.filter(({ elsewhere }) => !elsewhere))
      open = report.kept.filter(({ elsewhere }) => elsewhere)
      repliesSkipped += report.repliesSkipped
    }
    return { done, kept: [...kept, ...open], repliesSkipped }
  }

  #remember({ endpoints }: Plan): void {
    for (const { name, counters } of endpoints) this.#counters.set(name, counters)
  }

  #surroundings(): SlotSurroundings {
    const { file, log, workerFile } = this.#options
    return {
      events: this.events,
      fork: () => forkWorker(workerFile),
      create: (slot, child) =>
        new WorkerHandle(
          slot,
          this.#source,
          child,
          (worker) => this.#apiFor(worker),
          (worker, message) => this.#entrances.hear(worker, message),
        ),
      task: (slot) => {
        const { admin, log: level, data, workers, balance } = this.#plan
        const settings = { admin, log: level, data, workers, balance }
        return { ...sourceFor(slot, this.#source), slot, file, log, settings, ticketKeys: this.#ticketKeys }
      },
      source: () => this.#source,
      sourceFor: (slot) => sourceFor(slot, this.#source),
      ready: () => this.#entrances.giveWaiting(),
      ended: (worker) => {
        this.#entrances.forget(worker)
        this.#gathered.keep(worker)
      },
    }
  }

  #apiFor(worker: WorkerHandle): SupervisorApi {
    return {
      listen: (number, options) => this.#entrances.listen(worker, number, options),
      unlisten: (number) => this.#entrances.unlisten(worker, number),
      ...routesToClients(worker, () => this.#ready),
    }
  }
}

function sourceFor(slot: number, { text, connects }: Source): WorkerSource {
  const mine = Array.from(connects).filter(([, assigned]) => assigned === slot)
  return { text, connects: mine.map(([name]) => name) }
}

/** Values go through the channel as they are, bytes and maps included. */
function forkWorker(file: URL): ChildProcess {
  return fork(file, { serialization: 'advanced', stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
}
