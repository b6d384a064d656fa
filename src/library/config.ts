import type { configSchema } from '../config/schema.ts'
import type { connectSchema, listenSchema } from '../config/schema-endpoints.ts'
import type { scheduleSchema, subscribeSchema } from '../config/schema-sources.ts'
import type { siblingsSchema } from '../config/schema-step.ts'
import type { Message } from '../contracts/message.ts'
import type { z } from '../contracts/schema.ts'
import type { sinks, steps, subscriptions } from '../registry/builtins.ts'
import type { StepRef, Written } from './builders.ts'

type BuiltIn = (typeof steps)[number] | (typeof sinks)[number]

/** What may stand beside the key that names a step. */
export type Siblings = Omit<z.input<typeof siblingsSchema>, 'else' | 'onError'> & {
  readonly else?: Steps
  readonly onError?: Steps
}

/** A step of your own: gives the new value; undefined ends the message. */
export type StepFunction = (msg: never, message: Message) => unknown

/** A step as it stands in a dataflow: one key that names it, and siblings. */
export type StepEntry =
  | { [D in BuiltIn as D['name']]: { readonly [Name in D['name']]: Written<D> } & Siblings }[BuiltIn['name']]
  | StepRef
  | StepFunction

/** Steps, or the name of an entry of `dataflows`. */
export type Steps = string | readonly StepEntry[]

type WithSteps<Entry> = Omit<Entry, 'dataflow' | 'onConnect' | 'onDisconnect' | 'onError'> & {
  readonly dataflow?: Steps
  readonly onConnect?: Steps
  readonly onDisconnect?: Steps
  readonly onError?: Steps
}

/** An entry of `listen`. */
export type ListenEntry = WithSteps<z.input<typeof listenSchema>>

/** An entry of `connect`. */
export type ConnectEntry = WithSteps<z.input<typeof connectSchema>>

type Subscribed = (typeof subscriptions)[number]

/** An entry of `subscribe`: one key that names the subscription, and what is beside it. */
export type SubscribeEntry = WithSteps<z.input<typeof subscribeSchema>> &
  { [D in Subscribed as D['name']]: { readonly [Name in D['name']]: Written<D> } }[Subscribed['name']]

/** An entry of `schedule`. */
export type ScheduleEntry = WithSteps<z.input<typeof scheduleSchema>>

/** A configuration: the same shape as in YAML, in which expressions may also be functions. */
export type Config = Omit<
  z.input<typeof configSchema>,
  'listen' | 'connect' | 'subscribe' | 'schedule' | 'dataflows'
> & {
  readonly listen?: Readonly<Record<string, ListenEntry>>
  readonly connect?: Readonly<Record<string, ConnectEntry>>
  readonly subscribe?: Readonly<Record<string, SubscribeEntry>>
  readonly schedule?: Readonly<Record<string, ScheduleEntry>>
  readonly dataflows?: Readonly<Record<string, readonly StepEntry[]>>
}

/** Gives a configuration back, typed: for the default export of `sluice.config.ts`. */
export function defineConfig(config: Config): Config {
  return config
}
