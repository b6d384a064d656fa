import { existsSync, rmSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { connect, type IPublishPacket } from 'mqtt'
import { Command } from './command.ts'
import { freePort } from './free-port.ts'
import { RealServer } from './real-server.ts'
import { temporaryFolder } from './server.ts'

/** A real mosquitto on a port and in a folder of its own. It can be killed, stopped and started again. */
export class Mosquitto extends RealServer implements AsyncDisposable {
  readonly port: number
  readonly #folder = temporaryFolder()
  readonly #config: string

  private constructor(port: number, config: string) {
    super()
    this.port = port
    this.#config = config
  }

  /** @param config further lines of its configuration file */
  static async start(config?: string): Promise<Mosquitto> {
    const server = await Mosquitto.absent(config)
    await server.restart()
    return server
  }

  /** A server that is not there yet. */
  static async absent(config = 'allow_anonymous true'): Promise<Mosquitto> {
    return new Mosquitto(await freePort(), config)
  }

  /** What it has logged. */
  get log(): string {
    return this.command!.stderr
  }

  /** Starts it, on the same port and with the same data. Resolves when it takes connections. */
  async restart(): Promise<void> {
    const file = join(this.#folder.path, 'mosquitto.conf')
    const lines = [
      `listener ${this.port} 127.0.0.1`,
      'user root',
      'set_tcp_nodelay true',
      // Also for a subscriber that has not come back yet.
      'queue_qos0_messages true',
      'log_dest stderr',
      'log_type all',
      'persistence true',
      `persistence_location ${this.#folder.path}/`,
      this.#config,
    ]
    await writeFile(file, lines.join('\n'))
    this.command = new Command('mosquitto', ['-c', file])
    await this.command.until(({ stderr }) => /mosquitto version \S+ running/.test(stderr))
  }

  /** Waits until it has logged something. */
  async logged(text: string): Promise<void> {
    await this.command!.until(({ stderr }) => stderr.includes(text))
  }

  /** Writes its sessions to disk, which it does otherwise twice an hour. Resolves when they are there. */
  async save(): Promise<void> {
    const file = join(this.#folder.path, 'mosquitto.db')
    rmSync(file, { force: true })
    this.command!.signal('SIGUSR1')
    // It says when it begins; the file gets its name when it is complete.
    while (!existsSync(file)) await new Promise(setImmediate)
  }

  /** Subscribes to everything. */
  subscribe(qos: 0 | 2 = 2): Promise<Subscriber> {
    return Subscriber.open(this.port, qos)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.command?.[Symbol.asyncDispose]()
    this.#folder[Symbol.dispose]()
  }
}

/** A client that keeps what it receives, and whose session outlives a broker. */
export class Subscriber implements AsyncDisposable {
  readonly messages: IPublishPacket[] = []
  readonly #client: ReturnType<typeof connect>
  readonly #waiting = new Set<() => void>()

  private constructor(client: ReturnType<typeof connect>) {
    this.#client = client
    client.on('message', (_topic, _payload, packet) => {
      this.messages.push(packet)
      for (const look of this.#waiting) look()
    })
  }

  static async open(port: number, qos: 0 | 2): Promise<Subscriber> {
    const client = connect({
      host: '127.0.0.1',
      port,
      protocolVersion: 5,
      clientId: `subscriber${port}`,
      clean: false,
      reconnectPeriod: 20,
      properties: { sessionExpiryInterval: 3600 },
    })
    const subscriber = new Subscriber(client)
    await new Promise<void>((resolve) => client.once('connect', () => resolve()))
    await client.subscribeAsync('#', { qos })
    return subscriber
  }

  get texts(): string[] {
    return this.messages.map(({ payload }) => payload.toString())
  }

  /** Waits until so many messages have come. */
  async received(count: number): Promise<string[]> {
    return await this.until((texts) => texts.length >= count)
  }

  async until(condition: (texts: readonly string[]) => boolean): Promise<string[]> {
    while (!condition(this.texts)) {
      await new Promise<void>((resolve) => {
        const look = () => {
          this.#waiting.delete(look)
          resolve()
        }
        this.#waiting.add(look)
      })
    }
    return this.texts
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.endAsync(true)
  }
}
