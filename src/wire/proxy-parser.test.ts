import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SluiceError } from '../contracts/errors.ts'
import { type ProxiedClient, proxyHeader } from './proxy-header.ts'
import { type ParsedHeader, parseProxyHeader } from './proxy-parser.ts'

const signature = '0d0a0d0a000d0a515549540a'
const v4 = { ip: '192.168.0.1', port: 56324, localIp: '192.168.0.11', localPort: 443 }
const v6 = { ip: '2001:db8::7', port: 1, localIp: '::1', localPort: 65535 }

/** A header of version 2: what follows the signature, in hexadecimal. */
const v2 = (rest: string) => Buffer.from(`${signature}${rest}`.replaceAll(' ', ''), 'hex')
const addresses4 = 'c0a80001 c0a8000b dc04 01bb'

/** Headers and whose connection they say it is. */
const headers: readonly [name: string, bytes: Buffer, client: ProxiedClient | undefined][] = [
  // The example of section 2.1, and the longest lines that it names.
  ['v1, IPv4', Buffer.from('PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n'), v4],
  [
    'v1, the longest IPv4',
    Buffer.from('PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n'),
    { ip: '255.255.255.255', port: 65535, localIp: '255.255.255.255', localPort: 65535 },
  ],
  [
    'v1, the longest IPv6',
    Buffer.from(`PROXY TCP6 ${'ffff:'.repeat(7)}ffff ${'ffff:'.repeat(7)}ffff 65535 65535\r\n`),
    {
      ip: `${'ffff:'.repeat(7)}ffff`,
      port: 65535,
      localIp: `${'ffff:'.repeat(7)}ffff`,
      localPort: 65535,
    },
  ],
  ['v1, IPv6 in another form', Buffer.from('PROXY TCP6 2001:0DB8:0:0:0:0:0:0007 ::1 1 65535\r\n'), v6],
  ['v1, IPv4 in the form of IPv6', Buffer.from('PROXY TCP6 ::ffff:192.168.0.1 ::ffff:c0a8:b 56324 443\r\n'), v4],
  ['v1, port 0', Buffer.from('PROXY TCP4 192.168.0.1 192.168.0.11 0 0\r\n'), { ...v4, port: 0, localPort: 0 }],
  ['v1, unknown', Buffer.from('PROXY UNKNOWN\r\n'), undefined],
  [
    'v1, unknown, the longest',
    Buffer.from(`PROXY UNKNOWN ${'ffff:'.repeat(7)}ffff ${'ffff:'.repeat(7)}ffff 65535 65535\r\n`),
    undefined,
  ],
  ['v2, IPv4', v2(`21 11 000c ${addresses4}`), v4],
  ['v2, IPv6', v2(`21 21 0024 20010db8000000000000000000000007 00000000000000000000000000000001 0001 ffff`), v6],
  [
    'v2, IPv4 in the form of IPv6',
    v2(`21 21 0024 00000000000000000000ffffc0a80001 00000000000000000000ffffc0a8000b dc04 01bb`),
    v4,
  ],
  // An NLB of AWS sends the id of its endpoint in a TLV of type 0xea; HAProxy the checksum, in one of type 3.
  ['v2, with TLVs', v2(`21 11 0018 ${addresses4} 03 0004 00000000 ea 0002 0141`), v4],
  ['v2, local', v2('20 00 0000'), undefined],
  ['v2, local, with addresses and a family that nobody knows', v2(`20 ff 000c ${addresses4}`), undefined],
  ['v2, unspecified', v2('21 00 0000'), undefined],
  ['v2, unspecified, with something', v2('21 00 0003 010203'), undefined],
  ['v2, UDP', v2(`21 12 000c ${addresses4}`), undefined],
  ['v2, Unix', v2(`21 31 00d8 ${'00'.repeat(216)}`), undefined],
  ['v2, the longest', v2(`21 11 0ff0 ${addresses4} ${'04 0000'.repeat(1356)}`), v4],
]

describe('a header', () => {
  it.each(headers)('%s is read, whatever follows it', (_, bytes, client) => {
    expect(parseProxyHeader(bytes)).toEqual({ length: bytes.length, client })
    for (const behind of [Buffer.from('hello\n'), bytes, Buffer.alloc(5000)]) {
      expect(parseProxyHeader(Buffer.concat([bytes, behind]))).toEqual({ length: bytes.length, client })
    }
  })

  it.each(headers)('%s is waited for until it is whole', (_, bytes) => {
    for (let length = 0; length < bytes.length; length++) {
      expect(parseProxyHeader(bytes.subarray(0, length))).toBeUndefined()
    }
  })

  it('says what its writer was told', () => {
    const port = fc.integer({ min: 0, max: 65_535 })
    const ends = (ip: fc.Arbitrary<string>) => fc.record({ ip, port, localIp: ip, localPort: port })
    const ipv6 = fc
      .uint8Array({ minLength: 14, maxLength: 14 })
      .map((rest) => canonical(Buffer.from([0x20, 1, ...rest])))
    fc.assert(
      fc.property(fc.oneof(ends(fc.ipV4()), ends(ipv6)), fc.constantFrom('v1', 'v2'), (client, version) => {
        const bytes = proxyHeader(version, client)
        expect(parseProxyHeader(bytes)).toEqual({ length: bytes.length, client })
      }),
    )
  })
})

