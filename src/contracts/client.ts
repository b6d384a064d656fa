/** Where one end of a connection is. A Unix socket has its path as `ip` and port 0. */
export interface Address {
  readonly ip: string
  readonly port: number
}

/** `address:port`, with brackets around IPv6; the path of a Unix socket. */
export function formatAddress({ ip, port }: Address): string {
  if (port === 0 && !/^[\d.:a-f]*$/i.test(ip)) return ip
  return ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`
}

export type ClientState = 'open' | 'closing' | 'closed'

/**
 * The other side of a connection, whoever dialled, and what is known of it. One live object per connection: its numbers
 * move while the connection works, and it stays readable after the close. Expressions see it as `client`; only the
 * engine writes to it, except `tags`, which the step `set` writes.
 */
export interface Client {
  /**
   * Unique as long as the server runs: endpoint name, then a number; with several workers that of the worker before it. Of a
   * device of `hosts:` what it is called there.
   */
  readonly id: string
  /** The name of the entry under `listen:` or `connect:`. */
  readonly endpoint: string
  /** Address of the other side; that of the client itself where a load balancer has said it. */
  readonly ip: string
  readonly port: number
  /** Our side's address; that to which the client has connected where a load balancer has said it. */
  readonly localIp: string
  readonly localPort: number
  /** True when the connection is encrypted. */
  readonly tls: boolean
  /** When the connection was opened; milliseconds since 1970. */
  readonly since: number
  /** When bytes last arrived; milliseconds since 1970. */
  lastSeen: number
  bytesIn: number
  bytesOut: number
  messagesIn: number
  messagesOut: number
  state: ClientState
  /** Names and values set by `set: { client.tags.NAME: … }`; a device of `hosts:` begins with what is said of it there. */
  tags: Readonly<Record<string, string>>
}

/** What is known of a client from its beginning. */
export type ClientPlace = Pick<Client, 'id' | 'endpoint' | 'ip' | 'port' | 'localIp' | 'localPort' | 'tls' | 'tags'>

/** A client that has just come. @param now milliseconds since 1970 */
export function newClient(place: ClientPlace, now: number): Client {
  const { id, endpoint, ip, port, localIp, localPort, tls, tags } = place
  const known = { id, endpoint, ip, port, localIp, localPort, tls, since: now, lastSeen: now }
  return { ...known, bytesIn: 0, bytesOut: 0, messagesIn: 0, messagesOut: 0, state: 'open', tags }
}

/** The fields of a client that an expression may read, with what each means. The reference page is made from this. */
export const clientFields = {
  id: 'unique as long as the server runs, such as "scales-17"; with several workers "scales-2.17"; of a device of hosts what it is called there',
  endpoint: 'name of the endpoint',
  ip: 'address of the other side; with proxyProtocol that of the client behind the load balancer',
  port: 'port of the other side',
  localIp: 'our address; with proxyProtocol the one to which the client has connected',
  localPort: 'our port',
  tls: 'true when encrypted',
  since: 'time at which the connection was opened',
  lastSeen: 'time at which bytes last arrived',
  bytesIn: 'bytes received',
  bytesOut: 'bytes sent',
  messagesIn: 'messages received',
  messagesOut: 'messages sent',
  state: '"open", "closing" or "closed"',
  tags: 'names and values written by set, and what hosts says of a device',
} as const satisfies Record<keyof Client, string>

/** What is sent: `text` is framed, `value` is formatted and framed, `raw` is neither. */
export type PayloadKind = 'text' | 'value' | 'raw'
