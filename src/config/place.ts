import type { EndpointCounters } from '../contracts/counters.ts'
import type { PartDefinition, StepDefinition } from '../contracts/define.ts'
import type { ConfigPath } from './problems.ts'

/** Where a dataflow is used, as far as it decides what may stand in it. */
export interface Place {
  /** Why a step that needs its connection cannot do its work here; absent where every step can. */
  readonly unanswerable?: ((step: StepDefinition) => Unanswerable | undefined) | undefined
  /** Given for the `dataflow:` of an endpoint itself, not for what stands inside a step. */
  readonly whole?: { readonly hasKey: boolean } | undefined
  /** The step in whose options it stands. */
  readonly step?: OuterStep | undefined
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

/** A step whose options hold dataflows. */
export interface OuterStep {
  readonly definition: PartDefinition
  /** Not resolved yet. */
  readonly options: unknown
  /** Of the options. */
  readonly path: ConfigPath
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

/** The same place in a dataflow of the options of its step. @param path of the dataflow */
export function insideStep({ step, ...place }: Place, path: ConfigPath): Place {
  if (step?.definition.kind !== 'step') return place
  const unanswerable = step.definition.unanswerable?.(step.options, path.slice(step.path.length))
  if (unanswerable === undefined) return place
  const around = place.unanswerable
  return { ...place, unanswerable: (inner) => around?.(inner) ?? (inner.closes === true ? undefined : unanswerable) }
}
