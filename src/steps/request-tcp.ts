import { requireOneAddress, targetOf, tcpAddress } from '../brokers/tcp-address.ts'
import type { PayloadKind } from '../contracts/client.ts'
import type { Codec } from '../contracts/codec.ts'
import type { PartContext } from '../contracts/context.ts'
import { type FailureCode, SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Events } from '../contracts/events.ts'
import type { Message } from '../contracts/message.ts'
import { type Expression, formatOption, framingOption, size, z } from '../contracts/schema.ts'
import { whenAborted } from '../util/signals.ts'
import { Slots } from '../util/slots.ts'
import { formatDuration } from '../util/units.ts'
import type { ConnectionEventMap } from '../wire/client-events.ts'
import type { ClientSettings } from '../wire/client-settings.ts'
import { dialSecured } from '../wire/dialling.ts'
import type { BegunRequest } from '../wire/link.ts'
import { ConnectionPool } from '../wire/pool.ts'
import { SingleUse } from '../wire/single-use.ts'
import type { Payload } from './payload.ts'

/** What `to: { tcp: … }` may hold. */
export const tcpTarget = z
  .strictObject({
    ...tcpAddress,
    framing: framingOption()
      .optional()
      .describe('How questions and answers are kept apart on the connection. Default: line.'),
    format: formatOption()
      .optional()
      .describe("How `value` is written and an answer is read. Default: the endpoint's format."),
    connection: z
      .enum(['shared', 'perMessage'])
      .default('shared')
      .describe(
        'What has a connection of its own: `shared`, none, they are kept for the next questions; `perMessage`, each question, for a service that closes behind its answer. Default: shared.',
      ),
    connections: z
      .int()
      .min(1)
      .max(1000)
      .default(1)
      .describe(
        'Most connections at a time, opened when they are needed. Each step has its own, and with several `workers` in each of them. Default: 1.',
      ),
    maxInFlight: z
      .int()
      .min(1)
      .max(1000)
      .optional()
      .describe(
        'Most questions of a connection that are under way; more wait their turn. Without `match` answers are taken in the order of the questions. Default: 1; with `match` 100.',
      ),
    maxAnswer: size()
      .prefault('1MiB')
      .describe('Most bytes of an answer; a longer one fails the message and ends the connection. Default: 1MiB.'),
  })
  .superRefine((target, context) => {
    requireOneAddress(target, context)
    if (target.connection === 'shared' || target.maxInFlight === undefined) return
    const message = 'with connection: perMessage there is one question on each connection'
    const params = { hint: 'write connections for how many there may be at a time' }
    context.addIssue({ code: 'custom', message, path: ['maxInFlight'], params })
  })

type TcpTarget = z.output<typeof tcpTarget>

/** What is asked, and for how long an answer is waited. */
export interface TcpQuestion extends Payload {
  readonly match: Expression<boolean> | undefined
  /** Milliseconds. */
  readonly timeout: number
}

/** Asks a TCP service. */
export class TcpAsker {
  readonly #where: string
  readonly #question: TcpQuestion
  readonly #context: PartContext
  readonly #ways: Ways
  readonly #slots: Slots
  /** Why no connection is there; undefined while it is not known that there is none. */
  #trouble: SluiceError | undefined = undefined

  constructor(target: TcpTarget, question: TcpQuestion, context: PartContext) {
    const isShared = target.connection === 'shared'
    const { connections, maxInFlight = isShared && question.match !== undefined ? 100 : 1 } = target
    const { where, dial, tls } = targetOf(target, context)
    const codec = codecOf(target, context)
    const { timeout } = question
    const settings: ClientSettings<unknown, unknown> = {
      target: where,
      incoming: codec,
      outgoing: codec,
      maxFrameLength: target.maxAnswer,
      timeout,
      requestTimeout: timeout,
      maxPending: maxInFlight,
      attempts: Number.POSITIVE_INFINITY,
      backoff: BACKOFF,
      idOf: undefined,
      // Nothing but its place tells an answer that comes late from that to the next question, so nothing follows on the same
      // connection. With match, what nobody waits for matches nothing.
      whenTimedOut: question.match === undefined ? 'close' : 'forget',
      onConnect: undefined,
      ready: () => Promise.resolve(),
      dial: (signal) => dialSecured(context.tcp, { ...dial, timeout, signal, socket: SOCKET }, tls),
    }
    this.#where = where
    this.#question = question
    this.#context = context
    this.#slots = new Slots(connections * maxInFlight)
    this.#ways = isShared ? sharedWays(settings, connections, context.signal) : new SingleUse(settings, context.signal)
    this.#watch()
  }

  /**
   * @param over aborted when the message has failed already: its question is given up
   * @returns the value of the answer
   * @throws SluiceError `request_failed`; what an expression, the format or the framing says of the question
   */
  async ask(message: Message, over?: AbortSignal): Promise<unknown> {
    const { kind, content, match, timeout } = this.#question
    const { clock } = this.#context
    const asked = content(message)
    const begun = clock.elapsed()
    await this.#takeTurn(over)
    const options = {
      timeout,
      left: timeout - (clock.elapsed() - begun),
      ...(over !== undefined && { signal: over }),
      ...(match !== undefined && { match: (answer: unknown) => match(message.withAnswer(answer)) }),
    }
    try {
      return await this.#ways.ask(kind, asked, options, () => this.#slots.give())
    } catch (thrown) {
      throw this.#failure(toSluiceError(thrown, 'request_failed'))
    }
  }

