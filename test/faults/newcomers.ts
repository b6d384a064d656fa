import { once } from 'node:events'
import { connect } from 'node:net'
import type { Ledger, Stream } from './ledger.ts'

/** How often connections become due, in milliseconds. */
const TICK = 10

/** Clients that come at a constant rate: each connects, sends one line, reads its answer, and leaves. */
export class Newcomers {
  readonly #port: number
  readonly #ledger: Ledger
  readonly #here = new Set<Promise<void>>()
  readonly #timer: NodeJS.Timeout
  /** Clients that have had their answer. */
  served = 0
  /** Nobody accepted them. */
  refused = 0
  /** They were accepted, and had no answer. */
  dropped = 0

  /** Begins at once. @param ledger each client is a stream of it */
  constructor(port: number, ledger: Ledger, perSecond: number) {
    this.#port = port
    this.#ledger = ledger
    const start = performance.now()
    let begun = 0
    this.#timer = setInterval(() => {
      const due = ((performance.now() - start) * perSecond) / 1000
      for (; begun < due; begun++) {
        const visit = this.#visit(ledger.open()).finally(() => this.#here.delete(visit))
        this.#here.add(visit)
      }
    }, TICK)
  }

  /** Lets no more come, and waits until the last has left. */
  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await Promise.all(this.#here)
  }

  async #visit(stream: Stream): Promise<void> {
    const socket = connect({ port: this.#port, host: '127.0.0.1', noDelay: true }).setEncoding('latin1')
    try {
      await once(socket, 'connect')
    } catch {
      this.refused++
      return
    }
    let answer = ''
    socket.on('data', (text: string) => {
      answer += text
      if (answer.endsWith('\n')) socket.end()
    })
    // What counts is whether there was an answer, not how the connection ended.
    socket.on('error', () => undefined)
    const closed = new Promise((resolve) => socket.on('close', resolve))
    stream.sent = 1
    socket.write(`${this.#ledger.line(stream.id, 1)}\n`, 'latin1')
    await closed
    if (answer === `OK ${stream.id}:1\n`) {
      this.served++
      stream.acknowledged.add(1)
    } else {
      this.dropped++
    }
  }
}
