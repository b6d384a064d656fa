import type { PollSpec } from '../clients/poller.ts'
import type { Client } from '../contracts/client.ts'
import type { Clock } from '../contracts/clock.ts'
import type { Codec } from '../contracts/codec.ts'
import type { DeadLetters } from '../contracts/context.ts'
import type { Conversation } from '../contracts/conversation.ts'
import type { EndpointCounters } from '../contracts/counters.ts'
import type { Dataflow } from '../contracts/dataflow.ts'
import type { Device } from '../contracts/device.ts'
import type { CloseReason } from '../contracts/errors.ts'
import type { Events } from '../contracts/events.ts'
import type { Failure } from '../contracts/failure.ts'
import type { Format } from '../contracts/format.ts'
import type { Framing } from '../contracts/framing.ts'
import type { Limits } from '../contracts/limits.ts'
import type { MessageEvent } from '../contracts/message.ts'
import type { ListenOptions, ProxyLayer, Socket, TlsLayer, Transport } from '../contracts/transport.ts'
import type { Deadlines } from '../util/deadlines.ts'
import type { Rests } from '../util/rests.ts'
import type { Turns } from '../util/turns.ts'

/** An endpoint, ready to run: everything resolved and built, nothing to look up. */
export interface EndpointSpec {
  readonly name: string
  /** How bytes become messages. */
  readonly framing: Framing
  readonly format: Format
  /** How answers become bytes. */
  readonly codec: Codec
  readonly dataflow: Dataflow | undefined
  readonly onConnect: Dataflow | undefined
  readonly onDisconnect: Dataflow | undefined
  readonly onError: Dataflow | undefined
  /** Run the dataflow once when a connection opens, with `event == "connect"`. */
  readonly runOnConnect: boolean
  readonly limits: Limits
  /** Where connections come from a proxy, which says whose they are. */
  readonly proxy?: ProxyLayer | undefined
  readonly tls: TlsLayer | undefined
  readonly transport: Transport
  /** Takes each client instead of a lane with messages. */
  readonly serve?: ((socket: Socket, client: Client, host: Host) => Conversation) | undefined
  /** Written by the engine and by the hooks of the dataflows. */
  readonly counters: EndpointCounters
}

export interface ListenSpec extends EndpointSpec {
  readonly kind: 'listen'
  readonly addresses: readonly ListenOptions[]
}

export interface ConnectSpec extends EndpointSpec {
  readonly kind: 'connect'
  readonly devices: readonly Device[]
  /** Milliseconds before the first attempt to reconnect, and at most. */
  readonly reconnect: { readonly first: number; readonly max: number }
  readonly poll: PollSpec | undefined
}

/** What the engine needs from outside, once for a server. */
export interface Surroundings {
  readonly events: Events
  readonly clock: Clock
  /** Tells this run of the server from every other one: a part of each message's key. */
  readonly boot: string
  /** Stands before the number in the id of a client, so that other processes give other ids. */
  readonly clientPrefix: string
  readonly deadLetters: DeadLetters
}

/** A turn of the lane for an event of the connection. */
export interface EventJob {
  readonly event: MessageEvent
  readonly flow: 'onConnect' | 'dataflow' | 'onDisconnect'
  /** The connection is closed when it fails. */
  readonly required: boolean
}

/** What a connection needs of its endpoint. */
export interface Host {
  /** What the connection was opened with: it keeps this framing, this format and these limits for its life. */
  readonly spec: EndpointSpec
  /** What the next run takes its dataflows from: a reload changes it. */
  current(): EndpointSpec
  readonly surroundings: Surroundings
  readonly deadlines: Deadlines
  readonly turns: Turns
  readonly rests: Rests
  /** The socket has closed; work may be left. */
  closed(client: Client, reason: CloseReason, detail: string): void
  /** Nothing of a connection is left to do. */
  ended(connection: object): void
  /** Takes care of what failed in a run: `onError`, else dead letters. Never rejects. */
  settle(failed: readonly Failure[], onError: Dataflow | undefined): Promise<void>
  /** Answers could not be sent because their client has gone. */
  lost(client: Client, count: number): void
}
