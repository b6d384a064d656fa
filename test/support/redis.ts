import { createClient } from 'redis'
import { Command } from './command.ts'
import { freePort } from './free-port.ts'
import { RealServer } from './real-server.ts'
import { temporaryFolder } from './server.ts'

/** A real redis-server on a port and in a folder of its own. It can be killed, stopped and started again. */
export class RedisServer extends RealServer implements AsyncDisposable {
  readonly port: number
  readonly #folder = temporaryFolder()
  readonly #args: readonly string[]

  private constructor(port: number, args: readonly string[]) {
    super()
    this.port = port
    this.#args = args
  }

  /** @param args settings as on its command line: `--appendonly yes` */
  static async start(...args: string[]): Promise<RedisServer> {
    const server = await RedisServer.absent(...args)
    await server.restart()
    return server
  }

  /** A server that is not there yet. */
  static async absent(...args: string[]): Promise<RedisServer> {
    return new RedisServer(
      await freePort(),
      args.flatMap((arg) => arg.split(' ')),
    )
  }

  /** Starts it, on the same port and with the same data. Resolves when it takes connections. */
  async restart(): Promise<void> {
    const place = ['--bind', '127.0.0.1', '--port', String(this.port), '--dir', this.#folder.path]
    this.command = new Command('redis-server', [...place, '--save', '', '--unixsocket', this.socket, ...this.#args])
    await this.command.hear('Ready to accept connections')
  }

  get socket(): string {
    return `${this.#folder.path}/redis.sock`
  }

  /** Executes one command, as the user `default`. */
  async ask<T>(...command: string[]): Promise<T> {
    const client = createClient({ RESP: 2, socket: { host: '127.0.0.1', port: this.port, reconnectStrategy: false } })
    client.on('error', () => undefined)
    await client.connect()
    try {
      return (await client.sendCommand(command)) as T
    } finally {
      client.destroy()
    }
  }

  /** The entries of a stream, oldest first, each as its fields and values in turns. */
  async entries(stream: string): Promise<string[][]> {
    return (await this.ask<[string, string[]][]>('XRANGE', stream, '-', '+')).map(([, fields]) => fields)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.command?.[Symbol.asyncDispose]()
    this.#folder[Symbol.dispose]()
  }
}
