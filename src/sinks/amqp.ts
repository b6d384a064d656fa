import { createHash } from 'node:crypto'
import type * as Amqp from 'amqplib'
import { readBrokerUrl, showAddress } from '../brokers/broker-url.ts'
import { checkTls, readTls, tlsOption } from '../brokers/client-tls.ts'
import { contentText } from '../contracts/codec.ts'
import type { PartContext } from '../contracts/context.ts'
import { defineSink } from '../contracts/define.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Message } from '../contracts/message.ts'
import { duration, secret, type Template, template, withoutProto, z } from '../contracts/schema.ts'
import { AmqpLink, type AmqpTarget, type Publish } from './amqp-link.ts'
import { BrokerSink, shareBroker } from './broker.ts'
import { createPayload, payloadOptions } from './payload.ts'

const shape = z.strictObject({
  url: secret().describe(
    'Address of the broker: amqp://user:password@host:5672/vhost, or amqps:// for TLS. Without a user it is guest, without a path the virtual host is /.',
  ),
  exchange: z.string().max(255).optional().describe("Exchange to publish to. Default: '', the default exchange."),
  routingKey: template().optional().describe("Routing key of each message. Default: '', or the queue."),
  queue: z
    .string()
    .min(1)
    .max(255)
    .optional()
    .describe('Name of a queue to publish to through the default exchange, instead of exchange and routingKey.'),
  ...payloadOptions,
  persistent: z
    .boolean()
    .default(true)
    .describe('A durable queue keeps the message over a restart of the broker. Default: true.'),
  mandatory: z
    .boolean()
    .default(true)
    .describe('A message that no queue takes has failed. Otherwise the broker drops it. Default: true.'),
  headers: withoutProto(z.record(z.string().min(1), template()))
    .optional()
    .describe('Headers of each message, by name.'),
  messageId: template()
    .optional()
    .describe('The property message-id. Default: the key of the message, which is the same when it is sent again.'),
  contentType: z.string().min(1).max(255).optional().describe('The property content-type, such as application/json.'),
  tls: tlsOption,
  heartbeat: duration()
    .prefault('10s')
    .describe(
      'How often both sides give a sign of life, in whole seconds; two missing ones end the connection. Default: 10s.',
    ),
  timeout: duration()
    .prefault('10s')
    .describe('How long the broker may take to accept a connection, and to confirm messages. Default: 10s.'),
})

const options = shape.superRefine(checkOptions)

type Options = z.output<typeof options>

/** Publishes to an AMQP 0-9-1 broker. */
export const amqp = defineSink({
  name: 'amqp',
  summary: 'Publishes each message to RabbitMQ, or another broker of AMQP 0-9-1.',
  details: [
    'Needs the package `amqplib`: `npm install amqplib`.',
    'A message has been delivered when the broker has confirmed it. For a persistent message in a durable queue, RabbitMQ ' +
      'does so when it has written it to disk. A quorum queue has also synced it on most of its nodes, so it survives ' +
      'a power cut; a classic queue has not synced it, so it survives the end of RabbitMQ and not a power cut.',
    'A message that no queue takes has failed and is not tried again. Its exchange, or its queue, must be there: Sluice ' +
      'looks for it at the start and never declares anything.',
    'Messages arrive in their order. When the connection is lost, or the broker does not confirm within `timeout`, the ' +
      'sink connects anew and sends again what was not confirmed. Each time, those of one write (`maxBatch`), for each of ' +
      '`maxInFlight`, may arrive once more, as a row: 1 2 3 1 2 3. All copies have the same `message-id`, so a consumer can ' +
      'tell. A message that the broker could not take (a nack) is sent again behind those that it took.',
    'A message of which we heard nothing may have arrived all the same, also when it is found in the dead letters.',
    'While RabbitMQ is short of memory or disk it takes no messages. The sink then waits up to `timeout`, and tries again ' +
      'for `retry.for`, without sending another copy for each attempt.',
    'When the broker is away at the start, Sluice starts all the same and says so. A wrong password, or an exchange or a ' +
      'queue that is not there, is a mistake that keeps it from starting.',
  ].join('\n\n'),
  options,
  examples: [
    { title: 'Into a queue', config: { amqp: { url: 'amqp://sluice:secret@broker', queue: 'scans' } } },
    {
      title: 'To an exchange, by device',
      config: {
        amqp: {
          url: 'amqps://sluice:secret@broker/plant',
          exchange: 'readings',
          routingKey: 'scales.${client.id}',
          headers: { received: '${received}' },
          contentType: 'application/json',
        },
      },
    },
  ],
  // A confirm comes when the message is on disk, but only a quorum queue has called fsync by then (RabbitMQ documentation,
  // "Consumer Acknowledgements and Publisher Confirms"; RabbitMQ blog of 2025-01-17, "What About fsync?"). A client cannot
  // ask what kind of queue there is.
  confirms: () => 'accepted',
  check: ({ tls }, context) => checkTls(tls, context),
  finished: 'the broker has confirmed it',
  batching: { maxBatch: 1000 },
  async create(given, context) {
    const target = await targetOf(given, context)
    const { url, tls, heartbeat, timeout } = given
    const same = { url, tls, heartbeat, timeout }
    const shared = await shareBroker(
      'amqp',
      same,
      context,
      () => AmqpLink.dial(target),
      (link) => checkTarget(link, given),
    )
    return new BrokerSink(shared, publishOf(given, context), timeout)
  },
})

