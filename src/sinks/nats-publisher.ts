import type { Link } from '../brokers/link.ts'
import type { SluiceError } from '../contracts/errors.ts'
import type { Outcomes } from '../contracts/sink.ts'
import type { NatsLink } from './nats-link.ts'
import type { NatsStreams } from './nats-streams.ts'
import type { Publication } from './nats-window.ts'

/** Publishes for one sink with JetStream, over a connection that it shares with others. */
export class NatsPublisher implements Link<Publication> {
  readonly #link: NatsLink
  readonly #streams: NatsStreams
  readonly #pipeline: boolean

  /** @param pipeline all messages of a write at once, not one of each connection at a time */
  constructor(link: NatsLink, streams: NatsStreams, pipeline: boolean) {
    this.#link = link
    this.#streams = streams
    this.#pipeline = pipeline
  }

  get open(): boolean {
    return this.#link.open
  }

  get lost(): SluiceError | undefined {
    return this.#link.lost
  }

  async deliver(publications: readonly Publication[], timeout: number): Promise<Outcomes> {
    const behind = this.#pipeline ? undefined : nextOfConnection(publications)
    const { outcomes, untaken } = await this.#link.acknowledged(publications, { timeout, behind })
    if (untaken.size === 0) return outcomes
    const refusals = await this.#streams.refusals(this.#link, untaken)
    return outcomes.map((error, i) => {
      const { subject } = publications[i]!
      return untaken.has(subject) && error !== undefined ? (refusals.get(subject) ?? error) : error
    })
  }

  /** The connection is ended by the last who shares it. */
  async end(): Promise<void> {}
}

/** For each publication the next one of the same connection. */
function nextOfConnection(publications: readonly Publication[]): (number | undefined)[] {
  const next = new Array<number | undefined>(publications.length).fill(undefined)
  const last = new Map<unknown, number>()
  for (const [i, { source }] of publications.entries()) {
    const before = last.get(source)
    if (before !== undefined) next[before] = i
    last.set(source, i)
  }
  return next
}
