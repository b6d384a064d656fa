import { createRequire } from 'node:module'
import { resolve } from 'node:path'
import type { PartContext } from './context.ts'
import { type BatchingDefaults, type DeliveryInput, type DeliveryOptions, withDeliveryOptions } from './delivery.ts'
import { SluiceError } from './errors.ts'
import type { Format, FormatContext } from './format.ts'
import type { Framing } from './framing.ts'
import { z } from './schema.ts'
import type { Confirmation, Sink } from './sink.ts'
import type { Step } from './step.ts'
import type { Guarantee, Subscription } from './subscription.ts'

/**
 * A definition is one value that holds all there is to know of a part. From it come validation with positions, the
 * JSON Schema for editors, the reference page, `sluice list`, and the part's conformance tests.
 */
interface Definition<Name extends string, Options extends z.ZodType, Short extends string> {
  /** The key that names the part in a configuration; kebab-case or camelCase. Also its file name and its page. */
  readonly name: Name
  /** One sentence, without the name in front: "Ends a frame at LF." */
  readonly summary: string
  /** More for the reference page, in Markdown. */
  readonly details?: string
  /** Every option described, with its unit and default. Unknown keys are errors: use `z.strictObject`. */
  readonly options: Options
  /** The option that a bare scalar or list stands for: `delimiter: "|"` is `delimiter: { any: "|" }` with `short: 'any'`. */
  readonly short?: Short
  /** Other words under which people look for it, for "did you mean": `['console', 'print']`. */
  readonly alsoCalled?: readonly string[]
  /** What these options mean, for `sluice check`: "2 bytes, big endian". Default: those that differ from their defaults. */
  inWords?(options: z.output<Options>): string
  /**
   * Looks for mistakes that the schema cannot see, such as a file that does not exist. Called when a configuration is
   * planned, before anything is opened, and only for options without a mistake. Dataflows in them do not run yet.
   */
  check?(options: z.output<Options>, context: CheckContext): readonly OptionProblem[]
  /**
   * Files that `create` opens and that another part may make, a database say. A file that is needed must be there when the
   * part is created, or be made by one that is created before it; that is checked in the order in which parts are created.
   */
  files?(options: z.output<Options>, context: CheckContext): readonly PartFile[]
}

/** A file that a part opens when it is created. */
export interface PartFile {
  /** Absolute. */
  readonly path: string
  /** The option that names it: its keys and indexes. */
  readonly option: readonly (string | number)[]
  /** `made` where it is missing, or `needed`. */
  readonly use: 'made' | 'needed'
  /** What to do where a file that is needed is missing. */
  readonly hint?: string
}

/** What a definition may use to look at options. */
export interface CheckContext {
  /** A path of the configuration, made absolute: relative ones start at the configuration file's folder. */
  resolvePath(path: string): string
}

/** A mistake in options. */
export interface OptionProblem {
  /** The option that is wrong: its keys and indexes; empty for the options as a whole. */
  readonly path: readonly (string | number)[]
  /** One clause, without a full stop. */
  readonly message: string
  /** What to do. */
  readonly hint?: string
}

/** An example of a framing: it is shown on the reference page and run by the conformance suite. */
export interface FramingExample {
  readonly title: string
  /** The options as a user would write them; absent when there are none. */
  readonly options?: unknown
  /** What arrives, with escapes. */
  readonly bytes: string
  /** The payloads that must come out, with escapes. */
  readonly frames: readonly string[]
}

export interface FramingDefinition<
  Name extends string = string,
  Options extends z.ZodType = z.ZodType,
  Short extends string = string,
> extends Definition<Name, Options, Short> {
  readonly kind: 'framing'
  readonly examples: readonly FramingExample[]
  create(options: z.output<Options>): Framing
}

/** An example of a format: parsing gives the value and printing the value gives the bytes back. */
export interface FormatExample {
  readonly title: string
  readonly options?: unknown
  /** A frame, with escapes. */
  readonly bytes: string
  readonly value: unknown
  /** What printing the value gives, where it is not `bytes` again. */
  readonly prints?: string
  /** Files that lie beside the configuration: name and content. */
  readonly files?: Readonly<Record<string, string>>
}

export interface FormatDefinition<
  Name extends string = string,
  Options extends z.ZodType = z.ZodType,
  Short extends string = string,
  Value = unknown,
> extends Definition<Name, Options, Short> {
  readonly kind: 'format'
  readonly examples: readonly FormatExample[]
  /** Frames that must be refused, with escapes and with the options of the first example. The suite shows that they are. */
  readonly rejects: readonly string[]
  /** Values cannot be written: `print` always throws `format_not_printable`. */
  readonly readOnly?: boolean
  /**
   * The type of the values, where it is known, gives the TypeScript builder its type.
   * @param context absent where there is no configuration: paths start at the working directory then, and packages are
   *   those that are installed beside Sluice
   * @throws SluiceError when the options cannot be used, such as a file that is not there
   */
  create(options: z.output<Options>, context?: FormatContext): Format<Value>
}