async function checkTarget(link: AmqpLink, { queue, exchange }: Options): Promise<void> {
  if (queue !== undefined) await link.check('queue', queue)
  // The default exchange is always there, and must not be asked for.
  else if (exchange) await link.check('exchange', exchange)
}

/** How each message is published. The function throws for one that cannot be. */
function publishOf(given: Options, context: PartContext): (message: Message) => Publish {
  const { exchange = '', routingKey, queue, persistent, mandatory, contentType, messageId } = given
  const payload = createPayload(given, context)
  const headers = Object.entries(given.headers ?? {})
  const common = { persistent, mandatory, ...(contentType !== undefined && { contentType }) }
  return (message) => ({
    exchange,
    routingKey: queue ?? (routingKey === undefined ? '' : shortText('routingKey', routingKey, message)),
    content: toBuffer(payload(message)),
    options: {
      ...common,
      messageId: messageId === undefined ? keyOf(message) : shortText('messageId', messageId, message),
      ...(headers.length > 0 && {
        headers: Object.fromEntries(headers.map(([name, value]) => [name, headerOf(value(message))])),
      }),
    },
  })
}

/** A text of at most 255 bytes (AMQP 0-9-1, section 4.2.5.3). */
function shortText(option: string, value: Template, message: Message): string {
  const text = contentText(value(message)).toString()
  if (Buffer.byteLength(text) <= MOST_SHORT) return text
  throw new SluiceError(
    'sink_failed',
    `${option} is longer than ${MOST_SHORT} bytes: ${JSON.stringify(text.slice(0, 50))}`,
  )
}

function keyOf({ key }: Message): string {
  return Buffer.byteLength(key) <= MOST_SHORT ? key : createHash('sha256').update(key).digest('hex')
}

const MOST_SHORT = 255

/** Numbers, texts, true and false, null, bytes, lists and objects have a form in a table; a time is written as text. */
function headerOf(value: unknown): unknown {
  return value instanceof Date ? value.toISOString() : (value ?? null)
}

async function targetOf(given: Options, context: PartContext): Promise<AmqpTarget> {
  const { connect } = (await context.importPackage('amqplib')) as typeof Amqp
  const { protocol, host, port = protocol === 'amqps' ? 5671 : 5672, ...url } = readBrokerUrl(given.url, PROTOCOLS)!
  const { username, password = username === undefined ? 'guest' : '', path: vhost = '/' } = url
  return {
    connect,
    options: {
      protocol,
      hostname: host,
      port,
      username: username ?? 'guest',
      password,
      // The library takes it for a part of a URL and decodes it.
      vhost: encodeURIComponent(vhost),
      heartbeat: Math.max(1, Math.round(given.heartbeat / 1000)),
    },
    tls: readTls(given.tls, context.resolvePath),
    address: showAddress(protocol, host, port),
    vhost,
    timeout: given.timeout,
    signal: context.signal,
  }
}

const PROTOCOLS = ['amqp', 'amqps']

function checkOptions(given: Checked, context: z.core.$RefinementCtx): void {
  const report = (message: string, key: string) => context.addIssue({ code: 'custom', message, path: [key] })
  if (readBrokerUrl(given.url, PROTOCOLS) === undefined)
    report('expected an address such as amqp://user:password@host:5672/vhost', 'url')
  if (given.tls && String(given.url).startsWith('amqp:')) report('write amqps:// for TLS', 'url')
  if (given.queue !== undefined) {
    for (const key of ['exchange', 'routingKey'] as const) {
      if (given[key] !== undefined) report(`give queue or ${key}, and not both`, key)
    }
  } else if (!given.exchange && given.routingKey === undefined) {
    report('queue is missing, or exchange and routingKey', 'queue')
  }
  if (given.payload !== undefined && given.format !== undefined)
    report('give payload or format, and not both', 'payload')
}

type Checked = Readonly<Partial<Record<keyof z.input<typeof shape>, unknown>>>

function toBuffer(content: string | Buffer): Buffer {
  return typeof content === 'string' ? Buffer.from(content) : content
}
