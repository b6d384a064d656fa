import type { FormatRef } from './builders.ts'
import type { ConnectEntry, ListenEntry, Steps } from './config.ts'
import { type Flow, stepsOf } from './flow.ts'

/** Steps as a chain that knows the type of `msg`, or as a configuration has them. */
export type Dataflow<Msg> = Steps | ((flow: Flow<Msg>) => Flow<unknown>)

interface TypedDataflows<Value> {
  /** How a frame becomes a value; its type flows along the chains. Default: text. */
  readonly format?: FormatRef<Value> | { readonly in: FormatRef<Value>; readonly out: FormatRef }
  readonly dataflow?: Dataflow<Value>
  readonly onConnect?: Dataflow<null>
  readonly onDisconnect?: Dataflow<null>
  /** `msg` is null where the frame itself could not be read. */
  readonly onError?: Dataflow<Value | null>
}

type Typed<Entry, Value> = Omit<Entry, keyof TypedDataflows<Value>> & TypedDataflows<Value>

/** An entry of `listen`, whose dataflows may be chains. */
export type ListenOptions<Value> = Typed<ListenEntry, Value>

/** An entry of `connect`, whose dataflows may be chains. */
export type DialOptions<Value> = Typed<ConnectEntry, Value>

/** Declares an endpoint that accepts connections. The type of the format's values flows along its chains. */
export function listen<Value = string>(options: ListenOptions<Value>): ListenEntry {
  return withSteps(options) as ListenEntry
}

/** Declares an endpoint that connects to a device and stays connected: an entry of `connect`. */
export function dial<Value = string>(options: DialOptions<Value>): ConnectEntry {
  return withSteps(options) as ConnectEntry
}

function withSteps<Value>(options: TypedDataflows<Value>): unknown {
  const { dataflow, onConnect, onDisconnect, onError, ...rest } = options
  return {
    ...rest,
    ...(dataflow !== undefined && { dataflow: written(dataflow) }),
    ...(onConnect !== undefined && { onConnect: written(onConnect) }),
    ...(onDisconnect !== undefined && { onDisconnect: written(onDisconnect) }),
    ...(onError !== undefined && { onError: written(onError) }),
  }
}

function written<Msg>(dataflow: Dataflow<Msg>): unknown {
  return typeof dataflow === 'function' ? stepsOf(dataflow) : dataflow
}
