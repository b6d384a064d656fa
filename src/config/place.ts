import type { EndpointCounters } from '../contracts/counters.ts'
import type { StepDefinition } from '../contracts/define.ts'
import type { ConfigPath } from './problems.ts'

/** Where a dataflow is used, as far as it decides what may stand in it. */
export interface Place {
  /** Why a step that needs its connection cannot do its work here; absent where every step can. */
  readonly unanswerable?: ((step: StepDefinition) => Unanswerable | undefined) | undefined
  /** Given for the `dataflow:` of an endpoint itself, not for what stands inside a step. */
  readonly whole?: { readonly hasKey: boolean } | undefined
  /** Names of the shared dataflows that it stands in. */
  readonly within: readonly string[]
  /** Those of the endpoint. */
  readonly counters: EndpointCounters
  /** Where a shared dataflow is used: its steps take their ids from there, so that each use has its own. */
  readonly usedAt?: ConfigPath
}

/** Why there is nobody to answer, and what to do instead. */
export interface Unanswerable {
  readonly message: string
  readonly hint: string
}

/** The path that an id is made of: that of the use, for a step of a shared dataflow. */
export function idPath(path: ConfigPath, { usedAt }: Place): ConfigPath {
  return usedAt === undefined ? path : [...usedAt, ...path.slice(2)]
}

/** The same place behind a step that holds messages, where nobody can be answered. */
export function behindHolder(place: Place, holder: string): Place {
  return {
    ...place,
    unanswerable: ({ name }) => ({
      message: `${name} needs a connection, and what ${holder} makes of many messages comes from none`,
      hint: `move ${name} before ${holder}`,
    }),
  }
}
