import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { jetstream, jetstreamManager, type StreamConfig } from '@nats-io/jetstream'
import { connect, type NatsConnection, type NodeConnectionOptions } from '@nats-io/transport-node'
import { Command } from './command.ts'
import { freePort } from './free-port.ts'
import { RealServer } from './real-server.ts'
import { temporaryFolder } from './server.ts'

export interface NatsServerOptions {
  /** Further lines of its configuration file. */
  readonly config?: string
  /** How the test itself connects. */
  readonly login?: NodeConnectionOptions
  readonly jetstream?: boolean
}

/** A message that was found in a stream. */
export interface Stored {
  readonly subject: string
  readonly text: string
  header(name: string): string
}

/** A real nats-server on a port and in a folder of its own. It can be killed, stopped and started again. */
export class NatsServer extends RealServer implements AsyncDisposable {
  readonly port: number
  readonly #folder = temporaryFolder()
  readonly #options: NatsServerOptions

  private constructor(port: number, options: NatsServerOptions) {
    super()
    this.port = port
    this.#options = options
  }

  static async start(options: NatsServerOptions = {}): Promise<NatsServer> {
    const server = await NatsServer.absent(options)
    await server.restart()
    return server
  }

  /** A server that is not there yet. */
  static async absent(options: NatsServerOptions = {}): Promise<NatsServer> {
    return new NatsServer(await freePort(), options)
  }

  get url(): string {
    return `127.0.0.1:${this.port}`
  }

  /** Starts it, on the same port and with the same data. Resolves when it takes connections. */
  async restart(): Promise<void> {
    const file = join(this.#folder.path, 'nats.conf')
    const store = join(this.#folder.path, 'data')
    const lines = [`listen: "${this.url}"`, this.#options.config ?? '']
    if (this.#options.jetstream !== false) lines.push(`jetstream { store_dir: "${store}" }`)
    await writeFile(file, lines.join('\n'))
    this.command = new Command('nats-server', ['-c', file])
    await this.command.until(({ stderr }) => stderr.includes('Server is ready'))
  }

  /** A connection of the test's own. */
  connect(): Promise<NatsConnection> {
    return connect({ servers: this.url, ...this.#options.login })
  }

  async addStream(config: Partial<StreamConfig> & { readonly name: string }): Promise<void> {
    await this.#manage((manager) => manager.streams.add({ subjects: [`${config.name}.>`], ...config } as StreamConfig))
  }

  async purge(stream: string): Promise<void> {
    await this.#manage((manager) => manager.streams.purge(stream))
  }

  /** All that a stream holds, oldest first. */
  async stored(stream: string): Promise<Stored[]> {
    const connection = await this.connect()
    try {
      const { state } = await (await jetstreamManager(connection)).streams.info(stream)
      const found: Stored[] = []
      if (state.messages === 0) return found
      const consumer = await jetstream(connection).consumers.get(stream)
      const messages = await consumer.consume()
      for await (const message of messages) {
        const { subject, headers } = message
        found.push({ subject, text: message.string(), header: (name) => headers?.get(name) ?? '' })
        if (message.seq === state.last_seq) break
      }
      return found
    } finally {
      await connection.close()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.command?.[Symbol.asyncDispose]()
    this.#folder[Symbol.dispose]()
  }

  async #manage(work: (manager: Awaited<ReturnType<typeof jetstreamManager>>) => Promise<unknown>): Promise<void> {
    const connection = await this.connect()
    try {
      await work(await jetstreamManager(connection))
    } finally {
      await connection.close()
    }
  }
}
