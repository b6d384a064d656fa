import { once } from 'node:events'
import { connect, type Socket, type TcpNetConnectOpts } from 'node:net'
import type { Latencies } from './latencies.ts'
import { parseId, type Stream } from './ledger.ts'

/** What is wrong with the answers themselves, whatever was stored. */
export interface AnswerFaults {
  /** Answers for a message that was never sent, or that was acknowledged before, or that are no `OK` and id. */
  strange: number
  /** Answers that came behind the answer of a later message. */
  outOfOrder: number
  /** Connections that ended in the middle of an answer. */
  partial: number
}

/** What a connection shares with the others of its client. */
export interface LedgerConnectionOptions {
  readonly stream: Stream
  /** Messages without an answer at most. */
  readonly window: number
  line(stream: number, number: number): string
  readonly faults: AnswerFaults
  readonly latencies: Latencies
  isSending(): boolean
  /** Asked before each message, which is sent when the answer is true. */
  mayTake(): boolean
  onAnswers(count: number): void
  onClose(): void
}

/** One connection of the load: it keeps a window of messages outstanding and takes the answers apart. */
export class LedgerConnection {
  readonly #socket: Socket
  readonly #options: LedgerConnectionOptions
  /** Messages that wait for their answer, oldest first, with the time when each was sent. */
  #waiting: { readonly number: number; readonly at: number }[] = []
  /** The beginning of an answer whose end has not come. */
  #rest = ''
  #lastAnswered = 0

  /** Rejects when nobody accepts. */
  static async open(to: TcpNetConnectOpts, options: LedgerConnectionOptions): Promise<LedgerConnection> {
    const socket = connect({ ...to, noDelay: true })
    await once(socket, 'connect')
    return new LedgerConnection(socket, options)
  }

  private constructor(socket: Socket, options: LedgerConnectionOptions) {
    this.#socket = socket
    this.#options = options
    // How a connection ends is no matter: what was not answered is not acknowledged.
    socket.on('error', () => undefined)
    socket.setEncoding('latin1')
    socket.on('data', (text: string) => this.#read(text))
    socket.on('close', () => {
      if (this.#rest !== '') options.faults.partial++
      this.#waiting = []
      options.onClose()
    })
  }

  get outstanding(): number {
    return this.#waiting.length
  }

  /** Sends as many messages as the window has room for, with one write. */
  fill(): void {
    const { stream, window, line, isSending, mayTake } = this.#options
    if (!isSending() || !this.#socket.writable) return
    const at = performance.now()
    let text = ''
    while (this.#waiting.length < window && mayTake()) {
      const number = ++stream.sent
      this.#waiting.push({ number, at })
      text += `${line(stream.id, number)}\n`
    }
    if (text !== '') this.#socket.write(text, 'latin1')
  }

  giveUp(): void {
    this.#waiting = []
    this.fill()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  #read(text: string): void {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop()!
    const now = performance.now()
    let count = 0
    for (const answer of lines) if (this.#take(answer, now)) count++
    this.fill()
    this.#options.onAnswers(count)
  }

  /** @returns whether it acknowledges a message */
  #take(answer: string, now: number): boolean {
    const { stream, faults, latencies } = this.#options
    const id = answer.startsWith('OK ') ? parseId(answer.slice(3)) : undefined
    const isOurs = id !== undefined && id.stream === stream.id && id.number <= stream.sent
    if (!isOurs || !stream.acknowledged.add(id.number)) {
      faults.strange++
      return false
    }
    if (id.number < this.#lastAnswered) faults.outOfOrder++
    this.#lastAnswered = Math.max(this.#lastAnswered, id.number)
    // Answers leave in the order of the messages, so what is older than this one will have none.
    while (this.#waiting.length > 0 && this.#waiting[0]!.number <= id.number) {
      const { number, at } = this.#waiting.shift()!
      if (number === id.number) latencies.add(now - at)
    }
    return true
  }
}
