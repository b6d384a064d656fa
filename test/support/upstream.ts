import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import type { Config } from '../../src/index.ts'
import { Peer } from './peer.ts'

const host = '127.0.0.1'

/** A server behind a relay: each connection is given to a test as a peer. */
export class Upstream implements AsyncDisposable {
  readonly peers: Peer[] = []
  readonly #server = createServer({ allowHalfOpen: true }, (socket) => this.#add(socket))
  #wake: (() => void) | undefined

  static async start(port = 0): Promise<Upstream> {
    const upstream = new Upstream()
    upstream.#server.listen(port, host)
    await once(upstream.#server, 'listening')
    return upstream
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get address(): string {
    return `${host}:${this.port}`
  }

  #add(socket: Socket): void {
    this.peers.push(Peer.over(socket))
    this.#wake?.()
  }

  /** The connection of this number, from 0, once it is there. */
  async peer(index = 0): Promise<Peer> {
    while (this.peers.length <= index) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    return this.peers[index]!
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { socket } of this.peers) socket.destroy()
    if (!this.#server.listening) return
    this.#server.close()
    await once(this.#server, 'close')
  }
}

/** A relay `front` on a free port, and nothing else. */
export const relaying = (to: string | string[], more: object = {}, endpoint: object = {}): Config => ({
  listen: { front: { host, port: 0, relay: { to, ...more }, ...endpoint } },
})
