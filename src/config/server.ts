import { randomUUID } from 'node:crypto'
import { resolve } from 'node:path'
import type { Address, Clients } from '../contracts/client.ts'
import type { Clock } from '../contracts/clock.ts'
import type { DeadLetters } from '../contracts/context.ts'
import type { BufferCounters, Observed, ObservedEndpoint } from '../contracts/counters.ts'
import { SluiceError } from '../contracts/errors.ts'
import { createEvents, type Events } from '../contracts/events.ts'
import type { Sink } from '../contracts/sink.ts'
import type { Transport } from '../contracts/transport.ts'
import { createDeadLetters } from '../delivery/dead-letters.ts'
import { Directory } from '../engine/directory.ts'
import { Engine, endedOrLate, type ServerState } from '../engine/server.ts'
import { createStorage } from '../storage/storage.ts'
import { adoptSocket, type NetSocket } from '../transports/net-socket.ts'
import { createTcp } from '../transports/tcp.ts'
import { type Built, build } from './build.ts'
import { DataFolder, requireDataFolder } from './data-folder.ts'
import { importPackage } from './packages.ts'
import type { Plan, StepPlan } from './plan.ts'

/** A server made from a plan: what `createServer` gives, and what `sluice run` runs. */
export interface Server extends AsyncDisposable, Observed {
  readonly state: ServerState
  /** Who is connected; send to them or close them. */
  readonly clients: Clients
  /** Everything that happens, typed. */
  readonly events: Pick<Events, 'on'>
  /**
   * Creates the parts, binds every address, then dials.
   * @throws SluiceError one sentence that says what to do; nothing is then left open
   */
  start(): Promise<void>
  /**
   * Drains and stops: no new connections, what has arrived is finished and answered, then everything is closed. May be
   * called again to bring the deadline nearer.
   * @param options.deadline milliseconds after which what is left is ended; 0 ends it at once; default 15,000
   */
  stop(options?: { readonly deadline?: number }): Promise<void>
  /** The first address of a `listen:` endpoint, with its real port. Undefined while it does not listen. */
  address(endpoint: string): Address | undefined
  addresses(endpoint: string): readonly Address[]
  /**
   * Serves a socket that you have accepted yourself. It then belongs to the server.
   * @param endpoint name of the entry whose framing, format and dataflow apply
   */
  handle(socket: NetSocket, endpoint: string): Promise<void>
}

/** What a test brings instead of the real world. */
export interface Wiring {
  readonly transport?: Transport
  readonly clock?: Clock
  readonly deadLetters?: DeadLetters
  /** Stands in for a sink. Undefined means: the real one. */
  readonly replaceSink?: (plan: StepPlan) => Sink | undefined
}

/** Milliseconds that a stop may take unless told otherwise. */
export const DEFAULT_DRAIN_MS = 15_000

/** Makes a server of a plan. Nothing is opened before `start`. */
export function createServerFromPlan(plan: Plan, wiring: Wiring = {}): Server {
  return new PlannedServer(plan, wiring)
}

class PlannedServer implements Server {
  readonly clients = new Directory()
  readonly events: Events
  readonly #plan: Plan
  readonly #wiring: Wiring
  /** Aborted when the stop may take no longer. */
  readonly #late = new AbortController()
  readonly #storage = createStorage()
  readonly #data: DataFolder
  readonly #deadLetters: DeadLetters & { close?(): Promise<void> }
  #engine: Engine | undefined = undefined
  #built: Built | undefined = undefined
  #starting: Promise<void> | undefined = undefined
  #stopping: Promise<void> | undefined = undefined
  #closed = false

  constructor(plan: Plan, wiring: Wiring) {
    this.#plan = plan
    this.#wiring = wiring
    // A listener's own mistake must not stop the server, and must not pass in silence either.
    this.events = createEvents(warn)
    this.#data = new DataFolder(resolve(plan.baseDir, plan.data.dir))
    this.#deadLetters =
      wiring.deadLetters ?? createDeadLetters(this.#storage, this.#data.path, { signal: this.#late.signal })
  }

  get state(): ServerState {
    if (this.#engine !== undefined) return this.#engine.state
    if (this.#closed) return 'stopped'
    if (this.#stopping !== undefined) return 'draining'
    return this.#starting === undefined ? 'new' : 'starting'
  }

  get endpoints(): readonly ObservedEndpoint[] {
    return this.#engine?.endpoints ?? []
  }

  get buffers(): readonly BufferCounters[] {
    return this.#built?.buffers ?? []
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
    const clock = this.#wiring.clock ?? createClock()
    const deadLetters = this.#deadLetters
    try {
      if (this.#wiring.deadLetters === undefined) requireDataFolder(this.#data.path)
      this.#built = await build(this.#plan, {
        events,
        clients,
        clock,
        deadLetters,
        data: this.#data,
        storage: this.#storage,
        tcp: this.#wiring.transport ?? createTcp(),
        signal: this.#late.signal,
        lineFraming: this.#plan.lineFraming,
        importPackage: (name) => importPackage(name, this.#plan.baseDir),
        ...(this.#wiring.replaceSink && { replaceSink: this.#wiring.replaceSink }),
      })
      this.#late.signal.throwIfAborted()
      this.#engine = new Engine(this.#built.endpoints, { events, clock, boot: clock.uuid(), deadLetters }, clients)
      await this.#engine.start()
    } catch (thrown) {
      await this.#close()
      throw thrown
    }
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
    if (this.#engine?.state === 'running') await this.#engine.drain(deadline, signal)
    await this.#close()
  }

  async #close(): Promise<void> {
    const { signal } = this.#late
    if (this.#built !== undefined) await endedOrLate(this.#built.close().catch(warn), signal)
    await endedOrLate(this.#closeStorage().catch(warn), signal)
    this.#closed = true
  }

  async #closeStorage(): Promise<void> {
    await this.#deadLetters.close?.()
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

function createClock(): Clock {
  let sequence = 0
  return { now: Date.now, uuid: randomUUID, next: () => ++sequence }
}
