import { checkTls } from '../brokers/client-tls.ts'
import {
  defaultClientId,
  mqttConnection,
  readMqttTarget,
  requireOneAddress,
  toSeconds,
} from '../brokers/mqtt-options.ts'
import { Reconnecting } from '../brokers/reconnecting.ts'
import { defineSubscription } from '../contracts/define.ts'
import { duration, z } from '../contracts/schema.ts'
import { subscribeMqtt } from './mqtt-session.ts'

const topic = z.string().refine(isTopicFilter, 'a topic has + and # only as whole parts, and # only as the last')

const options = z
  .strictObject({
    ...mqttConnection,
    topic: z
      .union([topic, z.array(topic).min(1)])
      .describe(
        'Topic to subscribe to, or a list; `+` stands for one part of it, `#` at the end for all further parts.',
      ),
    qos: z
      .union(
        [z.literal(0), z.literal(1)],
        'expected 0 or 1: a dataflow cannot promise that a message runs exactly once',
      )
      .default(1)
      .describe(
        '1: a message is acknowledged when it has gone through the dataflow, and the broker keeps what comes while we are ' +
          'away. 0: the broker keeps nothing. What is published with QoS 2 arrives with QoS 1. Default: 1.',
      ),
    maxInFlight: z
      .int()
      .min(1)
      .max(65_535)
      .default(500)
      .describe(
        'Most messages that the broker may give before they are acknowledged (Receive Maximum); with version 4 the broker ' +
          'decides. Default: 500.',
      ),
    sessionExpiry: duration()
      .prefault('1d')
      .describe(
        'How long the broker keeps the messages that come while we are away, with version 5; a broker may allow less. ' +
          'Default: 1d.',
      ),
  })
  .superRefine(requireOneAddress)

/** Subscribes to topics of an MQTT broker. */
export const mqtt = defineSubscription({
  name: 'mqtt',
  summary: 'Takes the messages of topics of an MQTT broker.',
  details: [
    'Needs the package `mqtt`: `npm install mqtt`.',
    'With `qos: 1` (the default) a message is acknowledged (PUBACK) when it has gone through the dataflow: delivered, ' +
      'handled by an `onError`, dropped by a step or kept as a dead letter. The session outlives the connection, so the ' +
      'broker keeps what comes while Sluice is away, for `sessionExpiry`, and gives again what was not acknowledged. MQTT ' +
      'has no name for a message that stays the same when it is given again: with `key:`, an expression over what is in ' +
      'the message, a `dedupe` step recognises it.',
    'With version 5 a request, which has a response topic, is answered there by `reply`, with its correlation data; for a ' +
      'message without one the answer is skipped.',
    'There is no `qos: 2`: it would promise that no message comes twice, and that cannot be kept over a crash between the ' +
      'last step and the acknowledgement. What is published with QoS 2 arrives with QoS 1, and none of it is lost.',
    'The session belongs to the `clientId`. The default is made of the name of the machine, that of the endpoint and the ' +
      'topics, and is the same after a restart; two servers on one machine with the same configuration need a `clientId` ' +
      'each. With a `clientId` of your own, topics that you take away stay subscribed until the session expires.',
  ].join('\n\n'),
  options,
  examples: [
    {
      title: 'Commands, one topic for each device',
      config: {
        mqtt: { url: 'mqtt://broker:1883', topic: 'commands/+' },
        dataflow: [{ send: { to: { tag: 'device', value: 'topic.after("/")' }, text: '${msg}' } }],
      },
    },
    {
      title: 'Live values that nobody has to keep',
      config: { mqtt: { host: 'broker', topic: 'live/#', qos: 0 }, dataflow: [{ stdout: {} }] },
    },
  ],
  guarantees: ({ qos }) => (qos === 0 ? 'at most once' : 'at least once'),
  inWords: ({ topic, qos }) => `${[topic].flat().join(', ')} of an MQTT broker, QoS ${qos}`,
  acknowledges: ({ qos }) =>
    qos === 0
      ? 'nothing is acknowledged'
      : 'it is acknowledged (PUBACK) behind the last step, whatever became of it, and before that given again',
  unanswerable: ({ version }) =>
    version === 5
      ? undefined
      : {
          message: 'a message of MQTT 3.1.1 has no response topic, so there is nobody to answer',
          hint: 'take it away; or leave version: 4 away; or publish with the sink mqtt',
        },
  check: ({ tls }, context) => checkTls(tls, context),
  async create(given, context) {
    const topics = [given.topic].flat()
    const clientId = defaultClientId([context.id, ...topics].join(' '))
    const target = await readMqttTarget(given, context, clientId)
    const { qos, maxInFlight } = given
    const { host: ip = '', port = 0 } = target.options
    const sessionExpiry = toSeconds(given.sessionExpiry)
    const subscription = { topics, qos, maxInFlight, sessionExpiry, address: { ip, port } }
    return new Reconnecting((take) => subscribeMqtt(target, subscription, take), context.signal)
  },
})

/** A topic filter (MQTT 5.0, section 4.7): `+` and `#` are whole levels, `#` the last one; no NUL, at most 65,535 bytes. */
function isTopicFilter(filter: string): boolean {
  if (filter === '' || filter.includes('\0') || Buffer.byteLength(filter) > 65_535) return false
  const levels = filter.split('/')
  return levels.every((level, i) => (level === '#' ? i === levels.length - 1 : level === '+' || !/[+#]/.test(level)))
}
