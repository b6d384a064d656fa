import type * as Amqp from 'amqplib'
import type { TlsSettings } from '../brokers/client-tls.ts'
import type { Link } from '../brokers/link.ts'
import { unreachable } from '../brokers/network-error.ts'
import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Outcomes } from '../contracts/sink.ts'
import { whenAborted } from '../util/signals.ts'
import { formatDuration } from '../util/units.ts'
import { type Delivery, Window } from './window.ts'

/** What is published. */
export interface Publish {
  readonly exchange: string
  readonly routingKey: string
  readonly content: Buffer
  readonly options: Amqp.Options.Publish & { readonly messageId: string }
}

/** How a link is made. */
export interface AmqpTarget {
  /** `connect` of the package amqplib. */
  readonly connect: typeof Amqp.connect
  readonly options: Amqp.Options.Connect
  readonly tls: TlsSettings | undefined
  /** For the texts of errors: protocol, host and port. */
  readonly address: string
  /** For the texts of errors: the virtual host. */
  readonly vhost: string
  /** Milliseconds within which the broker must have accepted us. */
  readonly timeout: number
  readonly signal: AbortSignal
}

/** A publish that has no confirm yet. */
interface Unconfirmed {
  readonly publish: Publish
  /** What the broker said when it gave the message back. */
  returned: string | undefined
}

/** Reply codes of AMQP 0-9-1 (section 1.2) with which a broker closes a channel because of a message. */
const ABOUT_MESSAGE = new Set([403, 406])

/** How long the broker may take to close after our goodbye. */
const LINGER_MS = 2000

/**
 * One connection of AMQP 0-9-1 with one channel in confirm mode. Neither is ever opened again: when the broker closes the
 * channel, which it does for any mistake, the connection is given up with it.
 */
export class AmqpLink implements Link<Publish> {
  readonly #model: Amqp.ChannelModel
  readonly #channel: Amqp.ConfirmChannel
  readonly #target: AmqpTarget
  readonly #socket: AbortController
  readonly #window: Window<Publish>
  readonly #unconfirmed = new Set<Unconfirmed>()
  readonly #closed = Promise.withResolvers<void>()
  /** Why the broker takes no messages for now. */
  #blocked: string | undefined
  #lost: SluiceError | undefined
  readonly #abort = (): void => this.#lose('the server is stopping')

