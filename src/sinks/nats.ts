import { readFileSync } from 'node:fs'
import type { PartContext, Shared } from '../contracts/context.ts'
import { defineSink } from '../contracts/define.ts'
import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import type { Batch, Message } from '../contracts/message.ts'
import { duration, expr, secret, template, withoutProto, z } from '../contracts/schema.ts'
import type { Outcomes, Sink } from '../contracts/sink.ts'
import { checkFile, checkTls, readTls, tlsOption } from './client-tls.ts'
import { NatsClient, type NatsPackage, type NatsTarget } from './nats-client.ts'
import type { NatsLink, Publication } from './nats-link.ts'
import { createPublisher } from './nats-publication.ts'
import { NatsStreams } from './nats-streams.ts'
import { payloadOptions } from './payload.ts'

const server = z
  .string()
  .min(1)
  .regex(/^[^@]*$/, 'a server has no user and password in it: give them as user and password')
  .regex(/^(?!wss?:)/, 'WebSockets are not supported: give host:port')

const headerName = z
  .string()
  .regex(/^[\x21-\x39\x3b-\x7e]+$/, 'a name of a header has only visible ASCII characters, and no colon')
  .refine((name) => !/^nats-(msg-id|expected-stream)$/i.test(name), 'this header is set by messageId and stream')

const options = z
  .strictObject({
    servers: z
      .union([server, z.array(server).min(1)])
      .describe('Address of a server, `host:port`, or a list of those of one cluster. The default port is 4222.'),
    subject: template().describe('Subject to publish to: a text in which `${…}` is evaluated.'),
    ...payloadOptions,
    headers: withoutProto(z.record(headerName, template()))
      .optional()
      .describe('Headers, each with a text in which `${…}` is evaluated.'),
    jetstream: z
      .boolean()
      .default(true)
      .describe(
        'Wait until a stream has acknowledged each message. False: core NATS, which keeps nothing. Default: true.',
      ),
    stream: z
      .string()
      .regex(/^[^\s.*>/\\]+$/, 'a name of a stream has no white space and none of . * > / \\')
      .optional()
      .describe(
        'Stream that must take the messages. It is looked for at the start. Default: any that takes the subject.',
      ),
    messageId: expr()
      .optional()
      .describe(
        'With JetStream: what the stream recognises a repeated message by. Default: the key of the message and the id of ' +
          'the step.',
      ),
    pipeline: z
      .boolean()
      .default(true)
      .describe(
        'With JetStream: publish all messages of a write at once. False: one of each connection at a time, so that its ' +
          'order holds even when the stream refuses single messages for a while. Default: true.',
      ),
    user: z.string().min(1).optional().describe('Name of the user.'),
    password: secret().optional().describe('Password of the user.'),
    token: secret().optional().describe('Token, instead of user and password.'),
    creds: z
      .string()
      .min(1)
      .optional()
      .describe("Credentials file (JWT and seed), instead. A relative path starts at the configuration's folder."),
    tls: tlsOption,
    timeout: duration()
      .prefault('10s')
      .describe('How long a connection, or the next acknowledgement, may take. Default: 10s.'),
  })
  .superRefine(requireOneIdentity)

