import type * as JetStream from '@nats-io/jetstream'
import { askJetStream, type JetStreamPackage } from '../brokers/nats-jetstream.ts'
import type { PartContext } from '../contracts/context.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Template } from '../contracts/schema.ts'
import type { NatsLink } from './nats-link.ts'

interface StreamOptions {
  readonly subject: Template
  readonly stream?: string | undefined
  readonly timeout: number
}

/** Asks JetStream which streams there are: at the start, and when nobody took a message. */
export class NatsStreams {
  readonly #jetstream: JetStreamPackage
  readonly #options: StreamOptions
  readonly #context: PartContext

  private constructor(jetstream: JetStreamPackage, options: StreamOptions, context: PartContext) {
    this.#jetstream = jetstream
    this.#options = options
    this.#context = context
  }

  /** @throws SluiceError `package_missing` */
  static async load(options: StreamOptions, context: PartContext): Promise<NatsStreams> {
    const jetstream = (await context.importPackage('@nats-io/jetstream')) as JetStreamPackage
    return new NatsStreams(jetstream, options, context)
  }

  /**
   * Looks for the stream, and says in the log what a message in it survives.
   * @throws SluiceError `sink_failed` when there is no such stream; retryable when JetStream does not answer
   */
  async check(link: NatsLink): Promise<void> {
    const { subject, stream } = this.#options
    const fixed = subject.isFunction !== true && !subject.source.includes('${') ? subject.source : undefined
    if (stream === undefined && fixed === undefined) return
    const name = fixed === undefined ? stream! : await this.#find(link, fixed)
    if (name === undefined) throw noStream(fixed!)
    if (stream !== undefined && name !== stream) {
      throw new SluiceError('sink_failed', `the subject ${fixed} belongs to the stream ${name}, not to ${stream}`, {
        hint: `write stream: ${name}, or add the subject to ${stream}`,
      })
    }
    const info = await this.#ask(link, ({ streams }) => streams.info(name))
    if (info === undefined) {
      throw new SluiceError('sink_failed', `NATS has no stream ${name}`, { hint: `make it: nats stream add ${name}` })
    }
    if (info.config.storage === this.#jetstream.StorageType.Memory) {
      this.#context.log('warn', `the stream ${name} keeps its messages in memory: they are lost when nats-server ends`)
    } else if (info.config.persist_mode === this.#jetstream.PersistMode.Async) {
      const text = `the stream ${name} acknowledges before it writes (persist_mode: async)`
      this.#context.log('warn', `${text}: the last messages are lost when nats-server crashes`)
    }
  }

  /**
   * Finds out which of the subjects belong to no stream at all. The others may have a stream that has no leader now.
   * @returns the error of each subject that no stream takes
   */
  async refusals(link: NatsLink, subjects: ReadonlySet<string>): Promise<ReadonlyMap<string, SluiceError>> {
    const refusals = new Map<string, SluiceError>()
    for (const subject of subjects) {
      try {
        if ((await this.#find(link, subject)) === undefined) refusals.set(subject, noStream(subject))
      } catch {
        // JetStream does not know now. What could not be published is tried again, so it is asked again.
        break
      }
    }
    return refusals
  }

  /** The stream that takes a subject. */
  #find(link: NatsLink, subject: string): Promise<string | undefined> {
    return this.#ask(link, ({ streams }) => streams.find(subject))
  }

  #ask<T>(link: NatsLink, request: (manager: JetStream.JetStreamManager) => Promise<T>): Promise<T | undefined> {
    return askJetStream(this.#jetstream, link.connection, this.#options.timeout, request)
  }
}

function noStream(subject: string): SluiceError {
  return new SluiceError('sink_failed', `no stream takes the subject ${subject} (no responders)`, {
    hint: `make one: nats stream add NAME --subjects ${subject}; or write jetstream: false`,
  })
}
