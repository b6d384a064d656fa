import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { Socket } from 'node:net'
import { freePort } from './free-port.ts'

/** A request as it came, with its whole body. */
export interface Received {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export type Answer = (response: ServerResponse, request: Received) => void

/** A server of Node that remembers what it got and answers as the test says: 200 with "ok" until told otherwise. */
export class HttpServer implements AsyncDisposable {
  readonly requests: Received[] = []
  /** How many connections it has accepted. */
  connections = 0
  answer: Answer = (response) => response.end('ok')
  port = 0
  readonly #sockets = new Set<Socket>()
  readonly #tls: { key: string; cert: string } | undefined
  #server: ReturnType<typeof createServer> | undefined
  #arrived: (() => void)[] = []

  private constructor(tls: { key: string; cert: string } | undefined) {
    this.#tls = tls
  }

  static async start(tls?: { key: string; cert: string }): Promise<HttpServer> {
    const server = new HttpServer(tls)
    await server.begin()
    return server
  }

  get url(): string {
    return `${this.#tls === undefined ? 'http://127.0.0.1' : 'https://localhost'}:${this.port}`
  }

  get bodies(): string[] {
    return this.requests.map(({ body }) => body)
  }

  /** Listens, again at the same port when it has listened before. */
  async begin(): Promise<void> {
    const take = (request: IncomingMessage, response: ServerResponse) => void this.#take(request, response)
    const server = this.#tls === undefined ? createServer(take) : createTlsServer(this.#tls, take)
    server.keepAliveTimeout = 60_000
    server.on('connection', (socket: Socket) => {
      this.connections++
      this.#sockets.add(socket.on('close', () => this.#sockets.delete(socket)))
    })
    this.port ||= await freePort()
    server.listen(this.port, '127.0.0.1')
    await once(server, 'listening')
    this.#server = server
  }

  /** Resolves when so many requests have come. */
  async received(count: number): Promise<readonly Received[]> {
    while (this.requests.length < count) await new Promise<void>((resolve) => this.#arrived.push(resolve))
    return this.requests
  }

  /** Closes all connections. */
  async disconnect(): Promise<void> {
    const closed = [...this.#sockets].map((socket) => once(socket, 'close'))
    for (const socket of this.#sockets) socket.destroy()
    await Promise.all(closed)
  }

  async stop(): Promise<void> {
    const closed = this.#server === undefined ? undefined : once(this.#server, 'close')
    this.#server?.close()
    await this.disconnect()
    await closed
    this.#server = undefined
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer)
    } catch {
      return
    }
    const { method = '', url: path = '', headers } = request
    const received = { method, path, headers, body: Buffer.concat(chunks).toString('utf8') }
    this.requests.push(received)
    this.answer(response, received)
    for (const resolve of this.#arrived.splice(0)) resolve()
  }
}
