import type { PartContext } from '../contracts/context.ts'
import type { Events } from '../contracts/events.ts'
import type { Framing } from '../contracts/framing.ts'
import type { Sink } from '../contracts/sink.ts'
import type { DataFolder } from './data-folder.ts'
import type { StepPlan } from './planned.ts'

/** What parts share beyond their endpoint; made once for a server. */
export interface World
  extends Omit<PartContext, 'id' | 'endpoint' | 'codec' | 'createTls' | 'resolvePath' | 'dataPath' | 'log'> {
  readonly events: Events
  readonly data: DataFolder
  /** Stands in for a sink, in dataflow tests. Undefined means: create the real one. */
  readonly replaceSink?: (plan: StepPlan) => Sink | undefined
  readonly lineFraming: Framing
}
