import { once } from 'node:events'
import { createServer, type Server, Socket } from 'node:net'
import { freePort } from '../support/free-port.ts'
import { type Faults, FaultyPipe } from './faulty-pipe.ts'

export interface FaultProxy extends AsyncDisposable {
  /** Of 127.0.0.1. It stays the same. */
  readonly port: number
  /** Connections that are open now. */
  readonly connections: number
  /** Connections so far that were accepted and led on to the destination. */
  readonly accepted: number
  /** Replaces all faults; `{}` heals. Resolves when they hold for new connections too. */
  set(faults: Faults): Promise<void>
  /** Ends all open connections with RST, on both sides. New ones are served. */
  resetAll(): void
  /** Sends FIN to one side of all open connections; the other direction goes on. */
  halfClose(side: 'client' | 'server'): void
  /** Waits until so many connections have been accepted and led on in all. */
  hasAccepted(count: number): Promise<void>
  close(): Promise<void>
}

/** Starts a TCP proxy on 127.0.0.1 that passes everything on until it is told to do worse. */
export async function startFaultProxy({ to }: { to: { host?: string; port: number } }): Promise<FaultProxy> {
  const proxy = new TcpFaultProxy({ host: to.host ?? '127.0.0.1', port: to.port })
  await proxy.listen(await freePort())
  return proxy
}

/** A connection to us, the one that we made for it, and what runs between them. */
interface Pair {
  readonly client: Socket
  readonly server: Socket
  readonly pipes: readonly FaultyPipe[]
}

class TcpFaultProxy implements FaultProxy {
  accepted = 0
  port = 0
  readonly #to: { readonly host: string; readonly port: number }
  readonly #pairs = new Set<Pair>()
  readonly #waiting = new Set<() => void>()
  #faults: Faults = {}
  #listener: Server | undefined

  constructor(to: { readonly host: string; readonly port: number }) {
    this.#to = to
  }

  get connections(): number {
    return this.#pairs.size
  }

  async set(faults: Faults): Promise<void> {
    this.#faults = faults
    for (const { pipes } of this.#pairs) for (const pipe of pipes) pipe.look()
    if (faults.refuse === true) this.#unlisten()
    else await this.listen(this.port)
  }

  resetAll(): void {
    for (const { client, server } of this.#pairs) {
      client.resetAndDestroy()
      server.resetAndDestroy()
    }
  }

  halfClose(side: 'client' | 'server'): void {
    for (const pair of this.#pairs) pair[side].end()
  }

  async hasAccepted(count: number): Promise<void> {
    while (this.accepted < count) await new Promise<void>((resolve) => this.#waiting.add(resolve))
  }

  async close(): Promise<void> {
    this.#unlisten()
    const open = [...this.#pairs].flatMap(({ client, server }) => [client, server]).filter(({ closed }) => !closed)
    for (const socket of open) socket.destroy()
    await Promise.all(open.map((socket) => once(socket, 'close')))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async listen(port: number): Promise<void> {
    if (this.#listener !== undefined) return
    // Bytes are read when they are passed on, so that a stall reaches the sender's window.
    const listener = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (client) =>
      this.#accept(client),
    )
    this.#listener = listener
    listener.listen(port, '127.0.0.1')
    await once(listener, 'listening')
    this.port = (listener.address() as { port: number }).port
  }

  /** The port is free at once, though the listener is not done before the last connection is. */
  #unlisten(): void {
    this.#listener?.close()
    this.#listener = undefined
  }

  #accept(client: Socket): void {
    const server = new Socket({ allowHalfOpen: true }).setNoDelay(true)
    const pipes = [
      new FaultyPipe(client, server, () => this.#faultsOf('requests')),
      new FaultyPipe(server, client, () => this.#faultsOf('answers')),
    ]
    const pair: Pair = { client, server, pipes }
    this.#pairs.add(pair)
    // Whatever ends one side at once, a RST or that nobody listens, ends the other in the same way.
    client.on('error', () => server.resetAndDestroy())
    server.on('error', () => client.resetAndDestroy())
    const forget = () => {
      if (client.closed && server.closed) this.#pairs.delete(pair)
    }
    client.on('close', forget)
    server.on('close', forget)
    server.connect(this.#to, () => {
      for (const pipe of pipes) void pipe.run()
      this.accepted++
      for (const resolve of this.#waiting) resolve()
      this.#waiting.clear()
    })
  }

  #faultsOf(direction: 'requests' | 'answers'): Faults {
    const { only } = this.#faults
    return only === undefined || only === direction ? this.#faults : {}
  }
}
