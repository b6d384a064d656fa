import type { Client } from '../contracts/client.ts'
import type { Outlet } from './outlet.ts'

/**
 * A connection for each client: made with its first message, closed when the client has gone.
 *
 * Nothing tells a sink that a client has gone, so it looks twice a second, and it closes what was not used since it last
 * looked: messages that are still on their way, or that a buffer has kept, are sent before.
 */
export class ClientOutlets {
  readonly #open: () => Outlet
  readonly #entries = new Map<string, Entry>()
  readonly #timer: NodeJS.Timeout
  /** The closes that are under way. */
  readonly #closing = new Set<Promise<void>>()

  /** @param open makes the outlet of a client */
  constructor(open: () => Outlet) {
    this.#open = open
    this.#timer = setInterval(() => this.#look(), LOOK_MS).unref()
  }

  /** As {@link Outlet.send}, over the connection of this client. */
  async send(client: Client, bytes: Buffer): Promise<void> {
    const entry = this.#entries.get(client.id) ?? { client, outlet: this.#open(), sending: 0, used: true }
    this.#entries.set(client.id, entry)
    entry.used = true
    entry.sending++
    try {
      await entry.outlet.send(bytes)
    } finally {
      entry.sending--
    }
  }

  /** Sends what is queued and ends all connections. */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    for (const [id, { outlet }] of this.#entries) this.#end(id, outlet)
    await Promise.all(this.#closing)
  }

  #look(): void {
    for (const [id, entry] of this.#entries) {
      const { client, outlet, sending, used } = entry
      if (client.state === 'closed' && sending === 0 && !used) this.#end(id, outlet)
      entry.used = false
    }
  }

  #end(id: string, outlet: Outlet): void {
    this.#entries.delete(id)
    const closing = outlet.close().finally(() => this.#closing.delete(closing))
    this.#closing.add(closing)
  }
}

interface Entry {
  readonly client: Client
  readonly outlet: Outlet
  /** How many sends are under way. */
  sending: number
  /** Something was sent since the last look. */
  used: boolean
}

/** Milliseconds between two looks. */
const LOOK_MS = 500
