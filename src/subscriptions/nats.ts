import { connectNats, type NatsPackage } from '../brokers/nats-connect.ts'
import type { JetStreamPackage } from '../brokers/nats-jetstream.ts'
import { checkNatsFiles, natsConnection, readNatsTarget, requireOneIdentity } from '../brokers/nats-options.ts'
import { Reconnecting } from '../brokers/reconnecting.ts'
import { defineSubscription } from '../contracts/define.ts'
import { duration, z } from '../contracts/schema.ts'
import { consumeStream } from './nats-consumer.ts'
import { subscribeCore } from './nats-core.ts'

const name = (what: string) =>
  z.string().regex(/^[^\s.*>/\\]+$/, `a name of a ${what} has no white space and none of . * > / \\`)

/** Source: https://docs.nats.io/nats-concepts/subjects#wildcards */
const SUBJECT = /^(?:(?!>\.)[^\s.\0]+\.)*[^\s.\0]+$/

const options = z
  .strictObject({
    ...natsConnection,
    subject: z
      .string()
      .regex(SUBJECT, 'a subject has no white space and no empty part; * stands for a part, > for all that follow')
      .describe('Subject to subscribe to; `*` stands for one part of it, `>` at the end for all further parts.'),
    jetstream: z
      .boolean()
      .default(true)
      .describe('Read a stream, which keeps each message until it is acknowledged. False: core NATS. Default: true.'),
    stream: name('stream').optional().describe('Stream to read. Default: the one that takes the subject.'),
    consumer: name('consumer')
      .optional()
      .describe(
        'With JetStream: name of the durable consumer, which knows what was acknowledged. Those that have the same share ' +
          'the messages. Default: sluice- and the name of the endpoint.',
      ),
    startAt: z
      .enum(['new', 'first'])
      .default('new')
      .describe(
        'With JetStream: where a consumer begins that was not there before: with what is published from now on, or with ' +
          'the first message that the stream has. Default: new.',
      ),
    maxInFlight: z
      .int()
      .min(1)
      .max(65_535)
      .default(500)
      .describe('With JetStream: most messages that are given and not yet acknowledged. Default: 500.'),
    ackWait: duration()
      .prefault('30s')
      .describe(
        'With JetStream: time after which the server gives a message again of which it heard nothing. What is still being ' +
          'worked on is told to it. Default: 30s.',
      ),
    queue: name('queue')
      .optional()
      .describe('With core NATS: group of subscribers of which one gets each message. Default: all get it.'),
  })
  .superRefine(checkOptions)

/** Subscribes to a subject of NATS. */
export const nats = defineSubscription({
  name: 'nats',
  summary: 'Takes the messages of a stream or a subject of NATS.',
  details: [
    'Needs the packages `@nats-io/transport-node` and, with JetStream, `@nats-io/jetstream`.',
    'With JetStream (the default) Sluice reads a stream by a durable consumer, which it makes where there is none. A ' +
      'message is acknowledged when it has gone through the dataflow: delivered, handled by an `onError`, dropped by a step ' +
      'or kept as a dead letter. What was not acknowledged is given again, in its place among the others or later, after ' +
      '`ackWait`; its key stays the same, STREAM:NUMBER, so a `dedupe` step recognises it.',
    'With `jetstream: false` the server gives a message to those who are subscribed at that moment and forgets it. What ' +
      'Sluice cannot take in time (`limits.maxQueued`) is lost and counted. A request, which has a reply subject, is ' +
      'answered by `reply`; for a message without one the answer is skipped.',
    'Two servers that shall both get every message need a `consumer` each; with the same one they share the messages. The ' +
      'consumer stays on the server when the subscription is removed from the configuration: `nats consumer rm STREAM NAME`.',
  ].join('\n\n'),
  options,
  examples: [
    {
      title: 'Commands from the stream that takes the subject',
      config: {
        nats: { servers: 'nats:4222', subject: 'commands.*' },
        format: 'json',
        dataflow: [{ send: { to: { tag: 'device', value: 'msg.device' }, text: '${msg.command}' } }],
      },
    },
    {
      title: 'A request is answered with what is known of the clients',
      config: {
        nats: { servers: 'nats:4222', subject: 'sluice.ping', jetstream: false },
        dataflow: [{ reply: 'pong ${msg}' }],
      },
    },
  ],
  guarantees: ({ jetstream }) => (jetstream ? 'at least once' : 'at most once'),
  inWords: ({ subject, servers, jetstream, stream }) => {
    const where = [servers].flat().join(', ')
    if (!jetstream) return `the subject ${subject} of NATS at ${where}`
    return `${subject} in ${stream === undefined ? 'its stream' : `the stream ${stream}`} of NATS at ${where}`
  },
  acknowledges: ({ jetstream }) =>
    jetstream
      ? 'it is acknowledged to the stream behind the last step, whatever became of it, and before that given again'
      : 'nothing is acknowledged',
  unanswerable: ({ jetstream }) =>
    jetstream
      ? {
          message: 'a message of a stream has no reply subject, so there is nobody to answer',
          hint: 'take it away; or write jetstream: false, for requests of core NATS',
        }
      : undefined,
  identifies: ({ jetstream }) => jetstream,
  check: checkNatsFiles,
  async create(given, context) {
    const library = (await context.importPackage('@nats-io/transport-node')) as NatsPackage
    const { jetstream, queue } = given
    const streams = jetstream ? ((await context.importPackage('@nats-io/jetstream')) as JetStreamPackage) : undefined
    const target = readNatsTarget(given, context)
    const { subject, stream, startAt, maxInFlight, ackWait, timeout } = given
    const late = context.signal
    const consumer = given.consumer ?? `sluice-${context.endpoint}`
    return new Reconnecting(async (take) => {
      const connection = await connectNats(library, context.tcp, target, late)
      try {
        if (streams === undefined) return await subscribeCore(connection, { subject, queue, timeout, late }, take)
        const options = { subject, stream, consumer, startAt, maxInFlight, ackWait, timeout, late }
        return await consumeStream(streams, connection, options, take)
      } catch (thrown) {
        await connection.close()
        throw thrown
      }
    }, late)
  },
})

/** Options of the one way to subscribe, and options of the other. */
function checkOptions(given: Partial<Record<string, unknown>>, context: z.core.$RefinementCtx): void {
  requireOneIdentity(given, context)
  const report = (message: string, option: string) => context.addIssue({ code: 'custom', message, path: [option] })
  if (given['jetstream'] !== false) {
    if (given['queue'] !== undefined)
      report('a queue is for core NATS: those with the same consumer share messages', 'queue')
    return
  }
  for (const option of ['stream', 'consumer'] as const) {
    if (given[option] !== undefined) report(`a ${option} needs JetStream: remove jetstream: false`, option)
  }
}
