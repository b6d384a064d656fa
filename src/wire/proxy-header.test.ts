import { isIPv6 } from 'node:net'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { proxyHeader } from './proxy-header.ts'

const v4 = { ip: '192.168.0.1', port: 56324, localIp: '192.168.0.11', localPort: 443 }
const v6 = { ip: '2001:db8::7', port: 1, localIp: '::1', localPort: 65535 }
const unix = { ip: '/run/front.sock', port: 0, localIp: '/run/front.sock', localPort: 0 }
const signature = '0d0a0d0a000d0a515549540a'

describe('version 1 of the PROXY protocol', () => {
  // The examples of section 2.1.
  it.each([
    ['IPv4', v4, 'PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n'],
    ['IPv6', v6, 'PROXY TCP6 2001:db8::7 ::1 1 65535\r\n'],
    ['IPv6 with a zone', { ...v6, ip: 'fe80::1%eth0' }, 'PROXY TCP6 fe80::1 ::1 1 65535\r\n'],
    ['a Unix socket', unix, 'PROXY UNKNOWN\r\n'],
    ['addresses of two families', { ...v4, localIp: '::1' }, 'PROXY UNKNOWN\r\n'],
    ['a connection of our own', undefined, 'PROXY UNKNOWN\r\n'],
  ])('%s', (_, client, line) => {
    expect(proxyHeader('v1', client).toString('latin1')).toBe(line)
  })

  it('is never longer than the 107 bytes that a receiver must have room for', () => {
    fc.assert(
      fc.property(fc.ipV6(), fc.ipV6(), (ip, localIp) => {
        fc.pre(isIPv6(ip) && isIPv6(localIp))
        const line = proxyHeader('v1', { ip, localIp, port: 65535, localPort: 65535 })
        expect(line.length).toBeLessThanOrEqual(107)
      }),
    )
  })
})

describe('version 2 of the PROXY protocol', () => {
  it.each([
    ['IPv4', v4, `${signature}2111000cc0a80001c0a8000bdc0401bb`],
    ['IPv6', v6, `${signature}2121002420010db8000000000000000000000007000000000000000000000000000000010001ffff`],
    ['a Unix socket', unix, `${signature}21000000`],
    ['a connection of our own', undefined, `${signature}20000000`],
  ])('%s', (_, client, hex) => {
    expect(proxyHeader('v2', client).toString('hex')).toBe(hex)
  })

  it('holds every IPv6 address', () => {
    fc.assert(
      fc.property(fc.ipV6(), (ip) => {
        const header = proxyHeader('v2', { ip, port: 1, localIp: '::', localPort: 2 })
        const groups = Array.from({ length: 8 }, (_, i) => header.readUInt16BE(16 + 2 * i).toString(16))
        expect(canonical(groups.join(':'))).toBe(canonical(ip))
      }),
    )
  })
})

/** How the URL parser writes it: independent of our own. */
function canonical(ip: string): string {
  return new URL(`http://[${ip}]/`).hostname
}
