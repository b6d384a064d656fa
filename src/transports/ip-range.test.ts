import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createIpFilter, formatIpRange, parseIpRange } from './ip-range.ts'

describe('a range of addresses', () => {
  it.each([
    ['10.0.0.5', { ip: '10.0.0.5', family: 'ipv4', prefix: 32 }],
    ['10.0.0.0/8', { ip: '10.0.0.0', family: 'ipv4', prefix: 8 }],
    ['0.0.0.0/0', { ip: '0.0.0.0', family: 'ipv4', prefix: 0 }],
    ['::1', { ip: '::1', family: 'ipv6', prefix: 128 }],
    ['2001:db8::/32', { ip: '2001:db8::', family: 'ipv6', prefix: 32 }],
  ])('%s is one, and is written as it was read', (text, range) => {
    expect(parseIpRange(text)).toEqual(range)
    expect(formatIpRange(parseIpRange(text)!)).toBe(text)
  })

  it.each([
    '',
    'localhost',
    '10.0.0',
    '10.0.0.5:80',
    '10.0.0.0/33',
    '::/129',
    '10.0.0.0/',
    '10.0.0.0/08',
    '10.0.0.0/-1',
    '/8',
    'fe80::1%eth0',
    ' 10.0.0.5',
  ])('%j is none', (text) => {
    expect(parseIpRange(text)).toBeUndefined()
  })
})

describe('a filter of addresses', () => {
  const has = createIpFilter(
    ['10.0.0.5', '192.168.0.0/16', '2001:db8::/32', 'fe80::/10'].map((text) => parseIpRange(text)!),
  )

  it.each(['10.0.0.5', '192.168.0.0', '192.168.255.255', '2001:db8::7', '2001:DB8:FFFF::', 'fe80::1%eth0'])(
    'lets %s in',
    (ip) => {
      expect(has(ip)).toBe(true)
    },
  )

  it.each([
    '10.0.0.4',
    '10.0.0.6',
    '192.167.255.255',
    '192.169.0.0',
    '2001:db9::',
    '::1',
    '',
    '/run/app.sock',
    'localhost',
  ])('keeps %j out', (ip) => {
    expect(has(ip)).toBe(false)
  })

  it('of nothing keeps everybody out, and of everything nobody', () => {
    const all = createIpFilter([parseIpRange('0.0.0.0/0')!, parseIpRange('::/0')!])
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (ip) => {
        expect(createIpFilter([])(ip)).toBe(false)
        expect(all(ip)).toBe(true)
      }),
    )
  })

  it('compares the first bits alone', () => {
    const number = fc.integer({ min: 0, max: 2 ** 32 - 1 })
    fc.assert(
      fc.property(number, number, fc.integer({ min: 1, max: 32 }), (a, b, prefix) => {
        const ipOf = (value: number) => [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff).join('.')
        const filter = createIpFilter([{ ip: ipOf(a), family: 'ipv4', prefix }])
        expect(filter(ipOf(b))).toBe(a >>> (32 - prefix) === b >>> (32 - prefix))
      }),
    )
  })
})