/** An example of a step: what goes in as `msg`, what comes out, what is answered. */
export interface StepExample {
  readonly title: string
  /** The step as it stands in a dataflow, siblings included: `{ filter: 'msg.temp > 30' }`. */
  readonly config: Readonly<Record<string, unknown>>
  readonly given: readonly unknown[]
  /** The values of the messages that go on. */
  readonly gives: readonly unknown[]
  /** The texts of the answers, without framing. */
  readonly replies?: readonly string[]
  /** Entries of `listen:` beside the one with the step: servers that it asks. */
  readonly listen?: Readonly<Record<string, unknown>>
  /** What stands beside the dataflow in the endpoint, such as `key`. */
  readonly endpoint?: Readonly<Record<string, unknown>>
  /** Files that lie beside the configuration: name and content. */
  readonly files?: Readonly<Record<string, string>>
  /** Entries of `dataflows:` that the step names. */
  readonly dataflows?: Readonly<Record<string, readonly unknown[]>>
}

export interface StepDefinition<
  Name extends string = string,
  Options extends z.ZodType = z.ZodType,
  Short extends string = string,
> extends Definition<Name, Options, Short> {
  readonly kind: 'step'
  readonly examples: readonly StepExample[]
  /** May end messages on purpose; such a step takes `else:`, a dataflow for what it drops. */
  readonly drops?: boolean | ((options: z.output<Options>) => boolean)
  /**
   * Writes what later steps read for the same connection. A dataflow with such a step takes one message through all its
   * steps before the next begins; others take whole batches from step to step.
   */
  readonly oneByOne?: boolean
  /**
   * May hold a message back, for a time or for what else its client sends, or answers with much. A connection gives a
   * dataflow with such a step one message in a run, so that those before are answered, those behind can be waited for, and
   * answers leave as they come.
   */
  readonly waits?: boolean | ((options: z.output<Options>) => boolean)
  /** Needs the connection that the message came from. */
  readonly answers?: boolean
  /** Ends that connection. */
  readonly closes?: boolean
  /** What it means to the sender, for `sluice check`: "answers", "closes the connection". */
  readonly promise?: string | ((options: z.output<Options>) => string)
  /** Stores the message, so that it is not lost when a path ends behind this step. */
  readonly keeps?: boolean
  /**
   * What becomes of a message that a dataflow in the options gives, so that one which failed inside can be retried. Where
   * it is absent, it cannot.
   * @param path of the dataflow in the options: its keys and indexes
   */
  afterInner?(options: z.output<Options>, path: readonly (string | number)[]): AfterInner
  /**
   * Why no step can answer in a dataflow of the options, and what to do instead; undefined where one can. Such a step may
   * still close the connection.
   * @param options whose expressions and dataflows are not resolved yet
   * @param path of the dataflow in the options: its keys and indexes
   */
  unanswerable?(
    options: z.output<Options>,
    path: readonly (string | number)[],
  ): { readonly message: string; readonly hint: string } | undefined
  /** Keeps something in the data folder under its `id`, which the step must then have. */
  readonly persists?: boolean
  /**
   * Its `runAround` is right only if it sees the whole way of a message to its end, so it stands in the `dataflow:` of an
   * endpoint itself and not inside another step.
   */
  readonly coversRest?: boolean
  /**
   * Keeps messages, which are then settled, and makes others of them later. Those come from no connection, so no step
   * behind it can answer.
   */
  readonly holds?: boolean
  /** Its `runAround` holds back the answers of the steps behind it until those have finished. */
  readonly holdsAnswers?: boolean
  /**
   * Remembers something for several connections. With several workers each would remember its own part, so the user has to
   * agree: such a step has {@link scopeOption} among its options.
   */
  readonly spansConnections?: boolean
  /** Tells messages apart by the endpoint's `key:`, which must then be there. */
  readonly needsKey?: boolean
  /** Whether, with these options, code of the user runs on the server's own thread, where nothing protects the server. */
  runsUserCode?(options: z.output<Options>): boolean
  create(options: z.output<Options>, context: PartContext): Step | Promise<Step>
}

/**
 * Where a message goes from a dataflow inside a step: to the `next` step, or it ends there (`end`), or the step fails the
 * message that it was given (`whole`), so that a retry begins with the step itself.
 */
export type AfterInner = 'next' | 'end' | 'whole'

export interface SinkExample {
  readonly title: string
  readonly config: Readonly<Record<string, unknown>>
}

export interface SinkDefinition<
  Name extends string = string,
  Options extends z.ZodType = z.ZodType,
  Short extends string = string,
> extends Definition<Name, Options, Short> {
  readonly kind: 'sink'
  readonly examples: readonly SinkExample[]
  /** What its confirmation is worth with these options. */
  confirms(options: z.output<Options>): Confirmation
  /** When it has finished with a message, for `sluice check`: "the row is committed". */
  readonly finished: string
  /**
   * The sink gains by getting the messages of many connections in one write. These are the defaults of the options
   * `maxBatch`, `maxWait` (0) and `maxInFlight` (1), which every such sink then has.
   */
  readonly batching?: BatchingDefaults
  /** Resolves when the destination is ready. Called before the endpoint listens. */
  create(options: z.output<Options>, context: PartContext): Sink | Promise<Sink>
}

