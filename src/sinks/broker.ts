import { createHash } from 'node:crypto'
import type { Link } from '../brokers/link.ts'
import type { Batch } from '../contracts/batch.ts'
import type { PartContext, Shared } from '../contracts/context.ts'
import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Message } from '../contracts/message.ts'
import type { Outcomes, Sink } from '../contracts/sink.ts'
import { OpenWrites } from './open-writes.ts'

/** Keeps one connection for all sinks that share it: made when it is needed, and made again when it was lost. */
export class Broker<L extends Link<never>> {
  readonly #dial: () => Promise<L>
  #link: L | undefined
  #dialling: Promise<L> | undefined

  /** @param dial makes a connection, within the timeout of the options. @throws SluiceError */
  constructor(dial: () => Promise<L>) {
    this.#dial = dial
  }

  /** @throws SluiceError saying why there is no connection; not `retryable` where the options are to blame */
  async link(): Promise<L> {
    if (this.#link?.open) return this.#link
    this.#dialling ??= this.#dial().finally(() => {
      this.#dialling = undefined
    })
    this.#link = await this.#dialling
    return this.#link
  }

  async close(): Promise<void> {
    await this.#dialling?.catch(() => undefined)
    await this.#link?.end()
    this.#link = undefined
  }
}

/**
 * Shares a broker between the sinks whose connection options are equal, and connects. A broker that cannot be reached
 * does not keep the server from starting: it is tried again with the first message.
 * @param options what the connection depends on; secrets in it are not kept
 * @param check looks whether the broker can do what the sink wants
 * @throws SluiceError when the broker refuses us, or the check fails
 */
export async function shareBroker<L extends Link<never>>(
  kind: string,
  options: unknown,
  context: PartContext,
  dial: () => Promise<L>,
  check: (link: L) => void | Promise<void>,
): Promise<Shared<Broker<L>>> {
  const key = createHash('sha256').update(JSON.stringify(options)).digest('base64')
  const shared = context.share(`${kind} ${key}`, () => new Broker(dial))
  try {
    await check(await shared.value.link())
  } catch (thrown) {
    const error = toSluiceError(thrown, 'sink_unavailable')
    if (!error.retryable) {
      await shared.release()
      throw error
    }
    context.log('warn', `${error.message}; it is tried again with the first message`)
  }
  return shared
}

/** A sink that publishes: what mqtt and amqp have in common. */
export class BrokerSink<T> implements Sink {
  readonly #shared: Shared<Broker<Link<T>>>
  readonly #encode: (message: Message) => T
  readonly #timeout: number
  readonly #writes = new OpenWrites()

  /**
   * @param encode throws for a message that cannot be published
   * @param timeout milliseconds for one write
   */
  constructor(shared: Shared<Broker<Link<T>>>, encode: (message: Message) => T, timeout: number) {
    this.#shared = shared
    this.#encode = encode
    this.#timeout = timeout
  }

  write(batch: Batch): Promise<void | Outcomes> {
    return this.#writes.run(() => this.#publish(batch.messages))
  }

  close(): Promise<void> {
    return this.#writes.close(() => this.#shared.release())
  }

  async #publish(messages: readonly Message[]): Promise<void | Outcomes> {
    const outcomes = new Array<SluiceError | undefined>(messages.length).fill(undefined)
    const positions: number[] = []
    const items: T[] = []
    for (const [position, message] of messages.entries()) {
      try {
        items.push(this.#encode(message))
        positions.push(position)
      } catch (thrown) {
        outcomes[position] = toSluiceError(thrown, 'sink_failed')
      }
    }
    if (items.length > 0) {
      const { results, lost } = await this.#deliver(items)
      const isLost = (error: SluiceError | undefined) => error !== undefined && error === lost
      if (lost !== undefined && items.length === messages.length && results.every(isLost)) throw lost
      // When the broker has closed because of a message, the rest is tried again: then what was delivered is out of the
      // way, and the message is found.
      const rest = lost === undefined ? undefined : toRetryable(lost)
      for (const [i, position] of positions.entries()) outcomes[position] = isLost(results[i]) ? rest : results[i]
    }
    return outcomes.some((error) => error !== undefined) ? outcomes : undefined
  }

  async #deliver(items: readonly T[]): Promise<{ results: Outcomes; lost: SluiceError | undefined }> {
    const until = performance.now() + this.#timeout
    try {
      const link = await this.#shared.value.link()
      const results = await link.deliver(items, Math.max(1, until - performance.now()))
      return { results, lost: link.lost }
    } catch (thrown) {
      // A password that was changed says nothing about the messages: they wait for it to be put right.
      const lost = toRetryable(toSluiceError(thrown, 'sink_unavailable'))
      return { results: items.map(() => lost), lost }
    }
  }
}

function toRetryable(error: SluiceError): SluiceError {
  if (error.retryable) return error
  const hint = error.hint === undefined ? {} : { hint: error.hint }
  return new SluiceError('sink_unavailable', error.message, { cause: error, retryable: true, ...hint })
}
