import type { Client, PayloadKind } from './client.ts'
import type { Clock } from './clock.ts'
import type { Format } from './format.ts'
import type { Frames } from './framing.ts'
import type { Wait } from './wait.ts'

/** Why a dataflow runs: for a message, because a client came or went, or because time passed. */
export type MessageEvent = 'message' | 'connect' | 'disconnect' | 'timer'

/** What an expression sees as `error`. */
export interface ErrorInfo {
  readonly message: string
  readonly code: string
  /** Id of the step that failed; '' when the framing or the format did. */
  readonly step: string
  readonly retryable: boolean
}

/** Where messages come from and where their answers go: a connection, a broker, or a timer that has nobody to answer. */
export interface Source {
  readonly client: Client
  /** Tells this run of the server from every other one. */
  readonly boot: string
  readonly endpoint: string
  readonly clock: Clock
  /** Free values of this connection, written by the step `set` alone. */
  readonly state: Record<string, unknown>
  /**
   * Queues an answer to the message with this sequence. Answers leave in the order of the messages that caused them; one
   * that comes after the run of its message has ended (a step that timed out, say) is lost, and counted.
   * @throws SluiceError `no_connection`, or what the format or framing says of the content. That the client has gone is
   *   no error here: its answers are lost, and counted
   */
  reply(sequence: number, kind: PayloadKind, content: unknown): void
  /**
   * Waits until the client has read what was sent to it, as far as it must have before more is sent; also ends when it has
   * gone. Absent where no answer leaves before the run has ended, so that an answer must not be longer than memory.
   * @returns undefined when nothing has to be waited for
   */
  drained?(): Promise<void> | undefined
  /**
   * Ends the connection at once, so that the client sees it break: an answer that it has in part will not be finished, and must
   * not look so. There where `drained` is.
   */
  reset?(): void
  /**
   * Answers every frame of some reads with itself, in this source's framing.
   * @returns false when that is not possible; the caller then replies one by one
   */
  echo(frames: readonly Frames[]): boolean
  /**
   * Waits for a message of this client. What arrives is offered to the open waits first, the oldest before the others; what
   * none of them takes goes the usual way.
   * @throws SluiceError `wait_failed` when it did not arrive in time, or cannot arrive any more; `no_connection`
   */
  wait(wait: Wait<Message>): Promise<Message>
  /**
   * Told, where a source has it, that a message with this sequence has failed in a step whose `onError` takes it: nothing
   * else tells of that, because the message has then been handled.
   */
  failed?(sequence: number): void
  /** The step in whose buffer the messages have waited: the steps behind it have had them. */
  readonly buffer?: string
  /** For whom it stands in. */
  readonly origin?: Source
  /** Closes the connection once everything already queued has been sent. */
  close(): void
}

/** What few messages have, as {@link Message} gives it; what is read from a connection has none of it as a rule. */
export interface MessageExtras {
  readonly error?: ErrorInfo | undefined
  readonly givenKey?: string | undefined
  readonly part?: string | undefined
  readonly more?: boolean | undefined
  readonly topic?: string | undefined
}

/**
 * One decoded value with its context. Immutable: a step that changes something returns a new message, made by
 * {@link Message.with}.
 */
export class Message<T = unknown> {
  /** The decoded value; null for an event, and for a frame that could not be decoded. */
  readonly msg: T
  readonly source: Source
  readonly event: MessageEvent
  /** When its last byte was read; milliseconds since 1970. */
  readonly time: number
  /** Position among the frames of its connection, from 1; 0 for an event. Messages that a step made of one share it. */
  readonly sequence: number
  /** The format that gives back `raw` for `msg`; undefined once the value has been changed. */
  readonly verbatim: Format | undefined
  readonly #extras: MessageExtras
  readonly #bytes: Buffer
  readonly #start: number
  readonly #end: number

  /** @param bytes with its frame from `start` to `end`: kept, and never changed */
  constructor(
    msg: T,
    source: Source,
    event: MessageEvent,
    time: number,
    sequence: number,
    bytes: Buffer,
    start: number,
    end: number,
    verbatim: Format | undefined,
    extras: MessageExtras = NO_EXTRAS,
  ) {
    this.msg = msg
    this.source = source
    this.event = event
    this.time = time
    this.sequence = sequence
    this.#bytes = bytes
    this.#start = start
    this.#end = end
    this.verbatim = verbatim
    this.#extras = extras
  }

