import type { IPublishPacket, MqttClient } from 'mqtt'
import type { Link } from '../brokers/link.ts'
import { connectMqtt, type MqttTarget } from '../brokers/mqtt-connect.ts'
import { isAboutMessage, isTemporary, reasonText } from '../brokers/mqtt-reasons.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Outcomes } from '../contracts/sink.ts'
import { formatDuration } from '../util/units.ts'
import { type Delivery, Window } from './window.ts'

/** What is published. */
export interface Publish {
  readonly topic: string
  readonly payload: Buffer
  readonly qos: 0 | 1 | 2
  readonly retain: boolean
  /** Of MQTT 5 only. */
  readonly properties?: NonNullable<IPublishPacket['properties']>
}

/** What a broker says in its CONNACK that it can take (MQTT 5.0, section 3.2.2.3). */
interface Limits {
  readonly receiveMaximum: number
  readonly maximumQoS: number
  readonly retainAvailable: boolean
  readonly maximumPacketSize: number
}

/** Packet identifiers have 16 bits and 0 is none. */
const MOST_IN_FLIGHT = 65_535

/**
 * As many messages of QoS 2 are under way with MQTT 3.1.1, in which a broker cannot say how many it takes. Mosquitto
 * takes 20 unless told otherwise, and forgets without a word those beyond.
 */
const MOST_UNSAID = 10

/** How long the broker may take to close after our DISCONNECT. */
const LINGER_MS = 2000

/**
 * One connection of MQTT. The client library would keep what is not acknowledged and send it again by itself when it has
 * connected again; here every connection has a client of its own, which never connects again, so nothing is ever sent
 * that a write does not wait for. Each connection begins a new session (Clean Start): the packet identifiers of an old
 * one would be known to the broker and no longer to us, and it would acknowledge a message of QoS 2 with such an
 * identifier without taking it.
 */
export class MqttLink implements Link<Publish> {
  readonly #client: MqttClient
  readonly #target: MqttTarget
  readonly #limits: Limits
  readonly #window: Window<Publish>
  readonly #closed = Promise.withResolvers<void>()
  /** What waits for the socket to take what was written, with QoS 0. */
  #unflushed: ((error?: SluiceError) => void)[] = []
  #lost: SluiceError | undefined
  readonly #abort = (): void => this.#lose('the server is stopping')

