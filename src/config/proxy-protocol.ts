import { parseIpRange } from '../transports/ip-range.ts'
import type { ProxyOptions } from '../transports/proxy.ts'
import type { ConfigPath } from './problems.ts'
import type { Report } from './report.ts'
import type { ListenOutput } from './schema-endpoints.ts'

/**
 * Plans the `proxyProtocol:` of an entry of `listen:`, and warns where it would believe nobody or everybody.
 * @param path that of the entry
 */
export function planProxyProtocol(
  { proxyProtocol, socket }: ListenOutput,
  path: ConfigPath,
  report: Report,
): ProxyOptions | undefined {
  if (proxyProtocol === undefined) return undefined
  const { trust = [], timeout } = proxyProtocol
  const at = [...path, 'proxyProtocol']
  if (socket !== undefined) {
    if (proxyProtocol.trust !== undefined) {
      const message = 'a Unix socket has no addresses to trust: the permissions of its file say who can connect'
      report.add({ code: 'VALUE_INVALID', path: [...at, 'trust'], at: 'key', message, hint: 'take trust away' })
    }
    return { trust: undefined, timeout }
  }
  const ranges = [trust].flat().flatMap((text) => parseIpRange(text) ?? [])
  const warn = (at: ConfigPath, message: string) =>
    report.add({ code: 'TRUST_MISSING', severity: 'warning', path: at, at: 'key', message, hint: HINT })
  if (ranges.length === 0) {
    // A list that is empty because what stood in it is wrong has been reported.
    if (report.isWrong([...at, 'trust', 0])) return undefined
    warn(at, `${path.join('.')} believes the PROXY headers of nobody, so every connection is refused`)
  } else if (ranges.some(({ prefix }) => prefix === 0)) {
    warn([...at, 'trust'], `${path.join('.')} believes the PROXY headers of everybody, so anyone can claim any address`)
  }
  return { trust: ranges, timeout }
}

const HINT = 'name the addresses of your load balancers: trust: [10.0.0.5, 10.0.1.0/24]'
