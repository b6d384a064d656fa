import type { Clock } from '../contracts/clock.ts'
import type { Codec } from '../contracts/codec.ts'
import type { DeadLetters } from '../contracts/context.ts'
import type { EndpointCounters } from '../contracts/counters.ts'
import type { Dataflow } from '../contracts/dataflow.ts'
import type { Events } from '../contracts/events.ts'
import type { Format } from '../contracts/format.ts'
import type { Subscription } from '../contracts/subscription.ts'

/** An endpoint without connections, ready to run: everything resolved and built, nothing to look up. */
export interface SourceSpec {
  readonly kind: 'subscribe' | 'schedule'
  readonly name: string
  /** How a payload becomes a value. */
  readonly format: Format
  /** How an answer becomes a payload. */
  readonly codec: Codec
  readonly dataflow: Dataflow | undefined
  readonly onError: Dataflow | undefined
  /** Most bytes that may wait where the broker cannot be held back. */
  readonly maxQueued: number
  /** Written by the lane and by the hooks of the dataflows. */
  readonly counters: EndpointCounters
  /** Where its messages come from. It belongs to the endpoint, not to what the dataflows were built with. */
  readonly subscription: Subscription
  /** What the subscription was made of: where a reload brings an equal one, the one that works stays. */
  readonly identity: unknown
}

/** What sources need from outside, once for a server. */
export interface SourceSurroundings {
  readonly events: Events
  readonly clock: Clock
  /** Tells this run of the server from every other one: a part of each message's key. */
  readonly boot: string
  readonly deadLetters: DeadLetters
  /** Aborted when the server waits no longer for what is under way. */
  readonly late: AbortSignal
}
