import type { Socket } from 'node:net'
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'

/**
 * What goes wrong between a client and a server. All that is given holds at once, for connections that are open as for
 * new ones, and for both directions unless `only` names one.
 */
export interface Faults {
  /** Milliseconds that every byte is late. It costs no throughput. */
  readonly delay?: number
  /** Bytes in a second at most, for each connection and direction. */
  readonly rate?: number
  /** Bytes in a segment at most; 1 sends each byte alone. */
  readonly slice?: number
  /** What arrives is swallowed, and nobody is told. */
  readonly blackhole?: boolean
  /** Nothing is read: a sender's window fills up. What was held back goes on when this ends. */
  readonly stall?: boolean
  /** Nobody listens any more. Open connections stay. */
  readonly refuse?: boolean
  /** The direction of `delay`, `rate`, `slice`, `blackhole` and `stall`. */
  readonly only?: 'requests' | 'answers'
}

/** Bytes that may be on their way; with more, the sender is held. */
const MAX_UNDERWAY = 1024 * 1024

/** At a limited rate this is how often a piece is passed on, in milliseconds. */
const RATE_TICK = 20

/** One direction of a connection: bytes are read, wait for their time, and are passed on, with the faults of the moment. */
export class FaultyPipe {
  readonly #from: Socket
  readonly #to: Socket
  readonly #faults: () => Faults
  /** What was read, with the time when it was; undefined is the end. */
  readonly #underway: { readonly bytes: Buffer | undefined; readonly at: number }[] = []
  #bytes = 0
  #wake = Promise.withResolvers<void>()

  /** @param faults gives those that hold now; `look` must be called when they have changed */
  constructor(from: Socket, to: Socket, faults: () => Faults) {
    this.#from = from
    this.#to = to
    this.#faults = faults
  }

  /** Passes on until the sender has ended or one of both sides is gone. Never rejects. */
  async run(): Promise<void> {
    this.#from.on('data', (bytes: Buffer) => this.#take(bytes))
    this.#from.on('end', () => this.#take(undefined))
    for (const side of [this.#from, this.#to]) for (const event of ['close', 'drain']) side.on(event, () => this.look())
    this.look()
    while (!this.#isOver) {
      const next = this.#underway[0]
      if (next === undefined || this.#isStalled) await this.#wake.promise
      else if (next.at + this.#delay > performance.now()) {
        await Promise.race([sleep(next.at + this.#delay - performance.now()), this.#wake.promise])
      } else {
        this.#underway.shift()
        if (next.bytes === undefined) {
          this.#to.end()
          return
        }
        await this.#deliver(next.bytes)
        this.#bytes -= next.bytes.length
        this.look()
      }
    }
  }

  /** Looks at the faults again, and at how much is on its way. */
  look(): void {
    if (this.#isStalled || this.#bytes > MAX_UNDERWAY) this.#from.pause()
    else this.#from.resume()
    this.#wake.resolve()
    this.#wake = Promise.withResolvers()
  }

  #take(bytes: Buffer | undefined): void {
    this.#underway.push({ bytes, at: performance.now() })
    this.#bytes += bytes?.length ?? 0
    this.look()
  }

  async #deliver(bytes: Buffer): Promise<void> {
    let done = 0
    while (done < bytes.length && !this.#isOver) {
      const { blackhole, stall, rate, slice = Number.POSITIVE_INFINITY } = this.#faults()
      if (blackhole === true) return
      if (stall === true || this.#to.writableNeedDrain) {
        await this.#wake.promise
        continue
      }
      const most = rate === undefined ? slice : Math.min(slice, Math.max(1, Math.ceil((rate * RATE_TICK) / 1000)))
      const piece = bytes.subarray(done, done + most)
      done += piece.length
      this.#to.write(piece)
      if (rate !== undefined) await sleep((piece.length * 1000) / rate)
      else if (done < bytes.length) {
        // Two turns have a look at the sockets between them, so that even a receiver in this process sees the pieces.
        await turn()
        await turn()
      }
    }
  }

  get #delay(): number {
    return this.#faults().delay ?? 0
  }

  get #isStalled(): boolean {
    return this.#faults().stall === true
  }

  /** A sender that is done is gone before its last bytes have been passed on; one that failed takes the other along. */
  get #isOver(): boolean {
    return this.#to.destroyed
  }
}
