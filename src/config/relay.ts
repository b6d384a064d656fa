import { isIP } from 'node:net'
import { resolve } from 'node:path'
import type { DialOptions } from '../contracts/transport.ts'
import type { RelayPlan } from './planned.ts'
import type { ConfigPath } from './problems.ts'
import type { Report } from './report.ts'
import type { ListenOutput } from './schema.ts'
import { handshake, readTlsFiles } from './tls-files.ts'

/**
 * Plans the `relay:` of an entry of `listen:`.
 * @param path that of the entry
 */
export function planRelay(
  entry: ListenOutput,
  path: ConfigPath,
  baseDir: string,
  report: Report,
): RelayPlan | undefined {
  const { relay, keepAlive, noDelay } = entry
  if (relay === undefined) return undefined
  requireNoMessages(entry, path, report)
  const { to, balance, health, connectTimeout: timeout, tls } = relay
  const secured = tls && readTlsFiles(tls, [...path, 'relay', 'tls'], baseDir, report)
  const listed = typeof to === 'string' ? [to] : to
  const targets = listed.map((text, i) => {
    const target = targetOf(text, baseDir)
    if (target.port !== undefined && (target.port < 1 || target.port > 65_535)) {
      const at = [...path, 'relay', 'to', ...(typeof to === 'string' ? [] : [i])]
      const hint = 'write a number from 1 to 65535 behind the host'
      report.add({ code: 'VALUE_INVALID', path: at, message: `${text} has no port that exists`, hint })
    }
    const { host } = target
    const servername = tls?.servername ?? (host !== undefined && isIP(host) === 0 ? host : undefined)
    return { dial: { ...target, timeout, socket: { keepAlive, noDelay } }, servername }
  })
  return {
    targets,
    balance,
    health,
    tls: secured && { ...secured, ...handshake(tls), verify: tls?.insecure !== true },
  }
}

/** Bytes that are passed on are no messages, so what would be done with messages is a mistake. */
function requireNoMessages(entry: ListenOutput, path: ConfigPath, report: Report): void {
  for (const key of ['dataflow', 'onConnect', 'onDisconnect', 'onError', 'key'] as const) {
    if (entry[key] === undefined) continue
    const message = `${path.join('.')} has both relay and ${key}, and a relay makes no messages of its bytes`
    const hint = `take ${key} away, or relay`
    report.add({ code: 'VALUE_INVALID', path: [...path, key], at: 'key', message, hint })
  }
}

/** What `host:port`, `[ipv6]:port` or a path leads to. */
function targetOf(text: string, baseDir: string): Pick<DialOptions, 'host' | 'port' | 'path'> {
  if (text.includes('/')) return { path: resolve(baseDir, text) }
  const [, host, port] = /^\[?(.+?)\]?:(\d+)$/.exec(text)!
  return { host: host!, port: Number(port) }
}
