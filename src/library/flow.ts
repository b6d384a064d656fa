import type { Message } from '../contracts/message.ts'
import type { SinkRef, StepRef } from './builders.ts'

/** A function over a message: `(msg) => …` or `(msg, { client }) => …`. */
export type MessageFunction<Msg, Out> = (msg: Msg, message: Message<Msg>) => Out

/** What `reply` and `send` write: text or a function giving it is framed; `value` is formatted too; `raw` is neither. */
export type Content<Msg> =
  | string
  | MessageFunction<Msg, string | Buffer>
  | { readonly value: MessageFunction<Msg, unknown> }
  | { readonly raw: MessageFunction<Msg, Buffer> }

/** The content of a file as an answer: its path, in which `${…}` is evaluated. */
export interface FileAnswer {
  readonly file: string
}

/** What any step may have beside it; the same as in YAML. */
export interface StepOptions<Msg> {
  /** Names the step in errors, metrics and tests. */
  readonly id?: string
  /** Messages for which it is false pass the step by. */
  readonly if?: MessageFunction<Msg, boolean>
  /** Takes what fails in this step; its chain ends there. */
  readonly onError?: (flow: Flow<Msg>) => Flow<unknown>
  /** Such as `5s`. */
  readonly timeout?: string
}

/** What a sink may have beside it. */
export interface SinkStepOptions<Msg> extends StepOptions<Msg> {
  /** How long a sink is tried again, such as `{ for: '1m' }`; the default is 10 seconds. */
  readonly retry?: { readonly for?: string; readonly max?: number }
}

/** Whom `send` addresses. */
export type SendTo<Msg> =
  | { readonly client: string | MessageFunction<Msg, string> }
  | { readonly tag: string; readonly value: string | MessageFunction<Msg, string> }
  | { readonly endpoint: string }
  | 'all'

/**
 * A dataflow written as a chain, so that the type of `msg` is known at every step; an array of steps cannot carry it.
 * A chain is a value: every method gives a new, longer one.
 */
export interface Flow<Msg> {
  /** The steps, as a configuration would have them. */
  readonly steps: readonly unknown[]
  /** Only messages for which `test` holds go on. A type guard narrows the type. */
  filter<Kept extends Msg>(
    test: (msg: Msg, message: Message<Msg>) => msg is Kept,
    options?: StepOptions<Msg> & { readonly else?: (flow: Flow<Msg>) => Flow<unknown> },
  ): Flow<Kept>
  filter(
    test: MessageFunction<Msg, boolean>,
    options?: StepOptions<Msg> & { readonly else?: (flow: Flow<Msg>) => Flow<unknown> },
  ): Flow<Msg>
  /** Another value for each message. */
  map<Out>(change: MessageFunction<Msg, Out>, options?: StepOptions<Msg>): Flow<Out>
  /** Writes to the state or the tags of the connection: `{ 'state.user': (msg) => msg.name }`. */
  set(values: Readonly<Record<string, MessageFunction<Msg, unknown>>>, options?: StepOptions<Msg>): Flow<Msg>
  /** Delivers to a sink; what follows begins when it has confirmed. */
  to(sink: SinkRef, options?: SinkStepOptions<Msg>): Flow<Msg>
  /** Answers the sender. */
  reply(content: Content<Msg> | FileAnswer, options?: StepOptions<Msg>): Flow<Msg>
  /** Writes to other clients. */
  send(
    to: SendTo<Msg>,
    content: Content<Msg>,
    options?: StepOptions<Msg> & { readonly exceptSender?: boolean },
  ): Flow<Msg>
  /** The first case whose `if` holds takes the message; what comes out of it goes on. */
  route<Out = Msg>(cases: readonly RouteCase<Msg, Out>[], options?: StepOptions<Msg>): Flow<Msg | Out>
  /** Every branch gets the message; the original goes on. */
  fork(
    branches: Readonly<Record<string, (flow: Flow<Msg>) => Flow<unknown>>>,
    options?: StepOptions<Msg> & { readonly finishedWhen?: readonly string[] },
  ): Flow<Msg>
  /** A step of your own: gives the new value, undefined to end the message, or a promise of either. */
  use<Out>(step: MessageFunction<Msg, Out | Promise<Out>>): Flow<Exclude<Out, undefined>>
  /** A step of your own that has a definition: `use(part(myStep)({ … }))`. Say what it gives: `use<Out>(…)`. */
  use<Out = Msg>(step: StepRef, options?: StepOptions<Msg>): Flow<Out>
  /** Writes a line to the log. */
  log(text: string | MessageFunction<Msg, string>, options?: StepOptions<Msg>): Flow<Msg>
  /** Keeps the message as a dead letter; it ends here. */
  deadLetter(reason?: string | MessageFunction<Msg, string>): Flow<never>
  /** Closes the connection once everything queued has been sent. */
  close(options?: StepOptions<Msg>): Flow<Msg>
}

