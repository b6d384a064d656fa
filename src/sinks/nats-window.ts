import type { Msg, MsgHdrs } from '@nats-io/transport-node'
import { unavailable } from '../brokers/network-error.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Outcomes } from '../contracts/sink.ts'

/** A message as NATS takes it. */
export interface Publication {
  readonly subject: string
  readonly payload: Uint8Array | string
  readonly headers: MsgHdrs | undefined
  /** Where the message came from: those of one source keep their order. */
  readonly source: unknown
}

/** How the publications of one write are sent with JetStream. */
export interface WindowOptions {
  /**
   * For each publication the one that must wait for its acknowledgement; undefined when there is none. Absent: none
   * waits, all are sent at once.
   */
  readonly behind?: readonly (number | undefined)[] | undefined
  /** Milliseconds without any acknowledgement after which what is open has failed. */
  readonly timeout: number
}

/** What became of a window. */
export interface WindowResult {
  readonly outcomes: Outcomes
  /** Subjects for which the server found nobody who would take a message. */
  readonly untaken: ReadonlySet<string>
}

/** Publications of one write that are sent and acknowledged together. */
export class Window implements WindowResult {
  readonly publications: readonly Publication[]
  readonly outcomes: (SluiceError | undefined)[]
  readonly untaken = new Set<string>()
  readonly done: Promise<void>
  /** Called whenever the server has shown that it lives. */
  onProgress: () => void = () => {}
  readonly #behind: readonly (number | undefined)[] | undefined
  readonly #send: (index: number) => void
  readonly #resolve: () => void
  #open: number

  constructor(publications: readonly Publication[], { behind }: WindowOptions, send: (index: number) => void) {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.publications = publications
    this.outcomes = new Array<SluiceError | undefined>(publications.length).fill(undefined)
    this.done = promise
    this.#behind = behind
    this.#send = send
    this.#resolve = resolve
    this.#open = publications.length
  }

  /** Sends all that need not wait for another. */
  begin(): void {
    const later = new Set(this.#behind)
    for (let i = 0; i < this.publications.length; i++) if (!later.has(i)) this.#send(i)
  }

  /** Nobody takes the subject; whether that passes is for others to find out. */
  untake(index: number): void {
    const { subject } = this.publications[index]!
    this.untaken.add(subject)
    this.settle(index, unavailable(`no stream takes the subject ${subject} (no responders)`))
  }

  /** What may pass fails all that wait behind it too, unsent, so that they keep their order when they are tried again. */
  settle(index: number, error: SluiceError | undefined): void {
    this.onProgress()
    let next = this.#behind?.[index]
    this.#put(index, error)
    if (error?.retryable !== true) {
      if (next !== undefined) this.#send(next)
      return
    }
    for (; next !== undefined; next = this.#behind?.[next]) this.#put(next, error)
  }

  #put(index: number, error: SluiceError | undefined): void {
    this.outcomes[index] = error
    if (--this.#open === 0) this.#resolve()
  }
}

/** What a stream answers: https://docs.nats.io/reference/reference-protocols/nats_api_reference#publishing-to-streams */
interface Ack {
  readonly stream?: string
  readonly error?: { readonly code?: number; readonly err_code?: number; readonly description?: string }
}

/** A duplicate is one that the stream has already: it counts as delivered. */
export function readAck(message: Msg): SluiceError | undefined {
  let ack: Ack
  try {
    ack = message.json<Ack>()
  } catch (cause) {
    return new SluiceError('sink_failed', 'what answered for this subject is no stream', {
      cause,
      hint: NO_STREAM_HINT,
    })
  }
  const { stream, error } = ack
  if (error === undefined) {
    if (stream !== undefined && stream !== '') return undefined
    return new SluiceError('sink_failed', 'what answered for this subject is no stream', { hint: NO_STREAM_HINT })
  }
  const text = `the stream refused the message: ${error.description ?? 'it did not say why'}`
  // 5xx: no leader, no resources, a stream that is full and discards what is new. 4xx: the message is at fault, but for
  // one that says that the account is full.
  const passes = (error.code ?? 400) >= 500 || error.code === 429 || error.err_code === ACCOUNT_FULL
  return passes ? unavailable(text, error) : new SluiceError('sink_failed', text, { cause: error })
}

/** `JSAccountResourcesExceededErr` of nats-server. */
const ACCOUNT_FULL = 10_002

const NO_STREAM_HINT = 'A program that replies to requests listens there: choose another subject, or jetstream: false.'
