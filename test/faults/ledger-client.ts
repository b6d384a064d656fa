import { Latencies } from './latencies.ts'
import { Ledger } from './ledger.ts'
import { type AnswerFaults, LedgerConnection } from './ledger-connection.ts'
import { within } from './within.ts'

export interface LedgerClientOptions {
  readonly port: number
  readonly host?: string
  /** Default 16. */
  readonly connections?: number
  /** Messages that a connection sends before it waits for an answer. Default 16. */
  readonly outstanding?: number
  /** Bytes of a line without its line end. Default 200. */
  readonly lineLength?: number
}

/** At a limited pace this is how often messages become due, in milliseconds. */
const PACE_TICK = 5

/** With neither an answer nor an end for this long, a server hangs; in milliseconds. */
const MAX_SILENCE = 60_000

/**
 * The load: many connections that send lines and wait for `OK <id>`, with a ledger of both. It sends nothing twice: a
 * message without an answer stays one, and a connection that was lost is followed by a new one with new ids.
 */
export class LedgerClient implements AsyncDisposable {
  readonly ledger: Ledger
  readonly faults: AnswerFaults = { strange: 0, outOfOrder: 0, partial: 0 }
  readonly latencies = new Latencies()
  /** Answers so far. The ledger counts the same; this one costs nothing to read. */
  answers = 0
  readonly #options: Required<Omit<LedgerClientOptions, 'lineLength'>>
  readonly #waiting = new Set<() => void>()
  #open: LedgerConnection[] = []
  #sending = true
  /** Milliseconds during which at least one connection was open and sending was wanted, without the present time. */
  #loadedMs = 0
  #loadedSince: number | undefined
  /** Messages that are due at a limited pace. */
  #due = Number.POSITIVE_INFINITY
  #pacing: NodeJS.Timeout | undefined

  private constructor({
    port,
    host = '127.0.0.1',
    connections = 16,
    outstanding = 16,
    lineLength,
  }: LedgerClientOptions) {
    this.#options = { port, host, connections, outstanding }
    this.ledger = new Ledger(lineLength)
  }

  /** Connects and begins to send at once. */
  static async start(options: LedgerClientOptions): Promise<LedgerClient> {
    const client = new LedgerClient(options)
    await client.reconnect()
    return client
  }

  /** Connections that are open now. */
  get connections(): number {
    return this.#open.length
  }

  /** Messages that wait for their answer. */
  get outstanding(): number {
    return this.#open.reduce((sum, { outstanding }) => sum + outstanding, 0)
  }

  /** Answers in a second of load. */
  get answersPerSecond(): number {
    const now = this.#loadedSince === undefined ? 0 : performance.now() - this.#loadedSince
    const spent = this.#loadedMs + now
    return spent === 0 ? 0 : (this.answers * 1000) / spent
  }

  /** Opens connections until there are as many as wanted, and sends on them unless `stop` was called. */
  async reconnect(): Promise<void> {
    const missing = this.#options.connections - this.#open.length
    await Promise.all(Array.from({ length: missing }, () => this.#connect()))
  }

  /** Sends so many messages in a second over all connections, or as many as are answered: the window holds in any case. */
  pace(perSecond: number | undefined): void {
    clearInterval(this.#pacing)
    this.#due = perSecond === undefined ? Number.POSITIVE_INFINITY : 0
    let last = performance.now()
    const send = () => {
      const now = performance.now()
      // What could not be sent in a second is not made up for.
      if (perSecond !== undefined) this.#due = Math.min(perSecond, this.#due + ((now - last) * perSecond) / 1000)
      last = now
      // Each time another connection is the first.
      this.#open.push(...this.#open.splice(0, 1))
      for (const connection of this.#open) connection.fill()
    }
    if (perSecond !== undefined) this.#pacing = setInterval(send, PACE_TICK)
    send()
  }

  /** Goes on sending after `stop`. */
  resume(): void {
    this.#sending = true
    for (const connection of this.#open) connection.fill()
    this.#clock()
  }

  /** Sends nothing new from now on, and waits until each message sent has its answer or has lost its connection. */
  async stop(): Promise<void> {
    this.#sending = false
    await this.until(() => this.outstanding === 0)
    this.#clock()
  }

  /**
   * Waits no longer for the answers that have not come, and sends new messages in their place, as a device does whose
   * deadline has passed. An answer that comes later counts all the same.
   */
  giveUp(): void {
    for (const connection of this.#open) connection.giveUp()
  }

  /** Waits until a condition holds that depends on answers and connections. Rejects when nothing happens any more. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      const change = new Promise<void>((resolve) => this.#waiting.add(resolve))
      await within(MAX_SILENCE, 'an answer, or the end of a connection', change)
    }
  }

  /** Waits for so many answers in all. Rejects when every connection is lost before. */
  async answered(count: number): Promise<void> {
    await this.until(() => this.answers >= count || this.connections === 0)
    if (this.answers >= count) return
    throw new Error(`the server closed all connections after ${this.answers} of ${count} answers`)
  }

  /** Breaks all connections. From this moment no answer counts. */
  disconnect(): void {
    for (const connection of this.#open) connection.destroy()
  }

  /** Breaks all connections and waits until they are closed. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#pacing)
    this.#sending = false
    this.disconnect()
    await this.until(() => this.connections === 0)
  }

  async #connect(): Promise<void> {
    const { port, host, outstanding } = this.#options
    const connection = await LedgerConnection.open(
      { port, host },
      {
        stream: this.ledger.open(),
        window: outstanding,
        line: (stream, number) => this.ledger.line(stream, number),
        faults: this.faults,
        latencies: this.latencies,
        isSending: () => this.#sending,
        mayTake: () => {
          if (this.#due < 1) return false
          this.#due--
          return true
        },
        onAnswers: (count) => {
          this.answers += count
          this.#look()
        },
        onClose: () => {
          this.#open = this.#open.filter((other) => other !== connection)
          this.#clock()
          this.#look()
        },
      },
    )
    this.#open.push(connection)
    this.#clock()
    connection.fill()
  }

  #clock(): void {
    const loaded = this.#sending && this.#open.length > 0
    if (loaded === (this.#loadedSince !== undefined)) return
    if (this.#loadedSince !== undefined) this.#loadedMs += performance.now() - this.#loadedSince
    this.#loadedSince = loaded ? performance.now() : undefined
  }

  #look(): void {
    for (const resolve of this.#waiting) resolve()
    this.#waiting.clear()
  }
}
