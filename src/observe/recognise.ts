import { SIGNATURE } from '../wire/proxy-header.ts'

/**
 * Tells from the first bytes of a connection that something else was expected on this port.
 *
 * It only speaks up when the bytes can hardly be anything else: devices send binary data, and a wrong hint would be
 * worse than none.
 * @param bytes the first read of a connection, before framing
 * @param dialled we have opened the connection, so a server speaks
 * @returns one sentence that says what to change, or undefined
 */
export function recognise(bytes: Buffer, dialled = false): string | undefined {
  for (const { matches, hint, whenDialled } of PROTOCOLS) {
    if (matches(bytes)) return dialled ? whenDialled : hint
  }
  return undefined
}

interface Protocol {
  matches(bytes: Buffer): boolean
  readonly hint: string
  /** The hint for a server that speaks like this; absent where none does. */
  readonly whenDialled?: string
}

const PROTOCOLS: readonly Protocol[] = [
  {
    // RFC 4253, section 4.2.
    matches: (bytes) => /^SSH-[12]\.\d{1,2}-/.test(start(bytes)),
    hint: 'An SSH client speaks to this port: in PuTTY set the connection type to Raw.',
    whenDialled: 'An SSH server answers at this address: check host and port.',
  },
  {
    matches: isTelnet,
    hint: 'A telnet client negotiates with this port: in PuTTY set the connection type to Raw, or use nc.',
    whenDialled: 'A telnet server answers at this address, and its negotiation is taken for data: check host and port.',
  },
  {
    matches: isClientHello,
    hint: 'The other side speaks TLS, but this port is plain: add tls: to the endpoint, or turn TLS off there.',
  },
  {
    // RFC 9112, section 3; the last alternative is how HTTP/2 begins (RFC 9113, section 3.4).
    matches: (bytes) =>
      /^(?:(?:GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH) \S+ HTTP\/1\.[01]\r|PRI \* HTTP\/2\.0\r)/.test(
        start(bytes),
      ),
    hint: 'The other side speaks HTTP, as a browser or a health check does. Here these are raw bytes like any other.',
  },
  {
    // HAProxy's PROXY protocol, section 2.1 (text) and 2.2 (binary signature).
    matches: (bytes) =>
      /^PROXY (?:TCP[46] \S+ \S+ \d+ \d+|UNKNOWN.*)\r/.test(start(bytes)) ||
      bytes.subarray(0, SIGNATURE.length).equals(SIGNATURE),
    hint: 'A load balancer sends a PROXY header: add proxyProtocol: to the endpoint, or turn it off there for this port.',
  },
]

/** Enough for every pattern above; a request line may be long, so longer ones are not recognised. */
function start(bytes: Buffer): string {
  return bytes.toString('latin1', 0, 1024)
}

/**
 * IAC, one of WILL, WON'T, DO, DON'T, an option (RFC 854). Clients open with several; a single triple might be data of
 * a device.
 */
function isTelnet(bytes: Buffer): boolean {
  return isNegotiation(bytes, 0) && isNegotiation(bytes, 3)
}

function isNegotiation(bytes: Buffer, at: number): boolean {
  return bytes[at] === 0xff && bytes[at + 1]! >= 0xfb && bytes[at + 1]! <= 0xfe && bytes[at + 2]! < 0x32
}

/**
 * A handshake record that holds a ClientHello (RFC 8446, sections 5.1 and 4.1.2): type 22, version 3.x, a length below
 * 2^14, message type 1, a length of 24 bits of which the highest 8 are 0, version 3.x.
 */
function isClientHello(bytes: Buffer): boolean {
  if (bytes.length < 11) return false
  const recordLength = bytes.readUInt16BE(3)
  return (
    bytes[0] === 22 &&
    bytes[1] === 3 &&
    bytes[2]! <= 4 &&
    recordLength <= 16_384 &&
    bytes[5] === 1 &&
    bytes[6] === 0 &&
    bytes.readUInt16BE(7) + 4 >= recordLength &&
    bytes[9] === 3 &&
    bytes[10]! <= 4
  )
}
