import type { Listener, ListenOptions, Socket, Transport } from '../contracts/transport.ts'
import { SocketAdapter } from '../transports/net-socket.ts'
import type { Channel, Handover } from './channel.ts'
import { socketOf } from './handles.ts'
import type { SupervisorApi } from './protocol.ts'

/**
 * How a worker listens: the supervisor binds the address, accepts, and hands the connections over. Dialling is as always.
 * @param own for what the worker does itself
 * @param sharesPorts ports are bound by each worker too, and the kernel chooses (`balance: reusePort`)
 */
export class WorkerTransport implements Transport {
  readonly dial: Transport['dial']
  readonly #channel: Channel<SupervisorApi>
  readonly #own: Transport
  readonly #sharesPorts: boolean
  readonly #listening = new Map<number, Listening>()
  #last = 0

  constructor(channel: Channel<SupervisorApi>, own: Transport, sharesPorts: boolean) {
    this.#channel = channel
    this.#own = own
    this.#sharesPorts = sharesPorts
    this.dial = (options) => own.dial(options)
  }

  async listen(options: ListenOptions, onSocket: (socket: Socket) => void): Promise<Listener> {
    if (this.#sharesPorts && isPort(options)) return this.#own.listen({ ...options, reusePort: true }, onSocket)
    const listener = ++this.#last
    const listening: Listening = { onSocket, path: options.path }
    // Connections may come together with the answer.
    this.#listening.set(listener, listening)
    try {
      const address = await this.#channel.ask('listen', listener, options)
      // A Unix socket that the program was started with may have another path.
      if (address.port === 0) listening.path = address.ip
      return { address, close: () => this.#close(listener) }
    } catch (thrown) {
      this.#listening.delete(listener)
      throw thrown
    }
  }

  /** Takes what the supervisor hands over, and reads nothing of it before the supervisor has been told. */
  async take({ id, listener }: Handover & { kind: 'socket' }, handle: unknown): Promise<void> {
    const stream = socketOf(handle)
    const listening = this.#listening.get(listener)
    if (listening === undefined) {
      // It was under way when the listener was closed: another worker may want it.
      stream.destroy()
      return this.#tell({ kind: 'declined', id })
    }
    const socket = new SocketAdapter(stream, listening.path)
    stream.on('close', () => void this.#tell({ kind: 'gone', id }))
    await this.#tell({ kind: 'taken', id })
    listening.onSocket(socket)
  }

  async #close(listener: number): Promise<void> {
    this.#listening.delete(listener)
    // A supervisor that is gone listens no more.
    await this.#channel.ask('unlisten', listener).catch(() => undefined)
  }

  async #tell(message: Handover): Promise<void> {
    await this.#channel.post(message).catch(() => undefined)
  }
}

interface Listening {
  readonly onSocket: (socket: Socket) => void
  path: string | undefined
}

/** Whether several processes can bind it: each would get another free port for 0, and a path belongs to one. */
export function isPort({ path, port = 0 }: ListenOptions): boolean {
  return path === undefined && port !== 0
}
