import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { connect as connectTo } from 'node:net'
import { join } from 'node:path'
import { type ChannelModel, connect } from 'amqplib'
import { generate } from 'selfsigned'
import { Command, run } from './command.ts'
import { freePort } from './free-port.ts'
import { RealServer } from './real-server.ts'
import { type TemporaryFolder, temporaryFolder } from './server.ts'

/** Debian's own scripts change the user to `rabbitmq`, who may not write to our folder; these do not. */
const PROGRAMS = '/usr/lib/rabbitmq/bin'

/** A message that was found in a queue. */
export interface Queued {
  readonly text: string
  readonly properties: { readonly [name: string]: unknown }
  readonly fields: { readonly exchange: string; readonly routingKey: string }
}

/**
 * A real RabbitMQ on ports and in a folder of its own, with the epmd that Erlang needs: a start takes 6 s, so tests share
 * one. It can be killed, stopped and started again.
 */
export class RabbitMq extends RealServer implements AsyncDisposable {
  readonly port: number
  /** The port for TLS. */
  readonly tlsPort: number
  /** File with the certificate that it shows there, for `localhost` and 127.0.0.1; it signs itself. */
  readonly certificate: string
  readonly #env: Readonly<Record<string, string>>
  readonly #folder: TemporaryFolder
  readonly #names: Command

  private constructor(
    port: number,
    tlsPort: number,
    env: Readonly<Record<string, string>>,
    folder: TemporaryFolder,
    names: Command,
  ) {
    super()
    this.port = port
    this.tlsPort = tlsPort
    this.certificate = join(folder.path, 'cert.pem')
    this.#env = env
    this.#folder = folder
    this.#names = names
  }

  static async start(): Promise<RabbitMq> {
    const [port, tlsPort, distPort, epmdPort] = await Promise.all(Array.from({ length: 4 }, freePort))
    const folder = temporaryFolder()
    const at = (name: string) => join(folder.path, name)
    const { cert, private: key } = await generate([{ name: 'commonName', value: 'localhost' }], {
      algorithm: 'sha256',
      extensions: [{ name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] }],
    })
    await writeFile(at('cert.pem'), cert)
    await writeFile(at('key.pem'), key)
    const settings = [
      `listeners.tcp.1 = 127.0.0.1:${port}`,
      `listeners.ssl.1 = 127.0.0.1:${tlsPort}`,
      `ssl_options.certfile = ${at('cert.pem')}`,
      `ssl_options.keyfile = ${at('key.pem')}`,
      'log.file = false',
      'log.console = true',
    ]
    await writeFile(at('rabbitmq.conf'), settings.join('\n'))
    await writeFile(at('plugins'), '[].')
    const env = {
      HOME: folder.path,
      ERL_EPMD_PORT: String(epmdPort),
      ERL_EPMD_ADDRESS: '127.0.0.1',
      RABBITMQ_NODENAME: 'sluice@localhost',
      RABBITMQ_DIST_PORT: String(distPort),
      RABBITMQ_MNESIA_BASE: at('data'),
      RABBITMQ_LOG_BASE: at('log'),
      RABBITMQ_CONFIG_FILE: at('rabbitmq'),
      RABBITMQ_ENABLED_PLUGINS_FILE: at('plugins'),
      RABBITMQ_PID_FILE: at('pid'),
      // Without it a shell stays in between, which signals do not pass.
      RABBITMQ_ALLOW_INPUT: 'true',
      // One scheduler that does not spin while it has nothing to do: the machine is for the tests.
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '+S 1:1 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}',
    }
    // Without -daemon it stays a child of ours. Erlang would start one that outlives us.
    const names = new Command('epmd', ['-address', '127.0.0.1', '-port', String(epmdPort)])
    while (!(await listens(epmdPort!))) await new Promise(setImmediate)
    const server = new RabbitMq(port!, tlsPort!, env, folder, names)
    await server.restart()
    return server
  }

  get url(): string {
    return `amqp://127.0.0.1:${this.port}`
  }

  /** Starts it, on the same port and with the same data. Resolves when it takes connections. */
  async restart(): Promise<void> {
    this.command = new Command(`${PROGRAMS}/rabbitmq-server`, [], { env: this.#env })
    await this.command.hear('Server startup complete')
  }

  /** Runs `rabbitmqctl`. */
  async control(...args: string[]): Promise<void> {
    const { code, stderr } = await run(`${PROGRAMS}/rabbitmqctl`, args, { env: this.#env })
    if (code !== 0) throw new Error(stderr)
  }

  /** Does something with a connection of the test's own. */
  async use<T>(work: (model: ChannelModel) => Promise<T>): Promise<T> {
    const model = await connect(this.url)
    try {
      return await work(model)
    } finally {
      await model.close()
    }
  }

  /** Makes a durable queue, empty. */
  async addQueue(name: string, options: object = {}): Promise<void> {
    await this.use(async (model) => {
      const channel = await model.createChannel()
      await channel.assertQueue(name, { durable: true, ...options })
      await channel.purgeQueue(name)
    })
  }

  /** Takes all messages out of a queue, oldest first. */
  async take(queue: string): Promise<Queued[]> {
    return await this.use(async (model) => {
      const channel = await model.createConfirmChannel()
      const found: Queued[] = []
      // How many there are is a guess for some kinds of queue; this one is surely behind them all.
      const last = randomUUID()
      channel.sendToQueue(queue, Buffer.from(last))
      const all = Promise.withResolvers<void>()
      await channel.consume(
        queue,
        (message) => {
          const text = message?.content.toString()
          if (message === null || text === undefined || text === last) all.resolve()
          else found.push({ text, fields: message.fields, properties: { ...message.properties } })
        },
        { noAck: true },
      )
      await all.promise
      await channel.close()
      return found
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.command?.[Symbol.asyncDispose]()
    await this.#names[Symbol.asyncDispose]()
    this.#folder[Symbol.dispose]()
  }
}

/** Whether something listens on a port of this machine. */
async function listens(port: number): Promise<boolean> {
  const socket = connectTo(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