/** Publishes to a subject of NATS. */
export const nats = defineSink({
  name: 'nats',
  summary: 'Publishes each message to a subject of NATS, and waits for the acknowledgement of a stream.',
  details: [
    'Needs the packages `@nats-io/transport-node` and, with JetStream, `@nats-io/jetstream`.',
    'With JetStream (the default) the messages of many connections are published together and each is acknowledged by ' +
      'itself: one that the stream refuses fails alone. What that is worth depends on the server. It writes to its file at ' +
      'once, but syncs the file only every 2 minutes unless its `sync_interval` is `always`, and a client cannot see ' +
      'that setting; so Sluice says `accepted`: a message survives the end of nats-server, not a power cut of its machine ' +
      '(with replicas: of most of them at once). A stream with `storage: memory` loses all when the server ends; that is ' +
      'logged at the start.',
    'A message that is tried again carries the same `Nats-Msg-Id`, and a stream that has it already says so; that counts ' +
      'as delivered. The stream remembers ids for its `duplicate_window`, 2 minutes unless set otherwise: what is tried ' +
      'again later, a dead letter say, may be stored twice. The id ends in the id of the step, because two sinks that ' +
      'write one message into one stream mean two entries. An id of your own must be unique among all that write into the ' +
      'stream: `msg.id` of two devices is not.',
    'The messages of a connection are stored in their order, also when the connection to the server was lost and they are ' +
      'published again. There is one exception: a stream that refuses single messages for a while (it is full and discards ' +
      'new ones, or its cluster has no leader) may refuse one and take the next. `pipeline: false` rules this out, and ' +
      'costs a round trip for each message of a connection.',
    'With `jetstream: false` the server has processed the message when it counts as delivered; nothing is kept, and when ' +
      'nobody has subscribed it is gone. What is under way when the connection breaks is published again, so subscribers ' +
      'may see it twice.',
    'A subject must be whole: no white space, no empty part, no `*` or `>`. A message without a stream for its subject ' +
      'fails for good ("no stream takes the subject"); it waits among the dead letters.',
    'A lost connection is made again for the next write, by Sluice and not by the client library, which would queue ' +
      'messages without a bound meanwhile. Sinks with equal servers, credentials and TLS share one connection.',
  ].join('\n\n'),
  options,
  examples: [
    {
      title: 'Into the stream that takes the subject',
      config: { nats: { servers: 'nats:4222', subject: 'readings' } },
    },
    {
      title: 'A subject for each device, into one stream of a cluster',
      config: {
        nats: {
          servers: ['nats-1:4222', 'nats-2:4222', 'nats-3:4222'],
          subject: 'plant.scales.${msg.device}',
          stream: 'PLANT',
          headers: { 'Received-At': '${received}' },
          creds: 'sluice.creds',
          tls: true,
        },
      },
    },
    {
      title: 'Core NATS, for whoever listens now',
      config: {
        nats: { servers: 'localhost', subject: 'live.${client.id}', payload: '${msg.temp}', jetstream: false },
      },
    },
  ],
  confirms: ({ jetstream }) => (jetstream ? 'accepted' : 'os'),
  finished: 'NATS has acknowledged it',
  batching: { maxBatch: 500, maxInFlight: 4 },
  check: ({ creds, tls }, context) => [
    ...(creds === undefined ? [] : checkFile(creds, ['creds'], context)),
    ...checkTls(tls, context),
  ],
  async create(given, context) {
    const nats = (await context.importPackage('@nats-io/transport-node')) as NatsPackage
    const streams = given.jetstream ? await NatsStreams.load(given, context) : undefined
    const target = readTarget(given, context)
    const key = `nats ${JSON.stringify(target)}`
    const client = context.share(key, () => new NatsClient(nats, target, context.signal))
    try {
      await begin(client.value, streams, context)
      return new NatsSink(client, streams, given.timeout, given.pipeline, createPublisher(given, nats, context))
    } catch (error) {
      await client.release()
      throw error
    }
  },
})

type Options = z.output<typeof options>

function readTarget(
  { servers, user, password, token, creds, tls, timeout }: Options,
  context: PartContext,
): NatsTarget {
  const resolvePath = (path: string) => context.resolvePath(path)
  return {
    servers: typeof servers === 'string' ? [servers] : servers,
    user,
    password,
    token,
    creds: creds === undefined ? undefined : readFileSync(resolvePath(creds)),
    tls: readTls(tls, resolvePath),
    timeout,
  }
}

/** Connects, and looks for the stream. A server that is not there yet does not keep Sluice from starting. */
async function begin(client: NatsClient, streams: NatsStreams | undefined, context: PartContext): Promise<void> {
  try {
    const link = await client.link()
    await streams?.check(link)
  } catch (thrown) {
    const error = toSluiceError(thrown, 'sink_failed')
    if (!error.retryable) throw error
    context.log('warn', `${error.message}; it is tried again when there is something to publish`)
  }
}

