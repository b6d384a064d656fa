import type { BufferCounters, ObservedUpstream } from '../contracts/counters.ts'
import type { ConnectSpec, ListenSpec } from '../engine/spec.ts'
import type { SourceSpec } from '../source/spec.ts'
import { buildEndpoint } from './build-endpoint.ts'
import type { Building } from './build-scope.ts'
import { buildSource } from './build-source.ts'
import type { EntryPoints } from './entry-points.ts'
import { Opened } from './opened.ts'
import type { Plan } from './planned.ts'
import type { World } from './world.ts'

/** Endpoints that are ready for the engine, and the way to close what their parts have opened. */
export interface Built {
  readonly endpoints: readonly (ListenSpec | ConnectSpec)[]
  /** Their subscriptions have opened nothing yet, and are not closed with what was built: they may outlive it. */
  readonly sources: readonly SourceSpec[]
  readonly buffers: readonly BufferCounters[]
  /** Begins to deliver what waits in buffers: from now on these dataflows are in force, and no others. */
  activate(): void
  /** Where a dead letter can go in again, by endpoint. */
  readonly entryPoints: ReadonlyMap<string, EntryPoints>
  /** The servers behind each relay, by endpoint. */
  readonly upstreams: ReadonlyMap<string, readonly ObservedUpstream[]>
  /**
   * Closes steps and sinks, last created first, also those behind one that cannot be closed. Once, however often it is
   * called.
   * @throws AggregateError what they threw, once all have been closed
   */
  close(): Promise<void>
}

/**
 * Turns a plan into running parts: every step and sink is created, every dataflow bound.
 * @throws what a part's `create` throws; what was created before is closed again
 */
export async function build(plan: Plan, world: World): Promise<Built> {
  const opened = new Opened()
  const { baseDir } = plan
  const building: Building = {
    world,
    baseDir,
    opened,
    buffers: new Set(),
    upstreams: new Map(),
    scopes: new Map(),
  }
  const endpoints: (ListenSpec | ConnectSpec)[] = []
  const sources: SourceSpec[] = []
  try {
    for (const endpoint of plan.endpoints) {
      if (endpoint.kind === 'subscribe' || endpoint.kind === 'schedule') {
        sources.push(await buildSource(endpoint, building))
      } else endpoints.push(await buildEndpoint(endpoint, building))
    }
  } catch (thrown) {
    // Why it could not be built is what the user needs to know, whatever else the cleanup finds.
    await opened.close().catch(() => {})
    throw thrown
  }
  const { buffers, upstreams, scopes } = building
  return {
    endpoints,
    sources,
    buffers: [...buffers],
    activate: () => opened.activate(),
    entryPoints: new Map(Array.from(scopes, ([name, { entryPoints }]) => [name, entryPoints])),
    upstreams,
    close: () => opened.close(),
  }
}
