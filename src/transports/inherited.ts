import { readFileSync, readlinkSync } from 'node:fs'
import { isIPv6 } from 'node:net'
import { endianness } from 'node:os'
import type { Address } from '../contracts/client.ts'
import type { ListenOptions } from '../contracts/transport.ts'

/** A listening socket that the program was started with, by systemd say. */
export interface InheritedSocket {
  readonly fd: number
  /** What the one who opened it calls it; '' for no name. */
  readonly name: string
  /** Undefined for what is no listening socket, or where that cannot be found out. */
  readonly address: Address | undefined
}

/**
 * The listening sockets that the program was started with. Whoever opened them holds them too, so their clients wait
 * while the program is started again, and none is refused.
 */
export class InheritedSockets {
  readonly #left: InheritedSocket[]

  constructor(sockets: readonly { readonly fd: number; readonly name: string }[]) {
    this.#left = sockets.map(({ fd, name }) => ({ fd, name, address: addressOf(fd) }))
  }

  /** Those that nobody has taken. */
  get left(): readonly InheritedSocket[] {
    return this.#left
  }

  /** The socket for an address that is to be bound: the one with this address, else the one with this name. */
  take(options: ListenOptions): InheritedSocket | undefined {
    const found =
      this.#left.find(({ address }) => address !== undefined && isMeant(address, options)) ??
      this.#left.find(({ name, address }) => address !== undefined && name !== '' && name === options.name)
    if (found !== undefined) this.#left.splice(this.#left.indexOf(found), 1)
    return found
  }
}

function isMeant({ ip, port }: Address, options: ListenOptions): boolean {
  if (options.path !== undefined) return ip === options.path
  if (options.port === 0 || options.port !== port) return false
  if (options.host === undefined) return ip === '::' || ip === '0.0.0.0'
  if (options.host === 'localhost') return ip === '127.0.0.1' || ip === '::1'
  return ip === canonical(options.host)
}

/** Node cannot tell the address of a descriptor before it listens on it; Linux lists them (proc_pid_net(5)). */
function addressOf(fd: number): Address | undefined {
  try {
    const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[1]
    return inode === undefined ? undefined : (tcpAddress(inode) ?? unixAddress(inode))
  } catch {
    return undefined
  }
}

const LISTENING = '0A'

function tcpAddress(inode: string): Address | undefined {
  for (const file of ['/proc/self/net/tcp', '/proc/self/net/tcp6']) {
    for (const fields of rowsOf(file)) {
      if (fields[9] !== inode || fields[3] !== LISTENING) continue
      const [address = '', port = ''] = fields[1]!.split(':')
      return { ip: ipOf(address), port: Number.parseInt(port, 16) }
    }
  }
  return undefined
}

function unixAddress(inode: string): Address | undefined {
  const found = rowsOf('/proc/self/net/unix').find((fields) => fields[6] === inode)
  return found?.[7] === undefined ? undefined : { ip: found.slice(7).join(' '), port: 0 }
}

function rowsOf(file: string): string[][] {
  try {
    const lines = readFileSync(file, 'utf8').split('\n').slice(1)
    return lines.map((line) => line.trim().split(' ').filter(Boolean))
  } catch {
    // A machine without IPv6 has no tcp6.
    return []
  }
}

/** The kernel prints each four bytes of an address as a number of this machine. */
function ipOf(hex: string): string {
  const bytes = Buffer.from(hex, 'hex')
  if (endianness() === 'LE') bytes.swap32()
  if (bytes.length === 4) return bytes.join('.')
  return canonical(Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(i * 2).toString(16)).join(':'))
}

/** The one way to write an IPv6 address (RFC 5952), so that addresses can be compared as texts. */
function canonical(ip: string): string {
  return isIPv6(ip) ? new URL(`tcp://[${ip}]`).hostname.slice(1, -1) : ip
}
