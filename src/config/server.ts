import { Directory } from '../clients/directory.ts'
import type { Address } from '../contracts/client.ts'
import type { Clock } from '../contracts/clock.ts'
import type { BufferCounters, DeadLetterCounters, ObservedEndpoint } from '../contracts/counters.ts'
import { SluiceError } from '../contracts/errors.ts'
import { createEvents, type Events, type ReloadReport } from '../contracts/events.ts'
import type { ServerState } from '../engine/server.ts'
import { adoptSocket, type NetSocket } from '../transports/net-socket.ts'
import { createTcp } from '../transports/tcp.ts'
import { endedOrLate } from '../util/signals.ts'
import { warn } from '../util/warn.ts'
import { build } from './build.ts'
import { createClock } from './clock.ts'
import { importPackage } from './packages.ts'
import type { Plan } from './planned.ts'
import { DEFAULT_DRAIN_MS, type PlannedServer, type Replan, type Wiring } from './planned-server.ts'
import { failureOf } from './reload-failure.ts'
import type { RetryReport } from './retry-dead-letters.ts'
import { Running } from './running.ts'
import { ServerFiles } from './server-files.ts'
import { createShare } from './share.ts'
import type { World } from './world.ts'

/** Makes a server of a plan. Nothing is opened before `start`. */
export function createServerFromPlan<Source = never>(
  plan: Plan,
  wiring: Wiring = {},
  replan: Replan<Source> = () => plan,
): PlannedServer<Source> {
  return new ServerOfPlan(plan, wiring, replan)
}

/** The life of a server: each of its stages begins once, whoever asks for it. */
class ServerOfPlan<Source> implements PlannedServer<Source> {
  readonly clients = new Directory()
  readonly events: Events
  /** With which it starts. */
  readonly #plan: Plan
  readonly #wiring: Wiring
  readonly #clock: Clock
  readonly #replan: Replan<Source>
  /** Aborted when the stop may take no longer. */
  readonly #late = new AbortController()
  readonly #files: ServerFiles
  #running: Running | undefined = undefined
  /** Settles when no reload is under way. */
  #reloading: Promise<unknown> = Promise.resolve()
  #starting: Promise<void> | undefined = undefined
  #stopping: Promise<void> | undefined = undefined
  #closed = false

  constructor(plan: Plan, wiring: Wiring, replan: Replan<Source>) {
    this.#plan = plan
    this.#wiring = wiring
    this.#replan = replan
    // A listener's own mistake must not stop the server, and must not pass in silence either.
    this.events = createEvents(warn)
    this.#clock = wiring.clock ?? createClock()
    this.#files = new ServerFiles(plan, wiring, { events: this.events, clock: this.#clock, signal: this.#late.signal })
  }

  get state(): ServerState {
    const state = this.#running?.engine.state ?? 'new'
    if (state !== 'new') return state
    if (this.#closed) return 'stopped'
    if (this.#stopping !== undefined) return 'draining'
    return this.#starting === undefined ? 'new' : 'starting'
  }

  get endpoints(): readonly ObservedEndpoint[] {
    return this.#running?.endpoints ?? []
  }

  get buffers(): readonly BufferCounters[] {
    return this.#running?.buffers ?? []
  }

  get deadLetters(): DeadLetterCounters | undefined {
    return this.#files.deadLetters?.counters
  }

  start(): Promise<void> {
    if (this.#starting !== undefined || this.#stopping !== undefined) {
      return Promise.reject(new SluiceError('internal', 'a server is started once; make another one with createServer'))
    }
    this.#starting = this.#start()
    return this.#starting
  }

  async #start(): Promise<void> {
    try {
      await this.#plan.ready()
      await this.#files.open()
      const world = this.#createWorld()
      const built = await build(this.#plan, world)
      this.#running = new Running(this.#plan, built, world, this.clients, this.#wiring.clientPrefix ?? '')
      await this.#running.start()
    } catch (thrown) {
      await this.#close()
      throw thrown
    }
  }

  #createWorld(): World {
    const { deadLetters, clients, transport, inherited, replaceSink } = this.#wiring
    const { data, storage } = this.#files
    return {
      events: this.events,
      clients: clients?.(this.clients) ?? this.clients,
      clock: this.#clock,
      deadLetters: deadLetters ?? this.#files.deadLetters!,
      data,
      storage,
      share: createShare(),
      tcp: transport ?? createTcp(inherited),
      signal: this.#late.signal,
      lineFraming: this.#plan.lineFraming,
      importPackage: (name) => importPackage(name, this.#plan.baseDir),
      ...(replaceSink && { replaceSink }),
    }
  }

  reload(source: Source): Promise<ReloadReport> {
    const report = this.#reloading.then(() => this.#reload(source))
    this.#reloading = report.catch(() => undefined)
    return report
  }

  async #reload(source: Source): Promise<ReloadReport> {
    try {
      await this.#starting
      const running = this.#running
      if (running?.engine.state !== 'running') {
        throw new SluiceError('internal', `a server is reloaded while it is running, and this one is ${this.state}`)
      }
      const next = await this.#replan(source, running.counters)
      await next.ready()
      const report = await running.reload(next)
      this.events.emit('server.reloaded', report)
      return report
    } catch (thrown) {
      this.events.emit('server.reloadFailed', failureOf(thrown))
      throw thrown
    }
  }

  retryDeadLetters(ids: readonly number[]): Promise<RetryReport> {
    const store = this.#files.deadLetters
    if (store === undefined || this.state !== 'running') {
      const text = `dead letters are retried by a server that is running, and this one is ${this.state}`
      return Promise.reject(new SluiceError('internal', text))
    }
    return this.#running!.retryDeadLetters(ids, store)
  }

  stop({ deadline = DEFAULT_DRAIN_MS }: { readonly deadline?: number } = {}): Promise<void> {
    const timer = setTimeout(() => this.#late.abort(), Math.min(deadline, LONGEST_TIMER_MS))
    this.#stopping ??= this.#stop(deadline)
    return this.#stopping.finally(() => clearTimeout(timer))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  address(endpoint: string): Address | undefined {
    return this.addresses(endpoint)[0]
  }

  addresses(endpoint: string): readonly Address[] {
    return this.#running?.engine.addresses(endpoint) ?? []
  }

  async handle(socket: NetSocket, endpoint: string): Promise<void> {
    const engine = this.#running?.engine
    if (engine === undefined || engine.state === 'new') throw new Error('start the server before you give it a socket')
    await engine.handle(adoptSocket(socket), endpoint)
  }

  async #stop(deadline: number): Promise<void> {
    const { signal } = this.#late
    if (this.#starting !== undefined && this.state !== 'running') {
      // A start that fails closes everything itself, and says why to whoever called it.
      const started = this.#starting.catch(() => undefined)
      await endedOrLate(started, signal)
    }
    await this.#running?.drain(deadline)
    // A reload that is under way cannot come to its end any more; it closes what it has opened.
    await endedOrLate(this.#reloading, signal)
    await this.#close()
  }

  async #close(): Promise<void> {
    const { signal } = this.#late
    if (this.#running !== undefined) await endedOrLate(this.#running.close(), signal)
    await endedOrLate(this.#files.close().catch(warn), signal)
    this.#closed = true
  }
}

/** Node's timers cannot wait longer; a longer time would be over at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1
