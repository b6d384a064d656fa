import type { IClientOptions, IConnackPacket, MqttClient } from 'mqtt'
import { SluiceError } from '../contracts/errors.ts'
import { whenAborted } from '../util/signals.ts'
import { formatDuration } from '../util/units.ts'
import { isTemporary, reasonText } from './mqtt-reasons.ts'
import { unreachable } from './network-error.ts'

/** How a connection is made. */
export interface MqttTarget {
  /** `connect` of the package mqtt. */
  readonly connect: (options: IClientOptions) => MqttClient
  readonly options: IClientOptions & { readonly clientId: string }
  /** For the texts of errors: protocol, host and port. */
  readonly address: string
  /** Milliseconds within which the broker must have accepted us. */
  readonly timeout: number
  readonly signal: AbortSignal
  /** Tells people of what they must put right. */
  warn(text: string): void
}

/**
 * Connects with a client that never connects again by itself: whoever asked decides.
 * @param session what of its session the broker shall keep, beyond the options of the target
 * @param prepare is given the client before anything arrives
 * @returns the client and the answer of the broker
 * @throws SluiceError: `retryable` when the broker could not be reached or has no time, and not when it refuses us
 */
export async function connectMqtt(
  target: MqttTarget,
  session: Pick<IClientOptions, 'clean' | 'properties'>,
  prepare: (client: MqttClient) => void = () => {},
): Promise<{ readonly client: MqttClient; readonly answer: IConnackPacket }> {
  target.signal.throwIfAborted()
  const { connect, options, timeout, signal } = target
  const client = connect({
    ...options,
    ...session,
    reconnectPeriod: 0,
    queueQoSZero: false,
    resubscribe: false,
    connectTimeout: timeout,
  })
  prepare(client)
  const answered = Promise.withResolvers<IConnackPacket>()
  const forget = whenAborted(signal, () => client.stream.destroy())
  client.on('connect', answered.resolve)
  // An error comes before the close that it leads to.
  client.on('error', (error) => {
    answered.reject(refusal(target, error))
    client.stream.destroy()
  })
  client.on('close', () => answered.reject(refusal(target, new Error('it closed the connection without a word'))))
  try {
    const answer = await answered.promise
    // Several small packets in a row would wait for each other's acknowledgement by TCP (Nagle).
    if ('setNoDelay' in client.stream && typeof client.stream.setNoDelay === 'function') client.stream.setNoDelay(true)
    return { client, answer }
  } finally {
    forget()
  }
}

function refusal({ address, options, timeout }: MqttTarget, error: Error & { code?: unknown }): SluiceError {
  const { code } = error
  if (typeof code === 'number') {
    const temporary = isTemporary(code)
    const text = `the broker at ${address} refuses us: ${reasonText(code)}`
    const hint = hints[code]
    return new SluiceError(temporary ? 'sink_unavailable' : 'sink_failed', text, {
      retryable: temporary,
      ...(hint !== undefined && { hint: hint(options) }),
    })
  }
  if (error.message !== 'connack timeout') return unreachable(error, address)
  const text = `${address} did not answer within ${formatDuration(timeout)}`
  return new SluiceError('sink_unavailable', text, { retryable: true })
}

const checkLogin = () => 'Check username and password, and what the broker allows this user.'

/** What to do about a refusal, by the reason code of MQTT 5 and by the return code of MQTT 3.1.1. */
const hints: Readonly<Record<number, (options: MqttTarget['options']) => string>> = {
  1: () => 'Leave version: 4 away.',
  2: ({ clientId }) => `Set clientId to one that the broker takes; it was ${clientId}.`,
  4: checkLogin,
  5: checkLogin,
  132: () => 'Set version: 4.',
  133: ({ clientId }) => `Set clientId to one that the broker takes; it was ${clientId}.`,
  134: checkLogin,
  135: checkLogin,
}
