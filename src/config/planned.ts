import type { EndpointCounters } from '../contracts/counters.ts'
import type { SinkDefinition, StepDefinition, SubscriptionDefinition } from '../contracts/define.ts'
import type { Device } from '../contracts/device.ts'
import type { Format } from '../contracts/format.ts'
import type { Framing } from '../contracts/framing.ts'
import type { Limits } from '../contracts/limits.ts'
import type { Expression } from '../contracts/schema.ts'
import type { ClientTlsOptions, ListenOptions } from '../contracts/transport.ts'
import type { Timing } from '../source/timer.ts'
import type { ProxyOptions } from '../transports/proxy.ts'
import type { ServerTlsOptions } from '../transports/tls.ts'
import type { ConfigPath, Position } from './problems.ts'
import type { ConfigOutput } from './schema.ts'

/**
 * A configuration without mistakes: every default filled in, every name looked up, every expression compiled. Nothing is
 * opened yet. Times are milliseconds, sizes bytes.
 */
export interface Plan {
  readonly endpoints: readonly EndpointPlan[]
  /** `line` with its defaults: what ends a line of a sink that writes bytes. */
  readonly lineFraming: Framing
  readonly data: ConfigOutput['data']
  /** Where health and metrics are served; undefined when they are not. */
  readonly admin: { readonly host: string; readonly port: number } | undefined
  readonly log: ConfigOutput['log']
  /** Processes that share the connections. */
  readonly workers: number
  readonly balance: ConfigOutput['balance']
  /** Absolute. Relative paths in options of parts start here. */
  readonly baseDir: string
  /** Values of options that are secret: never to be shown. */
  readonly secrets: ReadonlySet<string>
  /**
   * Waits for formats that take their time; to be called before anything is built, and may be called again.
   * @throws ConfigError when one of them cannot be used
   */
  ready(): Promise<void>
}

/** An endpoint with connections. */
export type SocketPlan = ListenPlan | ConnectPlan

/** An endpoint without connections. */
export type SourcePlan = SubscribePlan | SchedulePlan

export type EndpointPlan = SocketPlan | SourcePlan

/** What every endpoint has: a name, formats and dataflows. */
interface EndpointBase {
  readonly name: string
  /** Where it stands in the configuration. */
  readonly path: ConfigPath
  /** Where that is in a file. */
  readonly position: Position | undefined
  readonly framingOut: Framing
  readonly formatIn: Format
  readonly formatOut: Format
  /** Their names and what their options mean, for `sluice check`. */
  readonly formatWords: DirectionWords
  /** What a message is known by when it is sent again; undefined when it is then a new one. */
  readonly key: Expression | undefined
  readonly dataflow: readonly StepPlan[] | undefined
  readonly onError: readonly StepPlan[] | undefined
  /** Everything that it was planned from, to be compared with another configuration; never shown. */
  readonly written: readonly unknown[]
  /** Where the endpoint counts; its compiled conditions count missing values here. */
  readonly counters: EndpointCounters
}

interface SocketBase extends EndpointBase {
  readonly framingIn: Framing
  readonly framingWords: DirectionWords
  readonly limits: Limits
  readonly runOnConnect: boolean
  readonly onConnect: readonly StepPlan[] | undefined
  readonly onDisconnect: readonly StepPlan[] | undefined
}

export interface DirectionWords {
  readonly in: string
  readonly out: string
}

export interface ListenPlan extends SocketBase {
  readonly kind: 'listen'
  /** One for each address to bind. */
  readonly addresses: readonly ListenOptions[]
  /** Undefined where connections begin with the first byte of the client. */
  readonly proxyProtocol: ProxyOptions | undefined
  readonly tls: ServerTlsOptions | undefined
  /** Undefined where messages go through a dataflow. */
  readonly relay: RelayPlan | undefined
}

/** The servers that the clients of an endpoint are connected to. */
export interface RelayPlan {
  readonly targets: readonly UpstreamPlan[]
  readonly balance: 'roundRobin' | 'leastConnections'
  /** `every` is 0 where nobody looks. */
  readonly health: { readonly first: number; readonly max: number; readonly every: number }
  readonly tls: Omit<ClientTlsOptions, 'servername'> | undefined
  readonly sendProxy: 'v1' | 'v2' | undefined
  readonly inspect: 'off' | 'copy' | 'inline'
  readonly toServer: readonly StepPlan[] | undefined
  readonly toClient: readonly StepPlan[] | undefined
  readonly mirror: MirrorPlan | undefined
}

/** A server behind a relay. */
export type UpstreamPlan = Pick<DevicePlan, 'dial' | 'servername'>

/** The second server of a relay. */
export interface MirrorPlan {
  readonly target: UpstreamPlan
  readonly tls: Omit<ClientTlsOptions, 'servername'> | undefined
  readonly compare: readonly StepPlan[] | undefined
  readonly key: Expression | undefined
  readonly timeout: number
}

export interface ConnectPlan extends SocketBase {
  readonly kind: 'connect'
  readonly devices: readonly DevicePlan[]
  /** The file of `hosts:`, as it is written. */
  readonly hostsFile: string | undefined
  readonly reconnect: { readonly first: number; readonly max: number }
  /** `bytes` are framed. */
  readonly poll: { readonly every: number; readonly bytes: Buffer; readonly timeout: number } | undefined
  readonly tls: Omit<ClientTlsOptions, 'servername'> | undefined
}

/** What is connected to. */
export interface DevicePlan extends Omit<Device, 'tls'> {
  /** What its certificate must be for; undefined for its address. */
  readonly servername: string | undefined
}

export interface SubscribePlan extends EndpointBase {
  readonly kind: 'subscribe'
  readonly definition: SubscriptionDefinition
  /** Resolved. */
  readonly options: unknown
  /** What the subscription is made of: where a reload brings an equal one, the one that works stays. */
  readonly identity: unknown
  /** Bytes. */
  readonly maxQueued: number
}

export interface SchedulePlan extends EndpointBase {
  readonly kind: 'schedule'
  readonly timing: Timing
}

/** One step or sink of a dataflow, with what stands around it. */
export interface StepPlan {
  /** Its `id`, else its place: `listen.scales.dataflow[2]`. */
  readonly id: string
  /** Where it is written; for a shared dataflow this is under `dataflows`. */
  readonly path: ConfigPath
  /** Where that is in a file. */
  readonly position: Position | undefined
  readonly name: string
  readonly definition: StepDefinition | SinkDefinition
  /** Resolved, but for each {@link PlannedDataflow} that is left in it. */
  readonly options: unknown
  readonly condition: Expression<boolean> | undefined
  readonly otherwise: readonly StepPlan[] | undefined
  readonly onError: readonly StepPlan[] | undefined
  readonly timeout: number | undefined
  /** How long a sink tries again, and how often at most. A step does not: 0. */
  readonly retry: { readonly forMs: number; readonly max?: number }
}

/** Steps inside the options of a step, in the place where the step expects a running dataflow. */
export class PlannedDataflow {
  readonly steps: readonly StepPlan[]

  constructor(steps: readonly StepPlan[]) {
    this.steps = steps
  }
}
