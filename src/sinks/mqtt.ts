import { checkTls } from '../brokers/client-tls.ts'
import {
  defaultClientId,
  mqttConnection,
  readMqttTarget,
  requireOneAddress,
  toSeconds,
} from '../brokers/mqtt-options.ts'
import { contentText } from '../contracts/codec.ts'
import type { PartContext } from '../contracts/context.ts'
import { defineSink } from '../contracts/define.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Message } from '../contracts/message.ts'
import { duration, type Template, template, withoutProto, z } from '../contracts/schema.ts'
import { BrokerSink, shareBroker } from './broker.ts'
import { MqttLink, type Publish } from './mqtt-link.ts'
import { createPayload, payloadOptions } from './payload.ts'

const shape = z.strictObject({
  ...mqttConnection,
  topic: template().describe('Topic of each message. `+`, `#` and NUL are not allowed in it.'),
  ...payloadOptions,
  qos: z
    .literal([0, 1, 2])
    .default(1)
    .describe('0: the socket took it; 1: the broker has acknowledged it; 2: in two steps. Default: 1.'),
  retain: z
    .boolean()
    .default(false)
    .describe('The broker keeps the last message of a topic for who subscribes later. Default: false.'),
  userProperties: withoutProto(z.record(z.string().min(1), template()))
    .optional()
    .describe('User properties of each message, by name. Only with version 5.'),
  contentType: z.string().min(1).optional().describe('Content type of each message. Only with version 5.'),
  messageExpiry: duration()
    .optional()
    .describe('How long the broker may keep a message for subscribers, in whole seconds. Only with version 5.'),
})

const options = shape.superRefine(checkOptions)

type Options = z.output<typeof options>

/** Publishes to an MQTT broker. */
export const mqtt = defineSink({
  name: 'mqtt',
  summary: 'Publishes each message to an MQTT broker.',
  details: [
    'Needs the package `mqtt`: `npm install mqtt`.',
    'With `qos: 1` a message has been delivered when the broker has acknowledged it (PUBACK), with `qos: 2` when it has ' +
      'completed it (PUBCOMP), and with `qos: 0` when the socket took it. Whether the broker keeps it on disk is a matter ' +
      'of the broker. That nobody has subscribed to a topic is no failure.',
    'Messages arrive in their order. When a connection is lost, or the broker does not acknowledge within `timeout`, the ' +
      'sink connects anew and sends again what was not acknowledged. Each time, those of one write (`maxBatch`), for each ' +
      'of `maxInFlight`, may arrive once more, as a row: 1 2 3 1 2 3. This is so with `qos: 2` too, because every ' +
      'connection begins a new session. A message that the broker refuses for now is sent again behind those that it took.',
    'A message of which we heard nothing may have arrived all the same, also when it is found in the dead letters. ' +
      'Sluice sends nothing later behind its own back: nothing is queued for a broker that is away.',
    'When a second server connects with the same `clientId`, the broker closes the connection of the first, which then ' +
      'connects again and throws out the second. Nothing is lost, but both are slow, and messages arrive twice. The ' +
      'default differs between machines; two servers on one machine with the same configuration need a `clientId` each, ' +
      'and so do sinks with different options for the connection (those with equal ones share it). ' +
      'It is the same after a restart, so that a connection that the broker has not missed yet is closed before the new ' +
      'one begins, and nothing old arrives behind something new.',
    'A broker of version 4 (MQTT 3.1.1) has no way to refuse a message: it acknowledges also what it does not keep, for ' +
      'lack of a right say, or it closes the connection.',
    'When the broker is away at the start, Sluice starts all the same and says so. A wrong password, or a certificate ' +
      'that nobody trusts, is a mistake that keeps it from starting.',
  ].join('\n\n'),
  options,
  examples: [
    { title: 'A topic for each device', config: { mqtt: { host: 'broker', topic: 'scales/${client.id}' } } },
    {
      title: 'With TLS and a password, and a property to recognise what arrives twice',
      config: {
        mqtt: {
          url: 'mqtts://sluice:secret@broker:8883',
          topic: 'plant/${msg.line}/weight',
          payload: '${msg.weight}',
          userProperties: { key: '${key}' },
          tls: { ca: 'certs/our-authority.pem' },
        },
      },
    },
  ],
  confirms: ({ qos }) => (qos === 0 ? 'os' : 'accepted'),
  check: ({ tls }, context) => checkTls(tls, context),
  finished: 'the broker has acknowledged it (with qos: 0, the socket took it)',
  batching: { maxBatch: 1000 },
  async create(given, context) {
    const target = await readMqttTarget(given, context, defaultClientId(context.id))
    const { clientId, timeout, keepAlive, tls, version } = given
    const { clientId: _, ...connection } = target.options
    const same = { ...connection, clientId, timeout, keepAlive, tls, version }
    const shared = await shareBroker(
      'mqtt',
      same,
      context,
      () => MqttLink.dial(target),
      (link) => {
        const problem = link.problemOf(given)
        if (problem !== undefined) throw problem
      },
    )
    return new BrokerSink(shared, publishOf(given, context), timeout)
  },
})

/** How each message is published. The function throws for one that cannot be. */
function publishOf(given: Options, context: PartContext): (message: Message) => Publish {
  const { topic, qos, retain, version, contentType, messageExpiry, userProperties } = given
  const payload = createPayload(given, context)
  const names = Object.entries(userProperties ?? {})
  const common = {
    ...(contentType !== undefined && { contentType }),
    ...(messageExpiry !== undefined && { messageExpiryInterval: toSeconds(messageExpiry) }),
  }
  const hasProperties = version === 5 && (names.length > 0 || Object.keys(common).length > 0)
  return (message) => ({
    topic: topicOf(topic, message),
    payload: toBuffer(payload(message)),
    qos,
    retain,
    ...(hasProperties && {
      properties: {
        ...common,
        userProperties: Object.fromEntries(names.map(([name, value]) => [name, textOf(value, message)])),
      },
    }),
  })
}

/** A topic name (MQTT 5.0, section 4.7): at least one character, no wildcard, no NUL, at most 65,535 bytes. */
function topicOf(topic: Template, message: Message): string {
  const text = textOf(topic, message)
  const problem =
    text === ''
      ? 'is empty'
      : text.includes('\0')
        ? 'contains NUL'
        : /[+#]/.test(text)
          ? 'contains a wildcard, + or #'
          : Buffer.byteLength(text) > 65_535
            ? 'is longer than 65535 bytes'
            : undefined
  if (problem === undefined) return text
  throw new SluiceError('sink_failed', `the topic ${problem}: ${JSON.stringify(text.slice(0, 100))}`)
}

function textOf(value: Template, message: Message): string {
  return contentText(value(message)).toString()
}

function checkOptions(given: Checked, context: z.core.$RefinementCtx): void {
  const report = (message: string, key: string) => context.addIssue({ code: 'custom', message, path: [key] })
  requireOneAddress(given, context)
  if (given.payload !== undefined && given.format !== undefined)
    report('give payload or format, and not both', 'payload')
  if (given.version === 5) return
  for (const key of ['userProperties', 'contentType', 'messageExpiry'] as const) {
    if (given[key] !== undefined) report('needs version 5', key)
  }
}

type Checked = Readonly<Partial<Record<keyof z.input<typeof shape>, unknown>>>

function toBuffer(content: string | Buffer): Buffer {
  return typeof content === 'string' ? Buffer.from(content) : content
}
