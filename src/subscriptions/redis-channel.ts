import type { Session } from '../brokers/reconnecting.ts'
import type { RedisLink } from '../brokers/redis-link.ts'
import type { Address } from '../contracts/client.ts'
import type { Delivery } from '../contracts/subscription.ts'

/**
 * Subscribes to a channel, or to all whose names fit where it has one of `*`, `?` and `[` in it (SUBSCRIBE, PSUBSCRIBE).
 * The server keeps nothing, so there is nothing to acknowledge.
 * Source: https://redis.io/docs/latest/develop/pubsub/
 * @param timeout milliseconds for the word of the server
 */
export async function listenToChannel(
  link: RedisLink,
  channel: string,
  address: Address,
  timeout: number,
  take: (deliveries: readonly Delivery[]) => void,
): Promise<Session> {
  let stopped = false
  const listener = (payload: Buffer, topic: Buffer) => {
    if (!stopped) take([{ payload, topic: topic.toString(), id: '' }])
  }
  await link.listen(channel, /[*?[]/.test(channel), listener, timeout)
  return {
    address,
    lost: link.ended,
    async stop() {
      stopped = true
    },
    end: () => link.end(),
  }
}
