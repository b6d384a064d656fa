import { BlockList, isIP } from 'node:net'

/** Addresses that have their first `prefix` bits in common. */
export interface IpRange {
  readonly ip: string
  readonly family: 'ipv4' | 'ipv6'
  readonly prefix: number
}

/**
 * Reads an address, `10.0.0.5`, or a range in CIDR notation (RFC 4632, section 3.1), `10.0.0.0/8`.
 * @returns undefined for anything else, such as a host name: whom a name leads to may change
 */
export function parseIpRange(text: string): IpRange | undefined {
  const [, ip = '', bits] = /^([\da-fA-F.:]+)(?:\/(0|[1-9]\d{0,2}))?$/.exec(text) ?? []
  const family = familyOf(ip)
  if (family === undefined) return undefined
  const prefix = bits === undefined ? BITS[family] : Number(bits)
  return prefix > BITS[family] ? undefined : { ip, family, prefix }
}

/** As {@link parseIpRange} reads it. */
export function formatIpRange({ ip, family, prefix }: IpRange): string {
  return prefix === BITS[family] ? ip : `${ip}/${prefix}`
}

/** @returns whether an address, as a socket tells it, lies in one of the ranges; never for what is no IP address */
export function createIpFilter(ranges: readonly IpRange[]): (ip: string) => boolean {
  const list = new BlockList()
  for (const { ip, family, prefix } of ranges) list.addSubnet(ip, prefix, family)
  return (text) => {
    // The zone of fe80::1%eth0 (RFC 4007, section 11) says on which link it is, not who it is.
    const ip = text.replace(/%.*/, '')
    const family = familyOf(ip)
    return family !== undefined && list.check(ip, family)
  }
}

const BITS = { ipv4: 32, ipv6: 128 } as const

function familyOf(ip: string): IpRange['family'] | undefined {
  const version = isIP(ip)
  if (version === 0) return undefined
  return version === 4 ? 'ipv4' : 'ipv6'
}
