import { SluiceError } from '../contracts/errors.ts'
import { givenUp } from '../contracts/sink.ts'
import type { Transport } from '../contracts/transport.ts'
import { dialLink, type Link, type OutletTarget, unavailable } from './outlet-link.ts'

/**
 * Gives every piece of bytes a connection of its own: connect, write, FIN, wait for the other side's FIN. One after the
 * other, because a device that takes a job for each connection, such as a label printer on port 9100, takes one connection
 * at a time.
 */
export class SingleShots {
  readonly #transport: Transport
  readonly #target: OutletTarget
  /** Settles when the last one that was asked for has ended. */
  #last: Promise<void> = Promise.resolve()
  #link: Link | undefined
  readonly #abort = (): void => this.#link?.socket.destroy()

  /** @param target its `timeout` is also how long the other side may take to close */
  constructor(transport: Transport, target: OutletTarget) {
    this.#transport = transport
    this.#target = target
    target.signal.addEventListener('abort', this.#abort)
  }

  /**
   * Sends bytes, in the order of the calls. They must not be changed before the promise settles.
   * @param over aborted when nobody waits any more: what has not begun by then is not sent
   * @returns resolves when the other side has closed behind them, or has taken them and did not close in time
   * @throws SluiceError `sink_unavailable`, retryable: nobody answers, or the connection broke before it was closed; some or
   *   all of the bytes may have arrived
   */
  send(bytes: Buffer, over?: AbortSignal): Promise<void> {
    const sent = this.#last.then(() => this.#shoot(bytes, over))
    this.#last = sent.catch(() => undefined)
    return sent
  }

  /** Ends when everything that was asked for has ended. */
  async close(): Promise<void> {
    await this.#last
    this.#target.signal.removeEventListener('abort', this.#abort)
  }

  async #shoot(bytes: Buffer, over: AbortSignal | undefined): Promise<void> {
    if (over?.aborted) throw givenUp()
    const { timeout } = this.#target
    const link = await dialLink(this.#transport, this.#target)
    this.#link = link
    let left: number
    try {
      await link.write(bytes)
    } finally {
      left = await link.end(timeout)
      this.#link = undefined
    }
    if (left > 0) {
      const text = `the other side has not read ${left} bytes within ${timeout} ms`
      throw unavailable(new SluiceError('sink_unavailable', text))
    }
    if (link.error !== undefined) throw unavailable(link.error)
  }
}
