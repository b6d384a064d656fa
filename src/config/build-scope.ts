import type { Codec } from '../contracts/codec.ts'
import type { BufferCounters, ObservedUpstream } from '../contracts/counters.ts'
import type { Dataflow } from '../contracts/dataflow.ts'
import { EntryPoints } from './entry-points.ts'
import type { Opened } from './opened.ts'
import type { EndpointPlan } from './planned.ts'
import { formatPath } from './problems.ts'
import type { World } from './world.ts'

/** One build: what all its endpoints are made with, and what it collects. */
export interface Building {
  readonly world: World
  /** Absolute. Relative paths in options of parts start here. */
  readonly baseDir: string
  readonly opened: Opened
  readonly buffers: Set<BufferCounters>
  /** The servers behind each relay, by endpoint. */
  readonly upstreams: Map<string, readonly ObservedUpstream[]>
  /** By endpoint; all of them once the build has ended. */
  readonly scopes: Map<string, Scope>
}

/** One endpoint of a build: what its parts need to know of it. */
export interface Scope {
  readonly building: Building
  readonly plan: EndpointPlan
  readonly codec: Codec
  /** What is named as the step that failed when its `key` did. */
  readonly keyStep: string
  readonly entryPoints: EntryPoints
  /** Takes what fails and has no `onError` of its step; set once it is built. */
  onError: Dataflow | undefined
}

/** Begins with an endpoint. */
export function createScope(plan: EndpointPlan, building: Building): Scope {
  const codec: Codec = { framing: plan.framingOut, format: plan.formatOut }
  const keyStep = formatPath([...plan.path, 'key'])
  const entryPoints = new EntryPoints(plan.formatIn, plan.counters, keyStep)
  const scope: Scope = { building, plan, codec, keyStep, entryPoints, onError: undefined }
  building.scopes.set(plan.name, scope)
  return scope
}
