import type { Transport } from '../contracts/transport.ts'
import { dialLink, LINGER_MS, type Link, type OutletTarget } from './outlet-link.ts'

/**
 * A connection that is only written to: made when bytes are to be sent and there is none, and made again when it was
 * lost. It does not try again by itself; whoever sends decides.
 */
export class Outlet {
  readonly #transport: Transport
  readonly #target: OutletTarget
  #link: Link | undefined
  #dialling: Promise<Link> | undefined
  readonly #abort = (): void => this.#link?.socket.destroy()

  constructor(transport: Transport, target: OutletTarget) {
    this.#transport = transport
    this.#target = target
    target.signal.addEventListener('abort', this.#abort)
  }

  /**
   * Sends bytes, in the order of the calls. They must not be changed before they were sent.
   * @returns resolves when the socket took them: at once, or after its drain while the other side is slow to read
   * @throws SluiceError `sink_unavailable`, retryable: nobody answers, or the connection broke before they were taken
   */
  async send(bytes: Buffer): Promise<void> {
    this.#dialling ??= this.#dial()
    const link = await this.#dialling
    await link.write(bytes)
  }

  /** Sends what is queued and ends the connection. Nothing may be sent any more. */
  async close(): Promise<void> {
    this.#target.signal.removeEventListener('abort', this.#abort)
    await this.#link?.end(LINGER_MS)
  }

  async #dial(): Promise<Link> {
    try {
      this.#link = await dialLink(this.#transport, this.#target, () => this.#lose())
      return this.#link
    } catch (error) {
      this.#dialling = undefined
      throw error
    }
  }

  #lose(): void {
    this.#link = undefined
    this.#dialling = undefined
  }
}