  /**
   * A message for entry `i` of a read.
   * @param verbatim the format that gave the value; undefined when the frame could not be decoded
   */
  static ofFrame<T>(
    msg: T,
    source: Source,
    { bytes, starts, ends, time, sequence, more }: Frames,
    i: number,
    verbatim: Format | undefined,
  ): Message<T> {
    const [start, end] = [starts[i]!, ends[i]!]
    const extras = more ? MORE : NO_EXTRAS
    return new Message(msg, source, 'message', time, sequence + i, bytes, start, end, verbatim, extras)
  }

  /** A message that stands for an event of the connection and has no bytes. */
  static ofEvent(source: Source, event: MessageEvent, time: number): Message<null> {
    return new Message(null, source, event, time, 0, NO_BYTES, 0, 0, undefined)
  }

  /** The frame as it was read: a view, never a copy. Empty for an event. */
  get raw(): Buffer {
    return this.#bytes.subarray(this.#start, this.#end)
  }

  /** What an `onError` sees. */
  get error(): ErrorInfo | undefined {
    return this.#extras.error
  }

  /** The key that the endpoint's `key:` gave, else the name that a broker knows it by; '' when it has none. */
  get givenKey(): string {
    return this.#extras.givenKey ?? ''
  }

  /** Which one it is of several messages that a step made of one: `.0`, `.1`; '' when it is the only one. */
  get part(): string {
    return this.#extras.part ?? ''
  }

  /** It is a piece of a frame too long to be kept in memory, and more of the same frame follows in the next message. */
  get more(): boolean {
    return this.#extras.more ?? false
  }

  /** What a broker has filed it under: a subject, a topic, a channel; '' when it came from no broker. */
  get topic(): string {
    return this.#extras.topic ?? ''
  }

  /**
   * Tells it from all other messages, and stays the same whenever it is tried again: what the endpoint's `key:` gave,
   * else the run of the server, the connection and the sequence.
   */
  get key(): string {
    const { boot, client } = this.source
    return (this.givenKey === '' ? `${boot}-${client.id}-${this.sequence}` : this.givenKey) + this.part
  }

  /** What has arrived, where an expression says whether it is what is waited for; null elsewhere. */
  get answer(): unknown {
    return null
  }

  get client(): Client {
    return this.source.client
  }

  get endpoint(): string {
    return this.source.endpoint
  }

  get state(): Record<string, unknown> {
    return this.source.state
  }

  get received(): Date {
    return new Date(this.time)
  }

  /** The same message with another value. */
  with<U>(msg: U): Message<U> {
    return this.#copy(msg, this.source, Object.is(msg, this.msg) ? this.verbatim : undefined, this.#extras)
  }

  /** The same message as if it came from another source. */
  from(source: Source): Message<T> {
    return this.#copy(this.msg, source, this.verbatim, this.#extras)
  }

  /** The same message with `answer` in scope, as `match` sees it. */
  withAnswer(answer: unknown): Message<T> {
    return new Answered(this, answer)
  }

  /** The same message with `error` in scope, as `onError` sees it. */
  withError(error: ErrorInfo): Message<T> {
    return this.#withExtras({ error })
  }

  /** The same message as one of several that a step made of one, so that each has a key of its own. */
  asPart(index: number): Message<T> {
    return this.#withExtras({ part: `${this.part}.${index}` })
  }

  /** The same message with what the endpoint's `key:` gave. */
  withKey(key: string): Message<T> {
    return this.#withExtras({ givenKey: key })
  }

  #withExtras(extras: MessageExtras): Message<T> {
    return this.#copy(this.msg, this.source, this.verbatim, { ...this.#extras, ...extras })
  }

  #copy<U>(msg: U, source: Source, verbatim: Format | undefined, extras: MessageExtras): Message<U> {
    const { event, time, sequence } = this
    return new Message(msg, source, event, time, sequence, this.#bytes, this.#start, this.#end, verbatim, extras)
  }
}

/** A message while it is compared with what has arrived. */
class Answered<T> extends Message<T> {
  readonly #answer: unknown

  constructor(message: Message<T>, answer: unknown) {
    const { msg, source, event, time, sequence, raw, verbatim, error, givenKey, part, more, topic } = message
    const extras = { error, givenKey, part, more, topic }
    super(msg, source, event, time, sequence, raw, 0, raw.length, verbatim, extras)
    this.#answer = answer
  }

  override get answer(): unknown {
    return this.#answer
  }
}

const NO_BYTES = Buffer.alloc(0)

/** Those of all messages that are as they were read: one object, so that a message takes no room for what it has not. */
const NO_EXTRAS: MessageExtras = Object.freeze({})
const MORE: MessageExtras = Object.freeze({ more: true })
