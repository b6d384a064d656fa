import type { Address } from '../contracts/client.ts'
import type { Clients, ConnectedClients } from '../contracts/clients.ts'
import type { Clock } from '../contracts/clock.ts'
import type { DeadLetters } from '../contracts/context.ts'
import type { Observed } from '../contracts/counters.ts'
import type { Events, ReloadReport } from '../contracts/events.ts'
import type { Sink } from '../contracts/sink.ts'
import type { Transport } from '../contracts/transport.ts'
import type { ServerState } from '../engine/server.ts'
import type { InheritedSockets } from '../transports/inherited.ts'
import type { NetSocket } from '../transports/net-socket.ts'
import type { Plan, StepPlan } from './plan.ts'
import type { CountersByName } from './planner.ts'
import type { RetryReport } from './retry-dead-letters.ts'

/** Milliseconds that a stop may take unless told otherwise. */
export const DEFAULT_DRAIN_MS = 15_000

/**
 * A server made from a plan: what `createServer` gives, and what `sluice run` runs.
 * @typeParam Source what a reload is given
 */
export interface PlannedServer<Source = never> extends AsyncDisposable, Observed {
  readonly state: ServerState
  /** Who is connected; send to them or close them. */
  readonly clients: ConnectedClients
  /** Everything that happens, typed. */
  readonly events: Pick<Events, 'on'>
  /**
   * Creates the parts, binds every address, then dials.
   * @throws SluiceError one sentence that says what to do; nothing is then left open
   */
  start(): Promise<void>
  /**
   * Takes another configuration while it runs: everything is checked and created first, then all of it is in force at
   * once. Connections stay, but for those of endpoints that are gone, which are drained; nobody is refused. A run that has
   * begun ends in the old dataflow. Framing, format, limits and TLS are for new connections.
   *
   * Two reloads at once are done one after the other.
   * @returns what has changed, and what needs a restart
   * @throws ConfigError for mistakes, SluiceError for what cannot be opened; nothing has changed then
   */
  reload(source: Source): Promise<ReloadReport>
  /**
   * Takes dead letters through the dataflow again: from the step in which they failed, with the same key, one after the
   * other. What succeeds is removed; what fails stays, with its new error. Answers are skipped.
   * @param ids as `deadLetter.stored` and `sluice dead list` give them
   * @throws SluiceError when the server is not running
   */
  retryDeadLetters(ids: readonly number[]): Promise<RetryReport>
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

/** A server as a program runs it, whether it is one process or several. */
export type RunnableServer<Source> = Observed &
  Pick<PlannedServer<Source>, 'state' | 'events' | 'address' | 'start' | 'stop' | 'reload' | 'retryDeadLetters'>

/** What the surroundings of a server bring: sockets that the program was started with, or a test's own world. */
export interface Wiring {
  readonly inherited?: InheritedSockets
  readonly transport?: Transport
  readonly clock?: Clock
  /** Folder of what only this server may write, absolute. Default: the data folder, in which the dead letters always are. */
  readonly ownFolder?: string
  /** What parts see as those who are connected, where others are connected elsewhere. */
  readonly clients?: (here: ConnectedClients) => Clients
  /** Stands before the number in each client's id. */
  readonly clientPrefix?: string
  readonly deadLetters?: DeadLetters
  /** Stands in for a sink. Undefined means: the real one. */
  readonly replaceSink?: (plan: StepPlan) => Sink | undefined
}

/**
 * Plans what a reload is given.
 * @param counters those of the server, for the new plan to go on with
 * @throws ConfigError
 */
export type Replan<Source> = (source: Source, counters: CountersByName) => Plan | Promise<Plan>
