import { InvalidArgumentError } from 'commander'

/** Where to connect to, as options of an entry of `connect:`. */
export type Target = { readonly host: string; readonly port: number } | { readonly socket: string }

/**
 * Reads `HOST:PORT`, `[IPv6]:PORT`, `HOST PORT`, `PORT` (of this machine), or the path of a Unix socket, which has a
 * slash in it.
 * @throws InvalidArgumentError
 */
export function parseTarget(text: string): Target {
  const path = text.startsWith('unix:') ? text.slice('unix:'.length) : text
  if (path !== text || text.includes('/')) return { socket: path }
  const found = /^(?:(?:\[([^\]]+)\]|([^:\s]+))[:\s])?(\d{1,5})$/.exec(text.trim())
  if (found === null) {
    throw new InvalidArgumentError('HOST:PORT is needed, such as 192.168.1.5:9100; or the path of a Unix socket.')
  }
  return { host: found[1] ?? found[2] ?? '127.0.0.1', port: parsePort(found[3]!) }
}

/** @throws InvalidArgumentError */
export function parsePort(text: string): number {
  const port = Number(text)
  if (!/^\d+$/.test(text) || port > 65_535) throw new InvalidArgumentError('a port is a number from 0 to 65535.')
  return port
}

/** The address as a person writes it. */
export function targetInWords(target: Target): string {
  if ('socket' in target) return target.socket
  return target.host.includes(':') ? `[${target.host}]:${target.port}` : `${target.host}:${target.port}`
}
