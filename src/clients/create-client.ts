import type { Client } from '../contracts/client.ts'
import type { Socket } from '../contracts/transport.ts'

/**
 * What is known of the other side of a socket that has just been opened.
 * @param now milliseconds since 1970
 * @param tags that it has from the beginning
 */
export function createClient(
  id: string,
  endpoint: string,
  { remote, local, tls }: Socket,
  now: number,
  tags: Client['tags'] = NO_TAGS,
): Client {
  return {
    id,
    endpoint,
    ip: remote.ip,
    port: remote.port,
    localIp: local.ip,
    localPort: local.port,
    tls,
    since: now,
    lastSeen: now,
    bytesIn: 0,
    bytesOut: 0,
    messagesIn: 0,
    messagesOut: 0,
    state: 'open',
    tags,
  }
}

const NO_TAGS = Object.freeze({})
