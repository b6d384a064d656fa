import type { JsMsg } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import { flushed, serverOf } from '../brokers/nats-connect.ts'
import { askJetStream, type JetStreamPackage } from '../brokers/nats-jetstream.ts'
import { unavailable } from '../brokers/network-error.ts'
import type { Session } from '../brokers/reconnecting.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Delivery } from '../contracts/subscription.ts'

/** What a durable consumer of JetStream is made of. Times in milliseconds. */
export interface ConsumerOptions {
  readonly subject: string
  /** Undefined for the one that takes the subject. */
  readonly stream: string | undefined
  /** Its name on the server. */
  readonly consumer: string
  readonly startAt: 'new' | 'first'
  readonly maxInFlight: number
  readonly ackWait: number
  readonly timeout: number
  /** Aborted when the server waits no longer. */
  readonly late: AbortSignal
}

/**
 * Fetches from a durable consumer, which is made where there is none. Each message is acknowledged by itself, explicitly;
 * the server gives what was not acknowledged within `ackWait` again, so it is told of what is still being worked on.
 * Source: https://docs.nats.io/nats-concepts/jetstream/consumers
 * @throws SluiceError when there is no such stream, or the consumer cannot be made
 */
export async function consumeStream(
  jetstream: JetStreamPackage,
  connection: NatsConnection,
  options: ConsumerOptions,
  take: (deliveries: readonly Delivery[]) => void,
): Promise<Session> {
  const { subject, consumer: name, maxInFlight, ackWait, timeout, late } = options
  const stream = options.stream ?? (await findStream(jetstream, connection, subject, timeout))
  await ensureConsumer(jetstream, connection, stream, options)
  const inFlight = new Set<JsMsg>()
  const consumer = await jetstream.jetstream(connection, { timeout }).consumers.get(stream, name)
  const messages = await consumer.consume({
    max_messages: maxInFlight,
    abort_on_missing_resource: true,
    callback(message) {
      inFlight.add(message)
      take([deliveryOf(message, stream, inFlight)])
    },
  })
  // Half of the time is left for the word to arrive.
  const timer = setInterval(() => {
    if (!connection.isClosed()) for (const message of inFlight) message.working()
  }, ackWait / 2)
  const { promise: lost, resolve: lose } = Promise.withResolvers<SluiceError>()
  void connection.closed().then((cause) => lose(unavailable('the connection to NATS was lost', cause)))
  void messages.closed().then((cause) => lose(ended(name, stream, cause)))
  return {
    address: serverOf(connection),
    lost,
    async stop() {
      messages.stop()
      await messages.closed()
    },
    async end() {
      clearInterval(timer)
      messages.stop()
      if (!late.aborted) await flushed(connection, timeout).catch(() => undefined)
      await connection.close()
    },
  }
}

function deliveryOf(message: JsMsg, stream: string, inFlight: Set<JsMsg>): Delivery {
  return {
    payload: Buffer.from(message.data),
    topic: message.subject,
    id: `${stream}:${message.seq}`,
    settle() {
      inFlight.delete(message)
      try {
        message.ack()
      } catch {
        // The connection has closed: the server gives the message again.
      }
    },
  }
}

async function findStream(
  jetstream: JetStreamPackage,
  connection: NatsConnection,
  subject: string,
  timeout: number,
): Promise<string> {
  const stream = await askJetStream(jetstream, connection, timeout, ({ streams }) => streams.find(subject))
  if (stream !== undefined) return stream
  throw new SluiceError('subscription_failed', `no stream of NATS has the subject ${subject}`, {
    hint: `Make one: nats stream add NAME --subjects "${subject}"; or write jetstream: false for core NATS.`,
  })
}

/** Makes the consumer, or changes what may be changed of the one that is there. Where it has got to is never changed. */
async function ensureConsumer(
  jetstream: JetStreamPackage,
  connection: NatsConnection,
  stream: string,
  { consumer: name, subject, maxInFlight, ackWait, startAt, timeout }: ConsumerOptions,
): Promise<void> {
  const { AckPolicy, DeliverPolicy } = jetstream
  const config = { filter_subject: subject, max_ack_pending: maxInFlight, ack_wait: ackWait * NANOS_PER_MS }
  const found = await askJetStream(jetstream, connection, timeout, async ({ consumers }) => {
    const { config: now } = await consumers.info(stream, name)
    const same = Object.entries(config).every(([key, value]) => now[key as keyof typeof config] === value)
    if (!same) await consumers.update(stream, name, config)
    return now
  })
  if (found !== undefined) {
    if (found.ack_policy === AckPolicy.Explicit) return
    throw new SluiceError(
      'subscription_failed',
      `the consumer ${name} of the stream ${stream} does not acknowledge each message`,
      {
        hint: 'Give consumer: another name, and Sluice makes one.',
      },
    )
  }
  const deliver_policy = startAt === 'new' ? DeliverPolicy.New : DeliverPolicy.All
  const made = await askJetStream(jetstream, connection, timeout, ({ consumers }) =>
    consumers.add(stream, { durable_name: name, ack_policy: AckPolicy.Explicit, deliver_policy, ...config }),
  )
  if (made !== undefined) return
  throw new SluiceError('subscription_failed', `NATS has no stream ${stream}`, {
    hint: `Make it: nats stream add ${stream}`,
  })
}

function ended(name: string, stream: string, cause: Error | void): SluiceError {
  const why = cause instanceof Error ? `: ${cause.message}` : ''
  return new SluiceError('subscription_failed', `NATS has ended the consumer ${name} of the stream ${stream}${why}`, {
    cause,
  })
}

const NANOS_PER_MS = 1_000_000
