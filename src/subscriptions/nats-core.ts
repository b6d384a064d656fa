import type { Msg, NatsConnection } from '@nats-io/transport-node'
import { flushed, serverOf } from '../brokers/nats-connect.ts'
import { unavailable } from '../brokers/network-error.ts'
import type { Session } from '../brokers/reconnecting.ts'
import { SluiceError } from '../contracts/errors.ts'
import type { Delivery } from '../contracts/subscription.ts'

/** What a subscription of core NATS is made of. */
export interface CoreOptions {
  readonly subject: string
  readonly queue: string | undefined
  /** Milliseconds for the word of the server. */
  readonly timeout: number
  /** Aborted when the server waits no longer. */
  readonly late: AbortSignal
}

/**
 * Subscribes with core NATS. The server keeps nothing, so there is nothing to acknowledge; who sent a request (with a
 * reply subject) can be answered.
 * @throws SluiceError when the server refuses the subscription
 */
export async function subscribeCore(
  connection: NatsConnection,
  { subject, queue, timeout, late }: CoreOptions,
  take: (deliveries: readonly Delivery[]) => void,
): Promise<Session> {
  const { promise: lost, resolve: lose } = Promise.withResolvers<SluiceError>()
  let refused: SluiceError | undefined
  const subscription = connection.subscribe(subject, {
    ...(queue !== undefined && { queue }),
    callback(error, message) {
      if (error === null) return take([deliveryOf(message)])
      refused = forbidden(subject, error)
      lose(refused)
    },
  })
  void connection.closed().then((cause) => lose(unavailable('the connection to NATS was lost', cause)))
  // A refusal comes before the answer, but the library passes it on in a later microtask.
  await flushed(connection, timeout)
  await new Promise(setImmediate)
  if (refused !== undefined) throw refused
  return {
    address: serverOf(connection),
    lost,
    async stop() {
      if (connection.isClosed()) return
      subscription.unsubscribe()
      await flushed(connection, timeout).catch(() => undefined)
    },
    async end() {
      if (!late.aborted) await flushed(connection, timeout).catch(() => undefined)
      await connection.close()
    },
  }
}

function deliveryOf(message: Msg): Delivery {
  const { data, subject, reply = '' } = message
  const delivery = { payload: Buffer.from(data), topic: subject, id: '' }
  return reply === '' ? delivery : { ...delivery, reply: (answer) => message.respond(answer) }
}

function forbidden(subject: string, cause: Error): SluiceError {
  return new SluiceError('subscription_failed', `the NATS user may not subscribe to ${subject}`, {
    cause,
    hint: 'Allow it in the permissions of the user.',
  })
}