  /** Ends the connections. */
  async close(): Promise<void> {
    await this.#ways.close()
  }

  /** Waits until the question may be asked. */
  async #takeTurn(over: AbortSignal | undefined): Promise<void> {
    const { timeout } = this.#question
    const late = new AbortController()
    const timer = setTimeout(() => late.abort(), timeout)
    const forget = over && whenAborted(over, () => late.abort())
    try {
      await this.#slots.take(late.signal)
    } catch {
      if (this.#trouble !== undefined) throw this.#unreachable(this.#trouble)
      const text = `${this.#where} was busy with other questions for ${formatDuration(timeout)}`
      const hint = 'Raise timeout, connections or maxInFlight.'
      throw new SluiceError('request_failed', text, { retryable: true, hint })
    } finally {
      clearTimeout(timer)
      forget?.()
    }
  }

  /** Tells when the service cannot be reached, and when it can again; and what it says that nobody has asked for. */
  #watch(): void {
    const { events } = this.#ways
    events.on('dial.failed', ({ error }) => {
      if (this.#trouble === undefined)
        this.#context.log('warn', `${unreachable(this.#where, error)}; it is tried again`)
      this.#trouble = error
    })
    events.on('connection.opened', () => {
      if (this.#trouble !== undefined) this.#context.log('info', `${this.#where} can be reached again`)
      this.#trouble = undefined
    })
    events.on('message.dropped', ({ reason }) => {
      this.#context.log('debug', `${this.#where} has sent something that answers no question (${reason})`)
    })
  }

  #failure(error: SluiceError): SluiceError {
    const { code, message, retryable, hint } = error
    if (OF_QUESTION.has(code)) return error
    if (OF_ANSWER.has(code)) {
      return failed(`the answer of ${this.#where} cannot be read: ${message}`, error, false, hint)
    }
    const text = `${this.#where}: ${message}`
    // What the client of the library advises in these two cases is about options that a step does not have.
    if (code === 'connection_lost') return failed(text, error, retryable, UNCERTAIN)
    if (this.#trouble !== undefined) return this.#unreachable(this.#trouble)
    return failed(text, error, retryable, code === 'request_timeout' ? undefined : hint)
  }

  #unreachable(trouble: SluiceError): SluiceError {
    return failed(unreachable(this.#where, trouble), trouble, true, trouble.hint)
  }
}

/** How questions get to the service. */
interface Ways {
  readonly events: Events<ConnectionEventMap>
  /** @param onEnd called once, when another question may take the place of this one */
  ask(kind: PayloadKind, content: unknown, options: BegunRequest<unknown>, onEnd: () => void): Promise<unknown>
  close(): void | Promise<void>
}

/** Over connections that are kept. */
function sharedWays(settings: ClientSettings<unknown, unknown>, max: number, signal: AbortSignal): Ways {
  const pool = new ConnectionPool(settings, { max, idleTimeout: 0, signal })
  return {
    events: pool.events,
    ask: (kind, content, options, onEnd) => pool.ask(kind, content, options).finally(onEnd),
    close: () => pool.close({ deadline: 0 }),
  }
}

function failed(text: string, cause: SluiceError, retryable: boolean, hint: string | undefined): SluiceError {
  return new SluiceError('request_failed', text, { cause, retryable, ...(hint !== undefined && { hint }) })
}

/**
 * Refuses a framing whose frames come in pieces, of which the first would be taken for the answer.
 * @throws SluiceError `frame_invalid`
 */
function codecOf({ framing, format }: Pick<TcpTarget, 'framing' | 'format'>, context: PartContext): Codec {
  const codec = { framing: framing ?? context.lineFraming, format: format ?? context.codec.format }
  if (codec.framing.createDecoder(1).inPieces !== true) return codec
  throw new SluiceError('frame_invalid', 'an answer has to come whole, and this framing gives it in pieces', {
    hint: 'Write until-close: { streamAbove: off }.',
  })
}

function unreachable(where: string, { message }: SluiceError): string {
  return message.includes(where) ? message : `${where} cannot be reached: ${message}`
}

/** What is wrong with the question itself. */
const OF_QUESTION: ReadonlySet<FailureCode> = new Set(['format_not_printable', 'frame_not_encodable'])

/** What is wrong with the answer. */
const OF_ANSWER: ReadonlySet<FailureCode> = new Set([
  'frame_too_long',
  'frame_invalid',
  'frame_truncated',
  'format_invalid',
])

const UNCERTAIN = 'It may have acted on the question or not. Nothing asks twice by itself.'

/** Milliseconds between attempts to connect, at first and at most: a service that comes back is not missed for long. */
const BACKOFF = { first: 500, max: 5000 }

/** Milliseconds of silence after which the kernel asks whether the other side is still there; small questions leave at once. */
const SOCKET = { keepAlive: 60_000, noDelay: true }
