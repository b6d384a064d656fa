import type * as JetStream from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import { SluiceError, toSluiceError } from '../contracts/errors.ts'
import { unavailable } from './network-error.ts'

/** The package `@nats-io/jetstream`. */
export type JetStreamPackage = typeof JetStream

/**
 * Asks JetStream something.
 * @param timeout milliseconds for the answer
 * @returns undefined when there is no such stream or consumer
 * @throws SluiceError `sink_failed` when the server has no JetStream; retryable when JetStream does not answer
 */
export async function askJetStream<T>(
  { jetstreamManager, JetStreamApiError, JetStreamApiCodes }: JetStreamPackage,
  connection: NatsConnection,
  timeout: number,
  request: (manager: JetStream.JetStreamManager) => Promise<T>,
): Promise<T | undefined> {
  try {
    return await request(await jetstreamManager(connection, { checkAPI: false, timeout }))
  } catch (thrown) {
    const isAbsent = (code: number) =>
      code === JetStreamApiCodes.StreamNotFound || code === JetStreamApiCodes.ConsumerNotFound
    if (thrown instanceof JetStreamApiError && isAbsent(thrown.code)) return undefined
    // The package does not export the class. A server that has JetStream may be waiting for others of its cluster.
    const disabled = thrown instanceof Error && thrown.name === 'JetStreamNotEnabled'
    if (disabled && connection.info?.jetstream !== true) {
      throw new SluiceError('sink_failed', 'JetStream is not enabled on the NATS server', {
        cause: thrown,
        hint: 'enable it there (jetstream: enabled), or write jetstream: false',
      })
    }
    throw unavailable(`JetStream does not answer: ${toSluiceError(thrown).message}`, thrown)
  }
}
