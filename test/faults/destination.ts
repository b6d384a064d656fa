import { once } from 'node:events'
import { appendFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { temporaryFolder } from '../support/server.ts'
import { parseId } from './ledger.ts'
import { NumberRanges } from './number-ranges.ts'

/** A web server that takes lines, keeps them in a file in the order in which they came, and counts the different ones. */
export class Destination implements AsyncDisposable {
  /** Where the lines are. */
  readonly file: string
  /** Different messages that have come. */
  received = 0
  readonly #folder = temporaryFolder()
  readonly #streams = new Map<number, NumberRanges>()
  readonly #waiting = new Set<() => void>()
  readonly #server: Server

  private constructor() {
    this.file = join(this.#folder.path, 'delivered.txt')
    this.#server = createServer((request, response) => void this.#take(request, response))
  }

  static async start(): Promise<Destination> {
    const destination = new Destination()
    destination.#server.listen(0, '127.0.0.1')
    await once(destination.#server, 'listening')
    return destination
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Waits until a condition holds that depends on what has come. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiting.add(resolve))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
    this.#folder[Symbol.dispose]()
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer)
    } catch {
      // It broke off, so it was not taken.
      return
    }
    const text = Buffer.concat(chunks).toString('latin1')
    appendFileSync(this.file, text.endsWith('\n') ? text : `${text}\n`, 'latin1')
    for (const line of text.split('\n')) this.#count(line)
    response.end()
    for (const resolve of this.#waiting) resolve()
    this.#waiting.clear()
  }

  #count(line: string): void {
    const id = parseId(line.slice(0, line.indexOf(' ')))
    if (id === undefined) return
    const numbers = this.#streams.get(id.stream) ?? new NumberRanges()
    this.#streams.set(id.stream, numbers)
    if (numbers.add(id.number)) this.received++
  }
}