export interface SubscriptionExample {
  readonly title: string
  /** What stands under a name in `subscribe:`: the subscription, and what is beside it. */
  readonly config: Readonly<Record<string, unknown>>
}

export interface SubscriptionDefinition<
  Name extends string = string,
  Options extends z.ZodType = z.ZodType,
  Short extends string = string,
> extends Definition<Name, Options, Short> {
  readonly kind: 'subscription'
  readonly examples: readonly SubscriptionExample[]
  /** How often a message goes through the dataflow with these options. */
  guarantees(options: z.output<Options>): Guarantee
  /** What is subscribed to, for `sluice check`: "the subject commands.* of NATS at nats:4222". Without secrets. */
  inWords(options: z.output<Options>): string
  /** How the broker learns what became of a message, for `sluice check`: "the stream gets its acknowledgement (XACK)". */
  acknowledges(options: z.output<Options>): string
  /** Why nothing can be replied, and what to do instead; undefined when whoever published a message can be answered. */
  unanswerable?(options: z.output<Options>): { readonly message: string; readonly hint: string } | undefined
  /** The broker gives each message a name of its own, which is the message's key. */
  identifies?(options: z.output<Options>): boolean
  /** Makes a subscription that has opened nothing yet. */
  create(options: z.output<Options>, context: PartContext): Subscription | Promise<Subscription>
}

export type PartDefinition =
  | FramingDefinition
  | FormatDefinition
  | StepDefinition
  | SinkDefinition
  | SubscriptionDefinition

/** Declares a framing. The result is listed in `registry/builtins.ts` or given to `registry.add`. */
export function defineFraming<const Name extends string, Options extends z.ZodType, const Short extends string = never>(
  definition: Omit<FramingDefinition<Name, Options, Short>, 'kind'>,
): FramingDefinition<Name, Options, Short> {
  return { kind: 'framing', ...definition }
}

/** Declares a format. A package that it alone needs is loaded by its `create`, so that nobody else waits for it. */
export function defineFormat<
  const Name extends string,
  Options extends z.ZodType,
  const Short extends string = never,
  Value = unknown,
>({ create, ...definition }: FormatDraft<Name, Options, Short, Value>): FormatDefinition<Name, Options, Short, Value> {
  return {
    kind: 'format',
    ...definition,
    create: (options, context = withoutConfiguration) => create(options, context),
  }
}

/** A format as it is declared: it always has a context. */
type FormatDraft<Name extends string, Options extends z.ZodType, Short extends string, Value> = Omit<
  FormatDefinition<Name, Options, Short, Value>,
  'kind' | 'create'
> & { create(options: z.output<Options>, context: FormatContext): Format<Value> }

const withoutConfiguration: FormatContext = {
  resolvePath: (path) => resolve(path),
  resolvePackage(name) {
    try {
      return createRequire(import.meta.url).resolve(name)
    } catch (thrown) {
      const hint = `Install it beside Sluice: npm install ${name}`
      throw new SluiceError('package_missing', `the package ${name} is not installed`, { cause: thrown, hint })
    }
  },
}

/** Declares a step. */
export function defineStep<const Name extends string, Options extends z.ZodType, const Short extends string = never>(
  definition: Omit<StepDefinition<Name, Options, Short>, 'kind'>,
): StepDefinition<Name, Options, Short> {
  return { kind: 'step', ...definition }
}

/**
 * Declares a sink. The options with which a user says how it is delivered to are added to its own.
 * @param definition its options are a mapping: a `z.strictObject`
 */
export function defineSink<const Name extends string, Options extends z.ZodType, const Short extends string = never>(
  definition: Omit<SinkDefinition<Name, Options, Short>, 'kind'>,
): SinkDefinition<Name, Delivered<Options>, Short> {
  const options = withDeliveryOptions(definition.options, definition.batching) as Delivered<Options>
  return { kind: 'sink', ...definition, options }
}

/** Declares a subscription. */
export function defineSubscription<
  const Name extends string,
  Options extends z.ZodType,
  const Short extends string = never,
>(
  definition: Omit<SubscriptionDefinition<Name, Options, Short>, 'kind'>,
): SubscriptionDefinition<Name, Options, Short> {
  return { kind: 'subscription', ...definition }
}

/** The option with which a user says that each worker may remember for itself; see `spansConnections`. */
export const scopeOption = {
  scope: z
    .literal('worker')
    .optional()
    .describe('With several `workers`, needed: each of them remembers for its own connections only.'),
} as const

/** The options of a sink, with those of delivery. */
type Delivered<Options extends z.ZodType> = z.ZodType<
  z.output<Options> & DeliveryOptions,
  z.input<Options> & DeliveryInput
>
