import { type Client, newClient } from '../contracts/client.ts'
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
  const { ip, port } = remote
  return newClient({ id, endpoint, ip, port, localIp: local.ip, localPort: local.port, tls, tags }, now)
}

const NO_TAGS = Object.freeze({})
