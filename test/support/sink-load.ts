import type { Sink } from '../../src/contracts/sink.ts'
import { testSource } from '../../src/testing/part-context.ts'
import { batchOf } from './sink-values.ts'

/** Connections that write as fast as the sink confirms: `LANE/RUN/NUMBER`, several in a batch. */
export class SinkLoad {
  /** What the sink has confirmed, in the order in which it did. */
  readonly confirmed: string[] = []
  readonly #running: Promise<unknown>
  #stopped = false
  #arrived: () => void = () => undefined

  constructor(sink: Sink, lanes: number) {
    this.#running = Promise.all(Array.from({ length: lanes }, (_, lane) => this.#write(sink, lane)))
    this.#running.catch(() => undefined)
  }

  /** Resolves when so many more have been confirmed. @throws the first error for which a message was given up */
  async confirm(count: number): Promise<void> {
    const enough = this.confirmed.length + count
    const more = async () => {
      while (this.confirmed.length < enough) await new Promise<void>((resolve) => (this.#arrived = resolve))
    }
    await Promise.race([more(), this.#running])
  }

  /** Lets what has begun come to its end. @throws the first error for which a message was given up */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#running
  }

  async #write(sink: Sink, lane: number): Promise<void> {
    const source = testSource({ id: `lane-${lane}` })
    for (let run = 0; !this.#stopped; run++) {
      const texts = Array.from({ length: 1 + (run % 5) }, (_, i) => `${lane}/${run}/${i}`)
      const error = (await sink.write(batchOf(texts, source)))?.find((one) => one !== undefined)
      if (error !== undefined) {
        this.#stopped = true
        throw error
      }
      this.confirmed.push(...texts)
      this.#arrived()
    }
  }
}

/** Whether the texts of each lane stand in the order in which they were written; those that stand twice count once. */
export function keepsOrder(stored: readonly string[]): boolean {
  const last = new Map<string, readonly number[]>()
  for (const text of new Set(stored)) {
    const [lane = '', run = 0, i = 0] = text.split('/').map((part, at) => (at === 0 ? part : Number(part))) as [
      string,
      number,
      number,
    ]
    const [lastRun = -1, lastI = -1] = last.get(lane) ?? []
    if (run < lastRun || (run === lastRun && i <= lastI)) return false
    last.set(lane, [run, i])
  }
  return true
}
