import type { Dataflow } from '../contracts/dataflow.ts'
import type { Expression } from '../contracts/schema.ts'
import type { EndpointSpec } from '../engine/spec.ts'
import type { Upstreams } from './upstreams.ts'

/** An endpoint that is a relay. */
export interface RelaySpec extends EndpointSpec {
  /** Undefined where bytes are passed on and nothing else. */
  readonly inspect?: Inspect | undefined
  /** Undefined where there is no second server. */
  readonly mirror?: MirrorSpec | undefined
}

/** The two ways of bytes through a relay, named by where they lead. */
export type Direction = 'toServer' | 'toClient'

/** What is done with the bytes of a relay besides passing them on. */
export interface Inspect {
  /** `copy`: a copy goes through the dataflows. `inline`: what the dataflows let through is all that is passed on. */
  readonly mode: 'copy' | 'inline'
  /** A direction without one is passed on and not looked at. */
  readonly dataflows: { readonly [D in Direction]?: Dataflow | undefined }
}

/** A second server that is sent what clients send. */
export interface MirrorSpec {
  /** Has one target. */
  readonly upstreams: Upstreams
  /** Undefined where nobody looks at its answers. */
  readonly compare: CompareSpec | undefined
}

/** What becomes of the answers of both servers. */
export interface CompareSpec {
  /** Takes each pair of answers. */
  readonly dataflow: Dataflow
  /** Gives the same for answers that belong together; undefined where their order says that. */
  readonly key: Expression | undefined
  /** Milliseconds that an answer waits for the other one. */
  readonly timeout: number
}