  private constructor(client: MqttClient, target: MqttTarget, limits: Limits) {
    this.#client = client
    this.#target = target
    this.#limits = limits
    this.#window = new Window(limits.receiveMaximum, {
      send: (publish, done) => this.#send(publish, done),
      onTimeout: (delivery) => this.#expire(delivery),
    })
    client.on('disconnect', ({ reasonCode = 0 }) => this.#lose(`it said "${reasonText(reasonCode)}"`, reasonCode))
    client.on('error', ({ message }) => this.#lose(message, UNKNOWN_REASON.test(message) ? 0x95 : 0))
    client.on('close', () => {
      this.#lose('the connection was closed')
      this.#closed.resolve()
    })
    target.signal.addEventListener('abort', this.#abort)
    // Between its answer and this line it may have gone again.
    if (!client.connected || target.signal.aborted) this.#lose('the connection was closed')
  }

  /**
   * Connects.
   * @throws SluiceError: `retryable` when the broker could not be reached or has no time, and not when it refuses us
   */
  static async dial(target: MqttTarget): Promise<MqttLink> {
    const { client, answer } = await connectMqtt(target, { clean: true })
    const { properties = {} } = answer
    return new MqttLink(client, target, {
      receiveMaximum: properties.receiveMaximum ?? MOST_IN_FLIGHT,
      maximumQoS: properties.maximumQoS ?? 2,
      retainAvailable: properties.retainAvailable ?? true,
      maximumPacketSize: properties.maximumPacketSize ?? Number.POSITIVE_INFINITY,
    })
  }

  get open(): boolean {
    return this.#lost === undefined
  }

  get lost(): SluiceError | undefined {
    return this.#lost
  }

  deliver(publishes: readonly Publish[], timeout: number): Promise<Outcomes> {
    if (this.#target.options.protocolVersion === 4 && publishes[0]?.qos === 2) this.#window.limit(MOST_UNSAID)
    return this.#window.deliver(publishes, timeout)
  }

  async end(): Promise<void> {
    if (this.open) {
      this.#client.end()
      const timer = setTimeout(() => this.#client.stream.destroy(), LINGER_MS)
      await this.#closed.promise
      clearTimeout(timer)
    }
    this.#target.signal.removeEventListener('abort', this.#abort)
  }

  /** Why a message with these options can never be published here; undefined when it can. */
  problemOf({ qos, retain }: Pick<Publish, 'qos' | 'retain'>): SluiceError | undefined {
    const { maximumQoS, retainAvailable } = this.#limits
    if (qos > maximumQoS) {
      const hint = `Set qos: ${maximumQoS}.`
      return new SluiceError('sink_failed', `the broker at ${this.#target.address} takes no QoS ${qos}`, { hint })
    }
    if (!retain || retainAvailable) return undefined
    const hint = 'Leave retain away.'
    return new SluiceError('sink_failed', `the broker at ${this.#target.address} retains no messages`, { hint })
  }

  #send(publish: Publish, done: (error?: SluiceError) => void): void {
    const { topic, payload, qos, retain, properties } = publish
    const problem = this.problemOf(publish) ?? this.#tooLarge(publish)
    if (problem !== undefined) throw problem
    const options = { qos, retain, ...(properties !== undefined && { properties }) }
    if (qos === 0) {
      this.#client.publish(topic, payload, options)
      if (this.#unflushed.push(done) === 1) process.nextTick(() => this.#flush())
    } else {
      this.#client.publish(topic, payload, options, (error) => done(error ? publishError(error) : undefined))
    }
  }

  /** The library calls back for QoS 0 when it has queued the packet; this waits until the socket has taken all of them. */
  #flush(): void {
    const flushed = this.#unflushed
    this.#unflushed = []
    this.#client.stream.write(NOTHING, (error) => {
      if (error) this.#lose(error.message)
      else for (const done of flushed) done()
    })
  }

  /** A client must not send a larger packet (MQTT-3.2.2-15): the broker would close the connection. */
  #tooLarge({ topic, payload, properties }: Publish): SluiceError | undefined {
    const { maximumPacketSize } = this.#limits
    if (maximumPacketSize === Number.POSITIVE_INFINITY) return undefined
    const size = FIXED_BYTES + Buffer.byteLength(topic) + payload.length + sizeOf(properties)
    if (size <= maximumPacketSize) return undefined
    return new SluiceError('sink_failed', `a packet of ${size} bytes is more than the broker's ${maximumPacketSize}`)
  }

  #expire(delivery: Delivery): void {
    this.#lose(`no acknowledgement within ${formatDuration(this.#target.timeout)} for ${delivery.left} messages`)
  }

  #lose(why: string, reasonCode = 0): void {
    if (this.#lost !== undefined) return
    const { address, options } = this.#target
    const isAlone = this.#window.deliveries === 1
    const final = isAboutMessage(reasonCode) && isAlone
    const text = `the connection to the broker at ${address} is lost: ${why}; what is not acknowledged may have arrived all the same`
    this.#lost = new SluiceError(final ? 'sink_failed' : 'sink_unavailable', text, { retryable: !final })
    if (reasonCode === TAKEN_OVER) {
      this.#target.warn(
        `another client has connected to ${address} with the client ID ${options.clientId}: give each server a clientId of its own`,
      )
    }
    this.#client.stream.destroy()
    this.#window.fail(this.#lost)
    this.#target.signal.removeEventListener('abort', this.#abort)
  }
}

const NOTHING = Buffer.alloc(0)

/**
 * What the library says of a reason code that MQTT 5 does not provide for in an acknowledgement. It closes the connection
 * then; mosquitto answers so to a message that is larger than its `message_size_limit`.
 */
const UNKNOWN_REASON = /^Invalid pub(?:ack|rec|comp) reason code$/

/** Session taken over. */
const TAKEN_OVER = 0x8e

/** Of a PUBLISH: type and flags, length (4), length of the topic, packet identifier, length of the properties (4). */
const FIXED_BYTES = 1 + 4 + 2 + 2 + 4

/** At most how many bytes the properties take. */
function sizeOf(properties: Publish['properties']): number {
  if (properties === undefined) return 0
  const { userProperties = {}, contentType = '' } = properties
  let size = 5 + 3 + Buffer.byteLength(contentType)
  for (const [name, value] of Object.entries(userProperties)) {
    size += 5 + Buffer.byteLength(name) + Buffer.byteLength(String(value))
  }
  return size
}

/** Reason codes of PUBACK, PUBREC and PUBCOMP (MQTT 5.0, sections 3.4.2.1, 3.5.2.1 and 3.7.2.1). */
function publishError(error: Error & { code?: unknown }): SluiceError {
  const { code } = error
  if (typeof code !== 'number') return new SluiceError('sink_unavailable', error.message, { retryable: true })
  const retryable = isTemporary(code)
  return new SluiceError(
    retryable ? 'sink_unavailable' : 'sink_failed',
    `the broker refuses the message: ${reasonText(code)}`,
    { retryable },
  )
}
