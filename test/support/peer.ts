import { once } from 'node:events'
import { connect, type NetConnectOpts, type Socket } from 'node:net'

/** A raw client, independent of our own: it sends bytes, collects what comes back, and lets a test wait for it. */
export class Peer implements AsyncDisposable {
  readonly socket: Socket
  /** Everything received so far. */
  received = Buffer.alloc(0)
  /** The other side has sent FIN. */
  ended = false
  closed = false
  #wake: (() => void) | undefined

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.received = Buffer.concat([this.received, chunk])
      this.#wake?.()
    })
    socket.on('end', () => {
      this.ended = true
      this.#wake?.()
    })
    socket.on('close', () => {
      this.closed = true
      this.#wake?.()
    })
    socket.on('error', () => undefined)
  }

  static async connect(to: number | NetConnectOpts): Promise<Peer> {
    const options = typeof to === 'number' ? { port: to, host: '127.0.0.1' } : to
    const socket = connect({ ...options, allowHalfOpen: true, noDelay: true } as NetConnectOpts)
    const peer = new Peer(socket)
    if (socket.connecting) await once(socket, 'connect')
    return peer
  }

  /** A peer on a connection that is there already, an encrypted one say. */
  static over(socket: Socket): Peer {
    return new Peer(socket)
  }

  get text(): string {
    return this.received.toString('latin1')
  }

  send(bytes: string | Buffer): this {
    this.socket.write(bytes)
    return this
  }

  /** Sends FIN; reading goes on. */
  finish(): this {
    this.socket.end()
    return this
  }

  /** Waits until a condition holds that depends on what this peer has seen. */
  async until(condition: (peer: Peer) => boolean): Promise<this> {
    while (!condition(this)) {
      if (this.closed) throw new Error(`the connection closed; received: ${JSON.stringify(this.text)}`)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    return this
  }

  /** Waits for a text to arrive; gives everything received. */
  async hear(text: string): Promise<string> {
    await this.until((peer) => peer.text.includes(text))
    return this.text
  }

  /** Waits for the end of the connection; gives everything received. */
  async end(): Promise<string> {
    while (!this.ended && !this.closed) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    this.socket.end()
    return this.text
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.closed) return
    this.socket.destroy()
    await once(this.socket, 'close')
  }
}