  /** @param socket destroys the socket when it is aborted: the library has no way of its own to end what hangs */
  private constructor(
    model: Amqp.ChannelModel,
    channel: Amqp.ConfirmChannel,
    target: AmqpTarget,
    socket: AbortController,
  ) {
    this.#model = model
    this.#channel = channel
    this.#target = target
    this.#socket = socket
    this.#window = new Window(Number.POSITIVE_INFINITY, {
      send: (publish, done) => this.#send(publish, done),
      onTimeout: (delivery) => this.#expire(delivery),
    })
    model.on('blocked', (reason) => {
      this.#blocked = reason
      this.#window.pause()
    })
    model.on('unblocked', () => {
      this.#blocked = undefined
      this.#window.resume()
    })
    model.on('error', (error) => this.#lose(error.message))
    model.on('close', (error) => {
      this.#lose(error?.message ?? 'the connection was closed')
      this.#closed.resolve()
    })
    channel.on('return', (message) => this.#return(message))
    channel.on('error', (error: Error & { code?: number }) => this.#lose(error.message, error.code))
    channel.on('close', () => this.#lose('the broker closed the channel'))
    target.signal.addEventListener('abort', this.#abort)
    if (target.signal.aborted) this.#abort()
  }

  /**
   * Connects and opens the channel.
   * @throws SluiceError: `retryable` when the broker could not be reached, and not when it refuses us
   */
  static async dial(target: AmqpTarget): Promise<AmqpLink> {
    const { connect, options, tls, timeout, signal } = target
    const socket = new AbortController()
    const stop = () => socket.abort()
    const timer = setTimeout(stop, timeout)
    const forget = whenAborted(signal, stop)
    try {
      signal.throwIfAborted()
      const socketOptions = { ...tls, noDelay: true, signal: socket.signal }
      const model = await connect(options, socketOptions)
      // Those of the link come later; without one, an error of the model would end the process.
      model.on('error', () => undefined)
      const channel = await model.createConfirmChannel()
      return new AmqpLink(model, channel, target, socket)
    } catch (thrown) {
      socket.abort()
      throw refusal(target, thrown)
    } finally {
      clearTimeout(timer)
      forget()
    }
  }

  get open(): boolean {
    return this.#lost === undefined
  }

  get lost(): SluiceError | undefined {
    return this.#lost
  }

  deliver(publishes: readonly Publish[], timeout: number): Promise<Outcomes> {
    return this.#window.deliver(publishes, timeout)
  }

  /**
   * Looks whether there is such an exchange or queue, and changes nothing.
   * @throws SluiceError, not `retryable`, when there is none
   */
  async check(kind: 'exchange' | 'queue', name: string): Promise<void> {
    const { address, timeout } = this.#target
    const timer = setTimeout(() => this.#lose('no answer in time'), timeout)
    try {
      // The broker answers a miss by closing the channel.
      const channel = await this.#model.createChannel()
      channel.on('error', () => undefined)
      await (kind === 'queue' ? channel.checkQueue(name) : channel.checkExchange(name))
      await channel.close()
    } catch (thrown) {
      const { code } = thrown as { code?: unknown }
      if (code === undefined) throw this.#lost ?? refusal(this.#target, thrown)
      const text =
        code === 404
          ? `there is no ${kind} ${name} at ${address}`
          : `the broker at ${address} does not let us use the ${kind} ${name}: ${toSluiceError(thrown).message}`
      throw new SluiceError('sink_failed', text, { hint: `Declare the ${kind} first, or correct ${kind}:.` })
    } finally {
      clearTimeout(timer)
    }
  }

  async end(): Promise<void> {
    if (this.open) {
      const timer = setTimeout(() => this.#socket.abort(), LINGER_MS)
      this.#model.close().catch(() => undefined)
      await this.#closed.promise
      clearTimeout(timer)
    }
    this.#target.signal.removeEventListener('abort', this.#abort)
  }

  #send(publish: Publish, done: (error?: SluiceError) => void): void {
    const { exchange, routingKey, content, options } = publish
    const unconfirmed: Unconfirmed = { publish, returned: undefined }
    this.#channel.publish(exchange, routingKey, content, options, (error) => {
      this.#unconfirmed.delete(unconfirmed)
      if (error !== null) done(new SluiceError('sink_unavailable', NACKED, { retryable: true }))
      else if (unconfirmed.returned === undefined) done()
      else done(unroutable(unconfirmed.returned, publish))
    })
    this.#unconfirmed.add(unconfirmed)
  }

  /**
   * A message that no queue took comes back before its confirm. It does not say which one it is, but messages that are
   * equal in all that comes back have the same fate.
   */
  #return({ content, fields, properties }: Amqp.Message): void {
    const { replyText } = fields as { replyText?: unknown }
    for (const unconfirmed of this.#unconfirmed) {
      const { publish, returned } = unconfirmed
      if (returned !== undefined || publish.options.messageId !== properties.messageId) continue
      if (publish.routingKey !== fields.routingKey || publish.exchange !== fields.exchange) continue
      if (!publish.content.equals(content)) continue
      unconfirmed.returned = String(replyText)
      return
    }
  }

  /**
   * A broker that is short of memory or disk reads nothing more from a connection that publishes. It gets what is in the
   * socket later, so a new connection for every attempt would leave a copy of the messages each time: this one is kept,
   * and nothing more is sent through it.
   */
  #expire(delivery: Delivery): void {
    const time = formatDuration(this.#target.timeout)
    if (this.#blocked === undefined) {
      this.#lose(`no confirm within ${time} for ${delivery.left} messages`)
    } else {
      const text = `the broker at ${this.#target.address} takes no messages for now: ${this.#blocked}; what was sent may arrive later all the same`
      this.#window.abandon(delivery, new SluiceError('sink_unavailable', text, { retryable: true }))
    }
  }

  #lose(why: string, replyCode = 0): void {
    if (this.#lost !== undefined) return
    const { address, signal } = this.#target
    const final = ABOUT_MESSAGE.has(replyCode) && this.#window.deliveries === 1
    const text = `the connection to the broker at ${address} is lost: ${why}; what is not confirmed may have arrived all the same`
    this.#lost = new SluiceError(final ? 'sink_failed' : 'sink_unavailable', text, { retryable: !final })
    this.#window.fail(this.#lost)
    this.#unconfirmed.clear()
    signal.removeEventListener('abort', this.#abort)
    this.#socket.abort()
  }
}

const NACKED = 'the broker could not take the message (basic.nack)'

function unroutable(replyText: string, { exchange, routingKey }: Publish): SluiceError {
  const from = exchange === '' ? 'the default exchange' : `the exchange ${exchange}`
  return new SluiceError('sink_failed', `no queue takes ${from}'s messages for ${routingKey} (${replyText})`, {
    hint: 'Bind a queue, correct the routing key, or set mandatory: false to drop such messages.',
  })
}

/** The library tells of a refusal only in words: "Handshake terminated by server: 403 (ACCESS-REFUSED) …". */
function refusal({ address, vhost, timeout }: AmqpTarget, thrown: unknown): SluiceError {
  const text = toSluiceError(thrown).message
  const replyCode = Number(/^Handshake terminated by server: (\d+)/.exec(text)?.[1])
  if (replyCode === 403) {
    const hint = 'Check the user and the password in url.'
    return new SluiceError('sink_failed', `the broker at ${address} refuses us: wrong user or password`, { hint })
  }
  // Between login and this answer there is only the choice of the virtual host.
  if (text.includes('Expected ConnectionOpenOk; got <ConnectionClose')) {
    const hint = 'Correct the path of url, or give the user the right to use it.'
    return new SluiceError('sink_failed', `the broker at ${address} refuses us the virtual host ${vhost}`, { hint })
  }
  if ((thrown as { name?: unknown }).name !== 'AbortError') return unreachable(thrown, address)
  const message = `${address} did not answer within ${formatDuration(timeout)}`
  return new SluiceError('sink_unavailable', message, { retryable: true })
}