class NatsSink implements Sink {
  readonly #client: Shared<NatsClient>
  /** Undefined without JetStream. */
  readonly #streams: NatsStreams | undefined
  readonly #timeout: number
  readonly #pipeline: boolean
  readonly #publicationOf: (message: Message) => Publication
  readonly #begun = new Set<Promise<unknown>>()
  #closed: Promise<void> | undefined

  constructor(
    client: Shared<NatsClient>,
    streams: NatsStreams | undefined,
    timeout: number,
    pipeline: boolean,
    publicationOf: (message: Message) => Publication,
  ) {
    this.#client = client
    this.#streams = streams
    this.#timeout = timeout
    this.#pipeline = pipeline
    this.#publicationOf = publicationOf
  }

  async write(batch: Batch): Promise<void | Outcomes> {
    if (this.#closed !== undefined) throw new SluiceError('sink_failed', 'the sink is closed')
    const delivery = this.#deliver(batch.messages)
    this.#begun.add(delivery)
    try {
      return await delivery
    } finally {
      this.#begun.delete(delivery)
    }
  }

  close(): Promise<void> {
    this.#closed ??= Promise.allSettled(this.#begun).then(() => this.#client.release())
    return this.#closed
  }

  async #deliver(messages: readonly Message[]): Promise<void | Outcomes> {
    const outcomes = new Array<SluiceError | undefined>(messages.length).fill(undefined)
    const publications: Publication[] = []
    const positions: number[] = []
    for (const [position, message] of messages.entries()) {
      try {
        publications.push(this.#publicationOf(message))
        positions.push(position)
      } catch (thrown) {
        outcomes[position] = toSluiceError(thrown, 'sink_failed')
      }
    }
    if (publications.length > 0) {
      const link = await connected(this.#client.value)
      const results = await this.#publish(link, publications, () =>
        behind(positions.map((position) => messages[position]!)),
      )
      for (const [i, position] of positions.entries()) outcomes[position] = results[i]
    }
    return outcomes.some((error) => error !== undefined) ? outcomes : undefined
  }

  async #publish(
    link: NatsLink,
    publications: readonly Publication[],
    order: () => readonly (number | undefined)[],
  ): Promise<Outcomes> {
    if (this.#streams === undefined) return link.flushed(publications, this.#timeout)
    const window = { timeout: this.#timeout, behind: this.#pipeline ? undefined : order() }
    const { outcomes, untaken } = await link.acknowledged(publications, window)
    if (untaken.size === 0) return outcomes
    const refusals = await this.#streams.refusals(link, untaken)
    return outcomes.map((error, i) => {
      const { subject } = publications[i]!
      return untaken.has(subject) && error !== undefined ? (refusals.get(subject) ?? error) : error
    })
  }
}

/** Credentials that were good at the start may be good again; whoever changes them at the server has time until then. */
async function connected(client: NatsClient): Promise<NatsLink> {
  try {
    return await client.link()
  } catch (thrown) {
    const { message, hint, retryable } = toSluiceError(thrown, 'sink_unavailable')
    if (retryable) throw thrown
    throw new SluiceError('sink_unavailable', message, {
      cause: thrown,
      retryable: true,
      ...(hint !== undefined && { hint }),
    })
  }
}

/** For each message the next one of the same connection. */
function behind(messages: readonly Message[]): (number | undefined)[] {
  const next = new Array<number | undefined>(messages.length).fill(undefined)
  const last = new Map<unknown, number>()
  for (const [i, { source }] of messages.entries()) {
    const before = last.get(source)
    if (before !== undefined) next[before] = i
    last.set(source, i)
  }
  return next
}

/** Reports options that contradict each other. */
function requireOneIdentity(given: Partial<Record<string, unknown>>, context: z.core.$RefinementCtx): void {
  const report = (message: string, option: string) => context.addIssue({ code: 'custom', message, path: [option] })
  const { user, password, token, creds, jetstream, stream } = given
  const kinds = [user ?? password, token, creds].filter((value) => value !== undefined)
  if (kinds.length > 1) context.addIssue({ code: 'custom', message: 'give user and password, or token, or creds' })
  if (user === undefined && password !== undefined) report('user is missing', 'user')
  if (jetstream === false && stream !== undefined) report('a stream needs JetStream: remove jetstream: false', 'stream')
}