/** A case of {@link Flow.route}; one without `if` takes what no other case took and must be last. */
export interface RouteCase<Msg, Out> {
  readonly if?: MessageFunction<Msg, boolean>
  readonly dataflow: (flow: Flow<Msg>) => Flow<Out>
}

/** An empty chain for messages of a type. */
export function createFlow<Msg>(): Flow<Msg> {
  return new Chain<Msg>([])
}

class Chain<Msg> implements Flow<Msg> {
  readonly steps: readonly unknown[]

  constructor(steps: readonly unknown[]) {
    this.steps = steps
  }

  filter<Kept extends Msg>(
    test: MessageFunction<Msg, boolean>,
    options?: StepOptions<Msg> & { readonly else?: (flow: Flow<Msg>) => Flow<unknown> },
  ): Flow<Kept> {
    return this.#add({ filter: test }, options)
  }

  map<Out>(change: MessageFunction<Msg, Out>, options?: StepOptions<Msg>): Flow<Out> {
    return this.#add({ map: change }, options)
  }

  set(values: Readonly<Record<string, MessageFunction<Msg, unknown>>>, options?: StepOptions<Msg>): Flow<Msg> {
    return this.#add({ set: values }, options)
  }

  to(sink: SinkRef, options?: SinkStepOptions<Msg>): Flow<Msg> {
    return this.#add({ ...sink }, options)
  }

  reply(content: Content<Msg> | FileAnswer, options?: StepOptions<Msg>): Flow<Msg> {
    return this.#add({ reply: content }, options)
  }

  send(
    to: SendTo<Msg>,
    content: Content<Msg>,
    { exceptSender, ...options }: StepOptions<Msg> & { readonly exceptSender?: boolean } = {},
  ): Flow<Msg> {
    const written = typeof content === 'object' ? content : { text: content }
    const except = exceptSender === undefined ? {} : { exceptSender }
    return this.#add({ send: { to: targetOf(to), ...written, ...except } }, options)
  }

  route<Out = Msg>(cases: readonly RouteCase<Msg, Out>[], options?: StepOptions<Msg>): Flow<Msg | Out> {
    const route = cases.map((one) =>
      one.if === undefined ? { else: stepsOf(one.dataflow) } : { if: one.if, dataflow: stepsOf(one.dataflow) },
    )
    return this.#add({ route }, options)
  }

  fork(
    branches: Readonly<Record<string, (flow: Flow<Msg>) => Flow<unknown>>>,
    { finishedWhen, ...options }: StepOptions<Msg> & { readonly finishedWhen?: readonly string[] } = {},
  ): Flow<Msg> {
    const built = Object.fromEntries(Object.entries(branches).map(([name, branch]) => [name, stepsOf(branch)]))
    const finished = finishedWhen === undefined ? {} : { finishedWhen }
    return this.#add({ fork: { branches: built, ...finished } }, options)
  }

  use<Out>(step: MessageFunction<Msg, unknown> | StepRef, options?: StepOptions<Msg>): Flow<Out> {
    return typeof step === 'function' ? new Chain([...this.steps, step]) : this.#add({ ...step }, options)
  }

  log(text: string | MessageFunction<Msg, string>, options?: StepOptions<Msg>): Flow<Msg> {
    return this.#add({ log: text }, options)
  }

  deadLetter(reason?: string | MessageFunction<Msg, string>): Flow<never> {
    return this.#add({ deadLetter: reason === undefined ? {} : { reason } }, undefined)
  }

  close(options?: StepOptions<Msg>): Flow<Msg> {
    return this.#add({ close: {} }, options)
  }

  #add<Out>(
    step: Readonly<Record<string, unknown>>,
    options: (StepOptions<Msg> & { readonly else?: (flow: Flow<Msg>) => Flow<unknown> }) | undefined,
  ): Flow<Out> {
    const { onError, else: otherwise, ...siblings } = options ?? {}
    return new Chain<Out>([
      ...this.steps,
      {
        ...step,
        ...siblings,
        ...(onError && { onError: stepsOf(onError) }),
        ...(otherwise && { else: stepsOf(otherwise) }),
      },
    ])
  }
}

/**
 * The steps of a chain.
 * @throws TypeError when the function does not give it back
 */
export function stepsOf<Msg>(build: (flow: Flow<Msg>) => Flow<unknown>): readonly unknown[] {
  const chain: unknown = build(createFlow<Msg>())
  if (chain instanceof Chain) return chain.steps
  throw new TypeError(
    'a dataflow must return its chain: write (flow) => flow.reply(…), or return flow.reply(…) in braces',
  )
}

/** In a configuration the value of a tag is an expression; here a text is that text. */
function targetOf<Msg>(to: SendTo<Msg>): unknown {
  if (to === 'all' || !('tag' in to) || typeof to.value !== 'string') return to
  const { tag, value } = to
  return { tag, value: () => value }
}
