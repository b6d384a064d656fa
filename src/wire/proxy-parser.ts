import { isIPv4, isIPv6, SocketAddress } from 'node:net'
import { SluiceError } from '../contracts/errors.ts'
import { LOCAL, PROXY, type ProxiedClient, SIGNATURE, STREAM } from './proxy-header.ts'

/** What stands before the first byte of a connection that a proxy has opened. */
export interface ParsedHeader {
  /** Bytes of the header. Those behind it are the client's. */
  readonly length: number
  /** Undefined where the connection is the proxy's own, or nothing is known of its client. */
  readonly client: ProxiedClient | undefined
}

/**
 * Reads a header of the PROXY protocol, version 1 or 2 (HAProxy, "The PROXY protocol", doc/proxy-protocol.txt, sections 2.1
 * and 2.2). Addresses are in the form in which a socket tells them. What version 2 has behind the addresses (the TLV vectors of
 * section 2.2) is passed over.
 * @param bytes the first of a connection, as far as they have come; not changed and not kept
 * @returns undefined while more must come
 * @throws SluiceError `proxy_failed` as soon as it is clear that they are no valid header
 */
export function parseProxyHeader(bytes: Buffer): ParsedHeader | undefined {
  if (beginsLike(bytes, SIGNATURE)) return parseBinary(bytes)
  if (beginsLike(bytes, TEXT_START)) return parseText(bytes)
  throw new SluiceError('proxy_failed', 'the connection does not begin with a PROXY header', {
    hint: 'Turn the header on in the load balancer (send-proxy-v2 in HAProxy), or take proxyProtocol away here.',
  })
}

const TEXT_START = Buffer.from('PROXY ', 'latin1')

/** The longest line of version 1, its end included (section 2.1). */
const LONGEST_LINE = 107

/** The longest header of version 2 that is read. Addresses take 52 bytes; the rest is room for TLV vectors. */
const LONGEST_HEADER = 4096

/** Bytes of version 2 before the addresses. */
const FIXED = 16

/** Whether the bytes are a beginning of what they are compared with, or go on behind it. */
function beginsLike(bytes: Buffer, start: Buffer): boolean {
  const length = Math.min(bytes.length, start.length)
  return bytes.compare(start, 0, length, 0, length) === 0
}

/** Section 2.1. One space between the fields; no zeros before a number; a CR or LF alone ends no line. */
const LINE =
  /^PROXY (?:UNKNOWN(?: [^\r\n]*)?|(TCP[46]) ([\da-fA-F:.]+) ([\da-fA-F:.]+) (0|[1-9]\d{0,4}) (0|[1-9]\d{0,4}))\r\n$/

function parseText(bytes: Buffer): ParsedHeader | undefined {
  const end = bytes.subarray(0, LONGEST_LINE).indexOf('\n')
  if (end === -1) {
    if (bytes.length < LONGEST_LINE) return undefined
    throw malformed(`no line of it ends within ${LONGEST_LINE} bytes`)
  }
  const length = end + 1
  const match = LINE.exec(bytes.toString('latin1', 0, length))
  if (match === null) throw malformed('its line is not as version 1 has it')
  const [, family, source = '', destination = '', port, localPort] = match
  if (family === undefined) return { length, client: undefined }
  const isOfFamily = family === 'TCP4' ? isIPv4 : isIPv6
  if (!isOfFamily(source) || !isOfFamily(destination)) throw malformed(`it names no two addresses of ${family}`)
  const client = { ip: plain(source), port: Number(port), localIp: plain(destination), localPort: Number(localPort) }
  if (client.port > 65_535 || client.localPort > 65_535) throw malformed('it names a port above 65535')
  return { length, client }
}

/** Section 2.2. */
function parseBinary(bytes: Buffer): ParsedHeader | undefined {
  if (bytes.length < FIXED) return undefined
  const command = bytes[12]!
  if (command !== LOCAL && command !== PROXY) throw malformed(`it is of no known version and command (${hex(command)})`)
  const length = FIXED + bytes.readUInt16BE(14)
  if (length > LONGEST_HEADER) throw malformed(`it is ${length} bytes long, and at most ${LONGEST_HEADER} are read`)
  const family = bytes[13]!
  // Of a connection of the proxy's own the family is ignored.
  if (command === PROXY && (family >> 4 > 3 || (family & 0x0f) > 2)) {
    throw malformed(`it is of no known family and protocol (${hex(family)})`)
  }
  const size = command === PROXY ? sizeOfAddress(family) : undefined
  if (size !== undefined && length < FIXED + 2 * size + 4) throw malformed('it is too short for its addresses')
  if (bytes.length < length) return undefined
  return { length, client: size === undefined ? undefined : clientOf(bytes, size) }
}

/**
 * Bytes of an address of a family that names a client of ours. Undefined for the others, of which the addresses of the socket
 * are used instead: UDP, Unix sockets, and what the proxy calls unspecified.
 */
function sizeOfAddress(family: number): 4 | 16 | undefined {
  if (family === STREAM.TCP4) return 4
  return family === STREAM.TCP6 ? 16 : undefined
}

function clientOf(bytes: Buffer, size: 4 | 16): ProxiedClient {
  const addressAt = (at: number) => (size === 4 ? bytes.subarray(at, at + 4).join('.') : ipv6At(bytes, at))
  const ports = FIXED + 2 * size
  return {
    ip: addressAt(FIXED),
    port: bytes.readUInt16BE(ports),
    localIp: addressAt(FIXED + size),
    localPort: bytes.readUInt16BE(ports + 2),
  }
}

function ipv6At(bytes: Buffer, at: number): string {
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(at + 2 * i).toString(16))
  return plain(groups.join(':'))
}

/**
 * One text for each address (RFC 5952), so that it is the same client whichever version has named it. An IPv4 address in the form
 * of IPv6 (RFC 4291, section 2.5.5.2) is the IPv4 address.
 */
function plain(ip: string): string {
  if (isIPv4(ip)) return ip
  const { address } = new SocketAddress({ address: ip, family: 'ipv6' })
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address
}

function hex(byte: number): string {
  return `0x${byte.toString(16).padStart(2, '0')}`
}

function malformed(why: string): SluiceError {
  return new SluiceError('proxy_failed', `the PROXY header is malformed: ${why}`)
}
