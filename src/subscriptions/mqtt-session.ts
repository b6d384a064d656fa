import type { IClientPublishOptions, IPublishPacket, MqttClient } from 'mqtt'
import { connectMqtt, type MqttTarget } from '../brokers/mqtt-connect.ts'
import { isTemporary, reasonText } from '../brokers/mqtt-reasons.ts'
import { unavailable } from '../brokers/network-error.ts'
import type { Session } from '../brokers/reconnecting.ts'
import type { Address } from '../contracts/client.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Delivery } from '../contracts/subscription.ts'

/** What a subscription to topics is made of. */
export interface MqttSubscription {
  readonly topics: readonly string[]
  readonly qos: 0 | 1
  readonly maxInFlight: number
  /** Seconds for which the broker keeps the session of a client that is away; of MQTT 5 only. */
  readonly sessionExpiry: number
  readonly address: Address
}

/**
 * Connects and subscribes. With QoS 1 the session outlives the connection (Clean Start 0): the broker keeps the messages
 * that come meanwhile, and gives those again that were not acknowledged (MQTT 5.0, section 4.4).
 * @throws SluiceError when the broker cannot be reached, or refuses us or a topic
 */
export async function subscribeMqtt(
  target: MqttTarget,
  { topics, qos, maxInFlight, sessionExpiry, address }: MqttSubscription,
  take: (deliveries: readonly Delivery[]) => void,
): Promise<Session> {
  const isFive = target.options.protocolVersion === 5
  const properties = { receiveMaximum: maxInFlight, ...(qos > 0 && { sessionExpiryInterval: sessionExpiry }) }
  const { promise: lost, resolve: lose } = Promise.withResolvers<SluiceError>()
  const { client } = await connectMqtt(target, { clean: qos === 0, ...(isFive && { properties }) }, (client) => {
    // What the session has kept may come together with the answer to the CONNECT.
    client.handleMessage = (packet, callback) => receive(client, packet, callback, isFive, take)
  })
  const closed = new Promise<void>((resolve) => client.once('close', resolve))
  client.on('disconnect', ({ reasonCode = 0 }) =>
    lose(lostTo(target, `it said "${reasonText(reasonCode)}"`, reasonCode)),
  )
  client.on('error', ({ message }) => lose(lostTo(target, message)))
  client.on('close', () => lose(lostTo(target, CLOSED)))
  if (!client.connected) lose(lostTo(target, CLOSED))
  const end = async () => {
    if (client.connected) client.end()
    const timer = setTimeout(() => client.stream.destroy(), LINGER_MS)
    if (!client.stream.destroyed) await closed
    clearTimeout(timer)
  }
  try {
    await subscribe(client, topics, qos, target)
  } catch (thrown) {
    await end()
    throw thrown
  }
  return { address, lost, stop: () => stopReading(client), end }
}

/**
 * Gives a message on, and lets the client library go on without an acknowledgement: it sends none when it is told of an
 * error. The acknowledgement is sent when the message has gone through the dataflow.
 */
function receive(
  client: MqttClient,
  packet: IPublishPacket,
  callback: (error?: Error) => void,
  isFive: boolean,
  take: (deliveries: readonly Delivery[]) => void,
): void {
  callback(NOT_YET)
  take([deliveryOf(client, packet, isFive)])
}

const NOT_YET = new Error('not acknowledged yet')

function deliveryOf(client: MqttClient, packet: IPublishPacket, isFive: boolean): Delivery {
  const { topic, payload, qos, messageId, properties } = packet
  const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload
  const delivery = { payload: bytes, topic: topic.toString(), id: '' }
  const { responseTopic, correlationData } = properties ?? {}
  return {
    ...delivery,
    ...(isFive && isTopicName(responseTopic) && { reply: replyTo(client, responseTopic, correlationData) }),
    ...(qos > 0 && messageId !== undefined && { settle: () => acknowledge(client, messageId) }),
  }
}

/**
 * A Response Topic has no wildcard (MQTT 5.0, section 3.3.2.3.5). A broker that lets one through would close the connection
 * of who answers there.
 */
function isTopicName(topic: string | undefined): topic is string {
  return topic !== undefined && topic !== '' && !/[+#\0]/.test(topic)
}

/** Request and response (MQTT 5.0, section 4.10): the answer carries the correlation data of the request. */
function replyTo(
  client: MqttClient,
  topic: string,
  correlationData: Buffer | undefined,
): NonNullable<Delivery['reply']> {
  const options: IClientPublishOptions = { qos: 1, ...(correlationData && { properties: { correlationData } }) }
  return (answer) => {
    if (!client.connected) return false
    client.publish(topic, answer, options, () => undefined)
    return true
  }
}

/** A PUBACK of four bytes: no reason code means success (MQTT 5.0, section 3.4.2.1; MQTT 3.1.1, section 3.4). */
function acknowledge(client: MqttClient, packetId: number): void {
  // One of another connection means nothing to the broker, which gives the message again.
  if (client.connected) client.stream.write(Buffer.from([PUBACK, 2, packetId >> 8, packetId & 0xff]))
}

const PUBACK = 0x40

/**
 * Subscribes. A retained message comes only when the subscription is new (Retain Handling 1, MQTT 5.0, section 3.8.3.1),
 * not again with every connection.
 */
async function subscribe(
  client: MqttClient,
  topics: readonly string[],
  qos: 0 | 1,
  { address, timeout }: MqttTarget,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const timer = setTimeout(() => reject(unavailable(`the broker at ${address} has not answered in time`)), timeout)
  client.once('close', () => reject(unavailable(`the broker at ${address} has closed the connection`)))
  client.subscribe([...topics], { qos, rh: 1 }, (error, granted = []) => {
    // A reason code of 128 and above is a refusal, of one topic (MQTT 5.0, section 3.9.3).
    const refused = granted.find((one) => Number(one.qos) >= 128)
    const code = refused === undefined ? reasonOf(error) : Number(refused.qos)
    if (error === null && refused === undefined) return resolve()
    const which = refused?.topic ?? topics.join(', ')
    const why = code === undefined ? (error?.message ?? '') : reasonText(code)
    const hint = 'Check the topic, and what the broker allows this user.'
    reject(new SluiceError('subscription_failed', `the broker at ${address} refuses ${which}: ${why}`, { hint }))
  })
  try {
    await promise
  } finally {
    clearTimeout(timer)
  }
}

function reasonOf(error: unknown): number | undefined {
  return error !== null && typeof error === 'object' && 'code' in error && typeof error.code === 'number'
    ? error.code
    : undefined
}

/**
 * Takes no more from the broker. Unsubscribing would make it forget what comes from now on, so the connection is only read
 * no further; what has not been read is given again.
 */
async function stopReading(client: MqttClient): Promise<void> {
  client.handleMessage = (_packet, callback) => callback(NOT_YET)
}

/** How long the broker may take to close after our DISCONNECT. */
const LINGER_MS = 2000

/** Session taken over (MQTT 5.0, section 3.14.2.1). */
const TAKEN_OVER = 0x8e

function lostTo({ address, options }: MqttTarget, why: string, reasonCode = 0): SluiceError {
  // A broker of version 4, and some of version 5, close without a word.
  const mayBeTaken = reasonCode === TAKEN_OVER || why === CLOSED
  return new SluiceError('subscription_failed', `the connection to the broker at ${address} is lost: ${why}`, {
    retryable: isTemporary(reasonCode),
    ...(mayBeTaken && { hint: `If that goes on, another client has the clientId ${options.clientId} too.` }),
  })
}

const CLOSED = 'the connection was closed'
