import { connectNats, type NatsPackage } from '../brokers/nats-connect.ts'
import { checkNatsFiles, natsConnection, readNatsTarget, requireOneIdentity } from '../brokers/nats-options.ts'
import type { Shared } from '../contracts/context.ts'
import { defineSink } from '../contracts/define.ts'
import { expr, template, withoutProto, z } from '../contracts/schema.ts'
import { Broker, BrokerSink, shareBroker } from './broker.ts'
import { NatsLink } from './nats-link.ts'
import { createPublisher } from './nats-publication.ts'
import { NatsPublisher } from './nats-publisher.ts'
import { NatsStreams } from './nats-streams.ts'
import type { Publication } from './nats-window.ts'
import { payloadOptions } from './payload.ts'

const headerName = z
  .string()
  .regex(/^[\x21-\x39\x3b-\x7e]+$/, 'a name of a header has only visible ASCII characters, and no colon')
  .refine((name) => !/^nats-(msg-id|expected-stream)$/i.test(name), 'this header is set by messageId and stream')

const options = z
  .strictObject({
    ...natsConnection,
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
  })
  .superRefine(checkOptions)

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
  check: checkNatsFiles,
  async create(given, context) {
    const nats = (await context.importPackage('@nats-io/transport-node')) as NatsPackage
    const streams = given.jetstream ? await NatsStreams.load(given, context) : undefined
    const target = readNatsTarget(given, context)
    const { signal } = context
    const dial = async () => {
      const connection = await connectNats(nats, context.tcp, target, signal)
      return new NatsLink(connection, nats.createInbox(), signal)
    }
    const shared = await shareBroker('nats', target, context, dial, (link) => streams?.check(link))
    const publisher = streams === undefined ? shared : withStreams(shared, streams, given.pipeline)
    return new BrokerSink<Publication>(publisher, createPublisher(given, nats, context), given.timeout)
  },
})

/** The same connection, for one sink with JetStream. */
function withStreams(shared: Shared<Broker<NatsLink>>, streams: NatsStreams, pipeline: boolean) {
  const value = new Broker(async () => new NatsPublisher(await shared.value.link(), streams, pipeline))
  return { value, release: () => shared.release() }
}

/** Reports options that contradict each other. */
function checkOptions(given: Partial<Record<string, unknown>>, context: z.core.$RefinementCtx): void {
  requireOneIdentity(given, context)
  if (given['jetstream'] !== false || given['stream'] === undefined) return
  context.addIssue({ code: 'custom', message: 'a stream needs JetStream: remove jetstream: false', path: ['stream'] })
}