describe('what is no header', () => {
  const none = 'the connection does not begin with a PROXY header'
  it.each([
    ['an HTTP request', Buffer.from('GET / HTTP/1.1\r\n\r\n'), none],
    ['the beginning of a TLS handshake', Buffer.from([22, 3, 1]), none],
    ['one wrong byte', Buffer.from('Q'), none],
    ['small letters', Buffer.from('proxy TCP4'), none],
    ['another space', Buffer.from('PROXY\tTCP4'), none],
    ['a signature with a mistake', v2('').fill(0x0b, 11), none],
    ['version 1 of the binary form', v2('11 11 000c'), 'no known version and command (0x11)'],
    ['a command that nobody knows', v2('22 11 000c'), 'no known version and command (0x22)'],
    ['a family that nobody knows', v2('21 41 000c'), 'no known family and protocol (0x41)'],
    ['a protocol that nobody knows', v2('21 13 000c'), 'no known family and protocol (0x13)'],
    ['no room for addresses of IPv4', v2('21 11 000b'), 'too short for its addresses'],
    ['no room for addresses of IPv6', v2('21 21 0023'), 'too short for its addresses'],
    ['a length above what is read', v2('21 11 0ff1'), 'it is 4097 bytes long, and at most 4096 are read'],
    ['the greatest length', v2('20 00 ffff'), 'it is 65551 bytes long'],
  ])('%s is refused at once', (_, bytes, message) => {
    expect(() => parseProxyHeader(bytes)).toThrow(message)
  })

  const line = 'its line is not as version 1 has it'
  it.each([
    ['a LF alone', 'PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\n', line],
    ['a CR alone', 'PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\rPROXY\r\n', line],
    ['a CR alone in what is ignored', 'PROXY UNKNOWN a\rb\r\n', line],
    ['two spaces', 'PROXY TCP4  192.168.0.1 192.168.0.11 56324 443\r\n', line],
    ['a space at the end', 'PROXY TCP4 192.168.0.1 192.168.0.11 56324 443 \r\n', line],
    ['too few fields', 'PROXY TCP4 192.168.0.1 192.168.0.11 56324\r\n', line],
    ['UDP', 'PROXY UDP4 192.168.0.1 192.168.0.11 56324 443\r\n', line],
    ['a word that only begins as the known one', 'PROXY UNKNOWNS\r\n', line],
    ['a zero before a port', 'PROXY TCP4 192.168.0.1 192.168.0.11 056324 443\r\n', line],
    ['a sign before a port', 'PROXY TCP4 192.168.0.1 192.168.0.11 +5632 443\r\n', line],
    ['a zone', 'PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n', line],
    [
      'a zero before a number of an address',
      'PROXY TCP4 192.168.00.1 192.168.0.11 1 2\r\n',
      'no two addresses of TCP4',
    ],
    ['an address of the other family', 'PROXY TCP4 192.168.0.1 ::1 1 2\r\n', 'no two addresses of TCP4'],
    ['IPv4 called IPv6', 'PROXY TCP6 192.168.0.1 192.168.0.11 1 2\r\n', 'no two addresses of TCP6'],
    ['seven groups', 'PROXY TCP6 1:2:3:4:5:6:7 ::1 1 2\r\n', 'no two addresses of TCP6'],
    ['a port that does not exist', 'PROXY TCP4 192.168.0.1 192.168.0.11 1 65536\r\n', 'a port above 65535'],
    ['a line without an end', `PROXY UNKNOWN ${'x'.repeat(93)}`, 'no line of it ends within 107 bytes'],
    ['a line that is one byte too long', `PROXY UNKNOWN ${'x'.repeat(92)}\r\n`, 'no line of it ends within 107 bytes'],
  ])('%s is refused', (_, text, message) => {
    expect(() => parseProxyHeader(Buffer.from(text))).toThrow(`the PROXY header is malformed: `)
    expect(() => parseProxyHeader(Buffer.from(text))).toThrow(message)
  })

  it('never gets anything out but a header, the wish for more, or a refusal', () => {
    const start = fc.constantFrom('', 'PROXY ', 'PROXY TCP4 ', 'PROXY TCP6 ::1 ', 'PROXY UNKNOWN')
    const text = fc.tuple(start, fc.string({ unit: 'binary-ascii', maxLength: 120 })).map((parts) => parts.join(''))
    const binary = fc.uint8Array({ maxLength: 300 }).map((rest) => Buffer.concat([v2(''), rest]))
    const garbage = fc.oneof(
      fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
      text.map((one) => Buffer.from(one, 'latin1')),
      binary,
    )
    fc.assert(
      fc.property(garbage, (bytes) => {
        const outcome = attempt(bytes)
        if (outcome instanceof SluiceError) expect(outcome.code).toBe('proxy_failed')
        else expect(outcome?.length ?? 0).toBeLessThanOrEqual(bytes.length)
        // Of a line no more is waited for than the longest has.
        if (outcome === undefined && bytes[0] === 0x50) expect(bytes.length).toBeLessThan(107)
      }),
      { numRuns: 2000 },
    )
  })

  it('that was refused is not accepted when more comes', () => {
    const wrong = fc.uint8Array({ minLength: 1, maxLength: 60 }).map((bytes) => Buffer.from(bytes))
    fc.assert(
      fc.property(wrong, fc.uint8Array({ maxLength: 60 }), (bytes, more) => {
        if (attempt(bytes) instanceof SluiceError) {
          expect(attempt(Buffer.concat([bytes, more]))).toBeInstanceOf(SluiceError)
        }
      }),
    )
  })
})

function attempt(bytes: Buffer): ParsedHeader | SluiceError | undefined {
  try {
    return parseProxyHeader(bytes)
  } catch (thrown) {
    if (!(thrown instanceof SluiceError)) throw thrown
    return thrown
  }
}

/** How the URL parser writes an address: independent of our own. */
function canonical(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16))
  return new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1)
}
