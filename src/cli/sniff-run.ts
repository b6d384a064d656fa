import { ConfigError } from '../config/config-error.ts'
import type { Client } from '../contracts/client.ts'
import { formatAddress } from '../contracts/client.ts'
import { toSluiceError } from '../contracts/errors.ts'
import type { Message } from '../contracts/message.ts'
import type { Config, StepEntry } from '../library/config.ts'
import { createServer, type Server } from '../library/create-server.ts'
import { createRegistry } from '../registry/builtins.ts'
import { analyse, type Verdict } from '../sniff/analyse.ts'
import type { Read } from '../sniff/recording.ts'
import { type Target, targetInWords } from './address.ts'
import { EXIT } from './exit.ts'
import { hexLines } from './hex-lines.ts'
import { timeOf } from './screen.ts'
import { verdictInWords } from './sniff-report.ts'
import { paint, print, printError } from './terminal.ts'

/** The options of `sluice sniff`. */
export interface SniffFlags {
  readonly host?: string
  readonly answer?: string
  readonly once?: boolean
}

/** Listens, or connects, and shows what arrives until Ctrl-C, or until the first connection has closed. */
export async function runSniff(place: Target | { readonly listen: number }, flags: SniffFlags): Promise<void> {
  const sniffer = new Sniffer(place)
  const ended = Promise.withResolvers<void>()
  let server: Server
  try {
    server = createServer(configOf(place, flags, sniffer))
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown
    for (const { message, hint } of thrown.problems) printError(`error: ${message}${hint ? `: ${hint}` : ''}`)
    process.exitCode = EXIT.usage
    return
  }
  server.events.on('connection.opened', ({ client }) => sniffer.open(client))
  server.events.on('connection.closed', ({ client, detail }) => {
    sniffer.close(client, detail)
    if (flags.once) ended.resolve()
  })
  server.events.on('dial.failed', ({ error }) => printError(`${error.message}; it is tried again`))
  const stop = () => ended.resolve()
  process.once('SIGINT', stop).once('SIGTERM', stop)
  try {
    await server.start()
    if ('listen' in place) {
      const { port } = server.address('device') ?? { port: place.listen }
      sniffer.port = port
      print(`listening on port ${port}. Let the device connect and send; Ctrl-C ends it.`)
    } else print(`connecting to ${targetInWords(place)}; Ctrl-C ends it.`)
    await ended.promise
    await server.stop({ deadline: 0 })
    sniffer.conclude()
  } catch (thrown) {
    const { message, hint } = toSluiceError(thrown, 'internal')
    const sentence = message.replace(/^device: /, '')
    printError(hint === undefined ? sentence : `${sentence}. ${hint}`)
    process.exitCode = EXIT.failed
  } finally {
    sniffer.stop()
    process.off('SIGINT', stop).off('SIGTERM', stop)
  }
}

function configOf(place: Target | { readonly listen: number }, { host, answer }: SniffFlags, sniffer: Sniffer): Config {
  const look = (_: never, message: Message) => sniffer.look(message)
  const dataflow: StepEntry[] = [look]
  if (answer !== undefined) dataflow.push({ reply: { raw: answer.replaceAll('${', () => '$${') } })
  const device = { framing: 'raw', format: 'bytes', dataflow }
  return 'listen' in place
    ? { listen: { device: { port: place.listen, ...(host !== undefined && { host }), ...device } } }
    : { connect: { device: { ...place, ...device } } }
}

interface Heard {
  readonly reads: Read[]
  ended: boolean
  size: number
}

/** Prints what arrives, keeps it, and says what it seems to be. */
class Sniffer {
  /** The port that is listened on, for the configuration that is printed. */
  port = 0
  readonly #place: Target | { readonly listen: number }
  readonly #heard = new Map<string, Heard>()
  readonly #registry = createRegistry()
  #timer: NodeJS.Timeout | undefined = undefined
  #last = 0
  #told = ''

  constructor(place: Target | { readonly listen: number }) {
    this.#place = place
  }

  open(client: Client): void {
    // Old connections of a device that reconnects for each message say nothing new.
    const [oldest] = this.#heard.keys()
    if (this.#heard.size >= MAX_CONNECTIONS && oldest !== undefined) this.#heard.delete(oldest)
    this.#heard.set(client.id, { reads: [], ended: false, size: 0 })
    print(`${paint('dim', timeOf(new Date()))} ${addressOf(client)} ${paint('green', 'has connected')}`)
  }

  /** One read. @returns the message as it is */
  look({ raw, received, client }: Message): Buffer {
    const time = received.getTime()
    const pause = this.#last === 0 ? '' : `  +${time - this.#last} ms`
    this.#last = time
    print(`${paint('dim', timeOf(new Date(time)))} ${raw.length} bytes${paint('dim', pause)}`)
    for (const line of hexLines(raw)) print(`  ${line}`)
    const heard = this.#heard.get(client?.id ?? '')
    if (heard !== undefined && heard.size < MAX_BYTES) {
      heard.reads.push({ bytes: raw, time })
      heard.size += raw.length
    }
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.conclude(), QUIET_MS)
    return raw
  }

  close(client: Client, detail: string): void {
    const heard = this.#heard.get(client.id)
    if (heard !== undefined) heard.ended = true
    print(
      `${paint('dim', timeOf(new Date()))} ${addressOf(client)} ${paint('yellow', 'has gone')}${detail && `: ${detail}`}`,
    )
    this.conclude()
  }

  /** Says what arrived seems to be, if that is news. */
  conclude(): void {
    clearTimeout(this.#timer)
    const dialled = !('listen' in this.#place)
    const verdict: Verdict = analyse([...this.#heard.values()], { registry: this.#registry, dialled })
    const words = verdictInWords(verdict, this.#where(), dialled ? 'connect' : 'listen').join('\n')
    if (words === this.#told) return
    this.#told = words
    print(words)
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  #where(): string[] {
    const place = this.#place
    if ('listen' in place) return [`port: ${this.port}`]
    return 'socket' in place ? [`socket: ${place.socket}`] : [`host: ${place.host}`, `port: ${place.port}`]
  }
}

function addressOf({ ip, port }: Client): string {
  return formatAddress({ ip, port })
}

/** So long a device must be quiet before something is proposed, in milliseconds. */
const QUIET_MS = 1500

/** What is kept of a connection, in bytes; more would say nothing new. */
const MAX_BYTES = 64 * 1024

/** So many connections are looked at together. */
const MAX_CONNECTIONS = 8
