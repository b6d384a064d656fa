import { isIPv4, isIPv6 } from 'node:net'
import type { Client } from '../contracts/client.ts'

/** The versions of the PROXY protocol: a line of text, or binary. */
export type ProxyVersion = 'v1' | 'v2'

/** Who has connected to us, and where. */
export type ProxiedClient = Pick<Client, 'ip' | 'port' | 'localIp' | 'localPort'>

/**
 * The first bytes of a connection to a server, which tell it whose connection it is (HAProxy, "The PROXY protocol", doc/
 * proxy-protocol.txt, sections 2.1 and 2.2). They stand before everything else, also before a TLS handshake.
 * @param client undefined for a connection of our own, such as a health check. A client without an IP address, of a Unix
 *   socket, is passed on as one of which nothing is known
 */
export function proxyHeader(version: ProxyVersion, client: ProxiedClient | undefined): Buffer {
  const ends = client && { ...client, ip: withoutZone(client.ip), localIp: withoutZone(client.localIp) }
  return version === 'v1' ? textHeader(ends) : binaryHeader(ends)
}

/** Section 2.1: one line of at most 107 characters. `UNKNOWN` also stands for a connection of the proxy's own. */
function textHeader(client: ProxiedClient | undefined): Buffer {
  const family = client && familyOf(client)
  if (client === undefined || family === undefined) return Buffer.from('PROXY UNKNOWN\r\n')
  const { ip, localIp, port, localPort } = client
  return Buffer.from(`PROXY ${family} ${ip} ${localIp} ${port} ${localPort}\r\n`)
}

/** Section 2.2: the signature, version and command, family, the length of the rest, and the addresses. */
function binaryHeader(client: ProxiedClient | undefined): Buffer {
  const family = client && familyOf(client)
  if (client === undefined || family === undefined) {
    return Buffer.from([...SIGNATURE, client === undefined ? LOCAL : PROXY, UNSPECIFIED, 0, 0])
  }
  const toBytes = family === 'TCP4' ? ipv4Bytes : ipv6Bytes
  const addresses = [...toBytes(client.ip), ...toBytes(client.localIp)]
  const ports = [client.port >> 8, client.port & 0xff, client.localPort >> 8, client.localPort & 0xff]
  const rest = [...addresses, ...ports]
  return Buffer.from([...SIGNATURE, PROXY, STREAM[family], 0, rest.length, ...rest])
}

/** With these bytes version 2 begins (section 2.2). */
export const SIGNATURE: Buffer = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
/** Version 2 in the high half, in the low half: the connection is the proxy's own, or that of a client. */
export const LOCAL = 0x20
export const PROXY = 0x21
/** The family in the high half, in the low half that it is a stream. */
export const STREAM = { TCP4: 0x11, TCP6: 0x21 } as const
const UNSPECIFIED = 0x00

/** The header has room for two addresses of one family. */
function familyOf({ ip, localIp }: ProxiedClient): 'TCP4' | 'TCP6' | undefined {
  if (isIPv4(ip) && isIPv4(localIp)) return 'TCP4'
  return isIPv6(ip) && isIPv6(localIp) ? 'TCP6' : undefined
}

/** The zone of `fe80::1%eth0` (RFC 4007, section 11) means something on this machine only. */
function withoutZone(ip: string): string {
  return ip.replace(/%.*/, '')
}

function ipv4Bytes(ip: string): number[] {
  return ip.split('.').map(Number)
}

/** The 16 bytes of an IPv6 address in any of its forms (RFC 4291, section 2.2). */
function ipv6Bytes(ip: string): number[] {
  const [front = [], back = []] = ip.split('::').map((part) => part.split(':').flatMap(groupBytes))
  return [...front, ...new Array<number>(16 - front.length - back.length).fill(0), ...back]
}

function groupBytes(group: string): number[] {
  if (group === '') return []
  if (group.includes('.')) return ipv4Bytes(group)
  const value = Number.parseInt(group, 16)
  return [value >> 8, value & 0xff]
}
