import { resolve } from 'node:path'
import type { ListenOptions } from '../contracts/transport.ts'
import type { Plan } from './planned.ts'
import { type ConfigPath, formatPath } from './problems.ts'
import type { Report } from './report.ts'
import type { ListenOutput } from './schema-endpoints.ts'

/** The addresses that an entry of `listen:` binds; none when it says neither port nor socket. */
export function addressesOf({ port, socket, host }: ListenOutput, baseDir: string): ListenOptions[] {
  if (socket !== undefined) return [{ path: resolve(baseDir, socket) }]
  if (port === undefined) return []
  if (host === undefined) return [{ port }]
  return (typeof host === 'string' ? [host] : host).map((one) => ({ host: one, port }))
}

/** Reports every address that two entries would bind. */
export function checkAddresses(
  listen: Readonly<Record<string, ListenOutput>>,
  admin: Plan['admin'],
  baseDir: string,
  report: Report,
): void {
  const bound: { readonly address: ListenOptions; readonly path: ConfigPath }[] = []
  for (const [name, entry] of Object.entries(listen)) {
    for (const address of addressesOf(entry, baseDir)) {
      bound.push({ address: { ...address, ipv6Only: entry.ipv6Only }, path: ['listen', name] })
    }
  }
  if (admin !== undefined) bound.push({ address: admin, path: ['admin'] })
  for (const [i, { address, path }] of bound.entries()) {
    const first = bound.slice(0, i).find((other) => overlap(other.address, address))
    if (first === undefined) continue
    const what = address.path === undefined ? `port ${address.port}` : `the socket ${address.path}`
    const same = formatPath(first.path) === formatPath(path)
    const message = same
      ? `${what} stands twice in ${formatPath(path)}`
      : `${what} is taken by ${formatPath(first.path)}`
    const key = address.path !== undefined ? 'socket' : path[0] === 'admin' || !same ? 'port' : 'host'
    const hint = same ? 'name each address once' : 'give each endpoint a port or a host of its own'
    report.add({ code: 'ADDRESS_TAKEN', path: [...path, key], message, hint })
  }
}

/** True when the operating system would give only one of them. Port 0 is a different one each time. */
export function overlap(a: ListenOptions, b: ListenOptions): boolean {
  if (a.path !== undefined || b.path !== undefined) return a.path === b.path
  if (a.port !== b.port || a.port === 0) return false
  return hostOf(a) === hostOf(b) || covers(a, hostOf(b)) || covers(b, hostOf(a))
}

function hostOf({ host = '::' }: ListenOptions): string {
  return host === 'localhost' ? '127.0.0.1' : host
}

/** True when an address is bound by one for all interfaces. */
function covers(all: ListenOptions, host: string): boolean {
  const isIpv6 = host.includes(':')
  if (hostOf(all) === '0.0.0.0') return !isIpv6
  return hostOf(all) === '::' && (isIpv6 || all.ipv6Only !== true)
}
