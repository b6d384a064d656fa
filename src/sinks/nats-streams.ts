import type * as JetStream from '@nats-io/jetstream'
import { unavailable } from '../brokers/network-error.ts'
import type { PartContext } from '../contracts/context.ts'
import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Template } from '../contracts/schema.ts'
import type { NatsLink } from './nats-link.ts'

/** The package `@nats-io/jetstream`. */
type JetStreamPackage = typeof JetStream

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

  /** @returns undefined when there is no such stream */
  async #ask<T>(link: NatsLink, request: (manager: JetStream.JetStreamManager) => Promise<T>): Promise<T | undefined> {
    const { jetstreamManager, JetStreamApiError, JetStreamApiCodes } = this.#jetstream
    const { connection } = link
    try {
      return await request(await jetstreamManager(connection, { checkAPI: false, timeout: this.#options.timeout }))
    } catch (thrown) {
      if (thrown instanceof JetStreamApiError && thrown.code === JetStreamApiCodes.StreamNotFound) return undefined
      // The package does not export the class. A server that has JetStream may be waiting for others of its cluster.
      const disabled = thrown instanceof Error && thrown.name === 'JetStreamNotEnabled'
      if (disabled && connection.info?.jetstream !== true) {
        throw new SluiceError('sink_failed', 'JetStream is not enabled on the NATS server', {
          cause: thrown,
          hint: 'enable it there (jetstream: enabled), or write jetstream: false',
        })
      }
      throw unavailable(`JetStream does not answer: ${toSluiceError(thrown).message}`, thrown)
    }
  }
}

function noStream(subject: string): SluiceError {
  return new SluiceError('sink_failed', `no stream takes the subject ${subject} (no responders)`, {
    hint: `make one: nats stream add NAME --subjects ${subject}; or write jetstream: false`,
  })
}
